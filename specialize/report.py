"""The page of ``evaluate boost``: gain and harm beside controls, and images whose class changed (paper figure 6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.ids import path_on_record
from visual_summaries.masks.inputs.reading import read_image
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.boost import Boost
from visual_summaries.specialize.boost_results import Changed
from visual_summaries.specialize.build import PICTURES as EXEMPLARS
from visual_summaries.specialize.model import Model
from visual_summaries.specialize.pareto import NAMES, figure
from visual_summaries.summaries.files import write_bytes, write_json, write_png
from visual_summaries.summaries.folders import remove_file, remove_files
from visual_summaries.summaries.pages.drawing import photograph
from visual_summaries.summaries.pages.environment import environment
from visual_summaries.summaries.pages.gallery_pictures import jpeg

PICTURES = "boost"
"""Folder of the page's photographs, beside it."""

SHOWN = 40
"""Corrected images that the page shows, and broken ones, at most."""


@dataclass(frozen=True)
class Shown:
    """An image of the page.

    Attributes:
        name: The file's name.
        picture: Its picture.
        before: The class predicted by the network.
        after: The class predicted by the specialised network.
        label: The true class.
        exemplar: Picture of the summary that decided; None if there is none.
        summary: The name of that summary.
        away: See `specialize.boost_results.Changed`.
    """

    name: str
    picture: str
    before: str
    after: str
    label: str
    exemplar: str | None
    summary: str
    away: bool


def write_page(
    folder: Path,
    model: Model,
    boost: Boost,
    classifier: Classifier,
    about: Mapping[str, Any],
    tick: Callable[[int, int], None],
) -> Path:
    """Writes ``boost.json``, ``boost.html``, ``pareto.png`` and the pictures.

    Everything is computed before the first file is replaced, and ``boost.json`` is removed first and written last: an
    interrupted command leaves the previous results, or no ``boost.json``.

    Args:
        folder: The model folder, with its summaries' exemplars.
        model: The model.
        boost: The results.
        classifier: For the names of classes, and the frame.
        about: The inputs of the evaluation, for ``boost.json``.
        tick: Called with the number of pictures drawn, and of all.

    Returns:
        The path of the page.
    """
    results = boost.results
    limit = float(model.about["options"]["tuning"]["harm_limit"])
    pareto = figure(results, limit) if results.others is not None else None
    chosen = {"corrected": results.corrected[:SHOWN], "broken": results.broken[:SHOWN]}
    total = sum(map(len, chosen.values()))
    written: set[str] = set()
    shown: dict[str, list[Shown]] = {}
    for kind, changes in chosen.items():
        shown[kind] = []
        for change in changes:
            shown[kind].append(_show(folder, model, boost, classifier, change))
            written.add(Path(shown[kind][-1].picture).name)
            tick(len(written), total)
    html = (
        environment(Path(__file__).with_name("templates"))
        .get_template("boost.html")
        .render(
            model=model,
            spec=classifier.spec,
            results=results,
            against={one.against: one for one in results.comparisons},
            names=NAMES,
            limit=limit,
            shown=shown,
            label=lambda index: short(classifier, index),
            points=points,
            tuned=model.about["tuned"],
        )
    )
    page, found = folder / "boost.html", folder / "boost.json"
    remove_file(found)
    if pareto is not None:
        write_png(folder / "pareto.png", pareto)
    write_bytes(page, html.encode(errors="replace"))
    write_json(found, boost.to_json(classifier) | dict(about))
    remove_files(folder / PICTURES, written)
    return page


def _show(folder: Path, model: Model, boost: Boost, classifier: Classifier, change: Changed) -> Shown:
    recorded = boost.images.names[change.image]
    try:
        read = read_image(path_on_record(recorded))
    except UnusableImageError as error:
        raise UserError(f"{recorded} can no longer be read: {error}: run the command again") from None
    picture = jpeg(photograph(classifier.frame.cut(read.pixels, size=read.size)))
    # named by content, so that the previous page keeps its pictures until it is replaced
    name = f"{hashlib.sha256(picture).hexdigest()[:12]}.jpg"
    write_bytes(folder / PICTURES / name, picture)
    exemplar, summary = None, ""
    if change.summary is not None:
        row = model.summaries[change.summary]
        exemplar = f"{EXEMPLARS}/summary-{change.summary:03d}.jpg"
        owner = short(classifier, int(model.method.blend.classes[row.owner]))
        summary = f"{owner} | {row.name or f'summary {row.summary}'}"
    before, after, label = (short(classifier, index) for index in (change.before, change.after, change.label))
    return Shown(Path(recorded).name, f"{PICTURES}/{name}", before, after, label, exemplar, summary, change.away)


def short(classifier: Classifier, index: int) -> str:
    """The first of a class's names."""
    return classifier.label(index).name.split(",")[0]


def points(estimate: Any, prefix: str = "") -> str:
    """An estimate, or the values of a row with a prefix, as text with its interval.

    Examples:
        >>> points({"value": -0.5, "low": -1.25, "high": 0.25})
        '−0.50 [−1.25, +0.25]'
    """
    names = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else ("value", "low", "high")
    values = [estimate[name] if isinstance(estimate, dict) else getattr(estimate, name) for name in names]
    if values[0] is None:
        return "–"
    value, low, high = (f"{number:+.2f}".replace("-", "−") for number in values)
    return f"{value} [{low}, {high}]"
