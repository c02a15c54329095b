"""The page of ``evaluate boost``: gains and harms beside controls, and images that changed (the paper's figure 6)."""

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
from visual_summaries.specialize.build import PICTURES as EXEMPLARS
from visual_summaries.specialize.evaluate import Changed
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
"""Images of either kind that the page shows."""


@dataclass(frozen=True)
class Shown:
    """An image of the page.

    Attributes:
        name: The file's name.
        picture: Its picture.
        before: The network's class.
        after: The class now.
        label: The true class.
        exemplar: Picture of the summary that decided; None where no SVM of one did.
        summary: That summary in words.
        away: Whether the summary turned it away rather than claimed it.
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

    All is made before the first file is replaced, and ``boost.json`` is not there while the others are: a command that
    is killed leaves the results of the one before it, or shows that it was not finished.

    Args:
        folder: The model folder, with its summaries' exemplars.
        model: The model.
        boost: What was found.
        classifier: Knows the classes' names and the frame.
        about: What it was made from, for ``boost.json``.
        tick: Called with the number of pictures drawn and of all.

    Returns:
        The path of the page.
    """
    evaluation = boost.evaluation
    limit = float(model.about["settings"]["tuning"]["harm_limit"])
    pareto = figure(evaluation, limit) if evaluation.others is not None else None
    chosen = {"corrected": evaluation.corrected[:SHOWN], "broken": evaluation.broken[:SHOWN]}
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
            evaluation=evaluation,
            against={one.against: one for one in evaluation.comparisons},
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
    recorded = boost.album.names[change.image]
    try:
        read = read_image(path_on_record(recorded))
    except UnusableImageError as error:
        raise UserError(f"{recorded} was read a moment ago and is not now: {error}: run the command again") from None
    picture = jpeg(photograph(classifier.frame.cut(read.pixels, size=read.size)))
    # a name of its own for each content: a page that is there keeps its pictures until the new one is
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
    """A class's first name."""
    return classifier.label(index).name.split(",")[0]


def points(estimate: Any, prefix: str = "") -> str:
    """An estimate, or the figures of a row under a name, as text with its interval."""
    names = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else ("value", "low", "high")
    values = [estimate[name] if isinstance(estimate, dict) else getattr(estimate, name) for name in names]
    if values[0] is None:
        return "–"
    value, low, high = (f"{number:+.2f}".replace("-", "−") for number in values)
    return f"{value} [{low}, {high}]"
