"""The gallery of a run, a page that opens from disk without a server or network, and an overview of several runs.

Pages and pictures hold no date and no absolute path: the same run folder gives the same bytes. Pictures are drawn
one image at a time, so that a run of any length fits in memory. Everything that comes from a run, names and ids
above all, is escaped by the templates; file names of pictures are made from part numbers and from what is safe
in an id.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from PIL import Image

from summaries.drawing import Picture, crisp_picture, heat_picture, member_picture, photograph
from summaries.files import write_bytes, write_png
from summaries.folders import remove_file, remove_files
from summaries.sheet import MEMBERS, sheet
from summaries.store import Run
from summaries.summary import Summary

Progress = Callable[[int, int], None]

PICTURES = "pictures"


@dataclass(frozen=True)
class Overview:
    """What both pages say of a run as a whole; means over the images with masks, NaN where there are none."""

    target: str
    model: str
    drop_smooth: float
    drop_crisp: float
    drop_binary: float
    area: float

    @classmethod
    def of(cls, run: Run) -> Overview:
        """Reads a run."""
        rows = [run.masks[image] for image in run.ids if image in run.masks]

        def mean(field: str) -> float:
            return float(np.mean([getattr(row, field) for row in rows])) if rows else math.nan

        means = (mean(field) for field in ("drop_smooth", "drop_crisp", "drop_binary", "area_binary"))
        return cls(_target(run.info), _model(run.info), *means)


def write_gallery(run: Run, progress: Progress | None = None) -> Path:
    """Writes ``gallery/index.html``, the pictures beside it, and a sheet ``summary-NN.png`` per kept summary.

    Pictures and sheets of a previous gallery that are no longer used are removed.

    Args:
        run: A run whose masks and clustering are done.
        progress: Called with the number of images and sheets done and of all.

    Returns:
        The path of the page.
    """
    rows = [run.masks[image] for image in run.ids if image in run.masks]
    kept = [s for s in run.summaries if s.kept]
    pruned = [s for s in run.summaries if not s.kept]
    sheets = [s for s in kept if s.members]
    total = len(rows) + len(sheets)
    told = progress or (lambda done, total: None)

    folder = run.path / "gallery"
    written: set[str] = set()
    for done, row in enumerate(rows, 1):
        for name, picture in _pictures(run, row.id):
            write_bytes(folder / PICTURES / name, jpeg(picture))
            written.add(name)
        told(done, total)
    for done, summary in enumerate(sheets, len(rows) + 1):
        write_png(run.path / _sheet_name(summary), _sheet(run, summary))
        told(done, total)

    kept_by_image: dict[str, list[Summary]] = {}
    for summary in kept:
        for member in summary.members:
            kept_by_image.setdefault(member.image, []).append(summary)
    page = folder / "index.html"
    html = (
        environment()
        .get_template("gallery.html")
        .render(
            run=Overview.of(run),
            rows=rows,
            skipped=_skipped(run),
            kept=kept,
            pruned=pruned,
            kept_by_image=kept_by_image,
            visible=MEMBERS,
            why_none=_why_none(pruned),
        )
    )
    write_bytes(page, html.encode())
    remove_files(folder / PICTURES, written)
    drawn = {_sheet_name(s) for s in sheets}
    for sheet_path in run.path.glob("summary-*.png"):
        if sheet_path.name not in drawn:
            remove_file(sheet_path)
    return page


def write_index(root: Path, runs: Sequence[Run]) -> Path:
    """Writes ``index.html``, the overview of several runs whose galleries are written.

    Args:
        root: The folder of the page; the runs usually lie in it.
        runs: The runs, in the order in which they are shown.

    Returns:
        The path of the page.
    """
    cards = []
    for run in runs:
        kept = [s for s in run.summaries if s.kept]
        folder = quote(Path(os.path.relpath(run.path / "gallery", root)).as_posix()) + "/"
        cards.append(
            {
                "run": Overview.of(run),
                "folder": folder,
                "url": folder + "index.html",
                "images": sum(image in run.masks for image in run.ids),
                "kept": kept,
                "pruned": len(run.summaries) - len(kept),
            }
        )
    models = list(dict.fromkeys(_model(run.info) for run in runs))
    html = environment().get_template("index.html").render(cards=cards, models=models)
    write_bytes(root / "index.html", html.encode())
    return root / "index.html"


def _pictures(run: Run, image: str) -> Iterable[tuple[str, Picture]]:
    """The pictures of one image by file name: photograph, masks, and the parts that clusters hold."""
    frame, masks = run.frame(image), run.mask(image)
    yield _photo_name(image, "photo"), photograph(frame)
    yield _photo_name(image, "smooth"), heat_picture(frame, masks.smooth)
    yield _photo_name(image, "crisp"), crisp_picture(frame, masks.binary)
    for summary in run.summaries:
        for member in summary.members:
            if member.image == image:
                yield _part_name(member.part), member_picture(frame, masks.binary, member.box)


def _sheet(run: Run, summary: Summary) -> Picture:
    members = summary.members[:MEMBERS]
    pictures = [member_picture(run.frame(m.image), run.mask(m.image).binary, m.box) for m in members]
    count = len(summary.members)
    shown = f", {len(members)} shown" if len(members) < count else ""
    facts = (
        _target(run.info),
        f"{count} image{'s' if count != 1 else ''}{shown}",
        f"mean similarity {_number(_mean_similarity(summary))}",
        f"median SSIM {_number(summary.median_ssim)}",
    )
    return sheet(_title(summary), "  ·  ".join(facts), pictures, [m.image for m in members])


def _skipped(run: Run) -> list[tuple[str, str]]:
    """Images without masks and why."""
    reasons = [(row.id, row.reason or "no reason is on record") for row in run.images if row.status != "ok"]
    return reasons + [(image, "it has no masks yet") for image in run.ids if image not in run.masks]


def _why_none(pruned: Sequence[Summary]) -> str:
    """Why a page shows no summaries, in a sentence or two."""
    if not pruned:
        return "The matching found no group of parts: there are too few images with masks, or too few parts alike."
    counts = Counter(s.reason or "no reason is on record" for s in pruned).most_common(3)
    reasons = "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in counts)
    return f"Clusters that were found and pruned: {len(pruned)}. Most frequent reasons: {reasons}."


def _target(info: Mapping[str, Any]) -> str:
    target = info.get("target") or {}
    name = str(target.get("name") or target.get("wordnet") or target.get("index", "unknown class"))
    return "Each image’s predicted class" if name == "predicted" else name


def _model(info: Mapping[str, Any]) -> str:
    model = info.get("model") or {}
    return str(model.get("name") or model.get("spec") or "unknown network")


def _title(summary: Summary) -> str:
    return summary.name or f"{'Summary' if summary.kept else 'Cluster'} {summary.summary}"


def _mean_similarity(summary: Summary) -> float | None:
    """Mean similarity to the exemplar, from the scores or else over the other members."""
    if "mean_similarity" in summary.scores:
        return summary.scores["mean_similarity"]
    others = [m.similarity for m in summary.members if m.part != summary.exemplar]
    return float(np.mean(others)) if others else None


def _number(value: float | None) -> str:
    """Two decimals with a true minus; a dash where there is no figure."""
    return "–" if value is None or not math.isfinite(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _percent(value: float | None) -> str:
    """A share in per cent, with decimals where they tell something: below 10 % and close to 100 %."""
    if value is None or not math.isfinite(value):
        return "–"
    decimals = 1 if abs(value) < 0.0995 else 2 if 0.985 <= value < 1 else 0
    return f"{100 * value:.{decimals}f}%".replace("-", "−")


def _dropped(part: Mapping[str, Any]) -> str:
    """A part that left its cluster, in words."""
    return f"{part.get('image', 'part ' + str(part.get('part', '?')))}: {part.get('reason', 'no reason is on record')}"


def _key(image: str) -> str:
    """What is safe of an id, in file names and URLs alike, with a digest that keeps keys apart."""
    safe = re.sub(r"[^A-Za-z0-9]+", "-", image)[:40].strip("-")
    return f"{safe or 'image'}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"


def _photo_name(image: str, kind: str) -> str:
    return f"{_key(image)}-{kind}.jpg"


def _part_name(part: int) -> str:
    return f"part-{part:05d}.jpg"


def _sheet_name(summary: Summary) -> str:
    return f"summary-{summary.summary:02d}.png"


def jpeg(picture: Picture) -> bytes:
    """A picture as it stands in a page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def environment(*folders: Path) -> jinja2.Environment:
    """The templates of the pages, those of further folders, and the filters they share."""
    loader = jinja2.FileSystemLoader([Path(__file__).with_name("templates"), *folders])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "title": _title,
        "number": _number,
        "percent": _percent,
        "dropped": _dropped,
        "mean_similarity": _mean_similarity,
        "anchor": lambda image: f"image-{_key(image)}",
        "part_url": lambda part: f"{PICTURES}/{_part_name(part)}",
        "photo_url": lambda image, kind: f"{PICTURES}/{_photo_name(image, kind)}",
        "sheet_url": lambda summary: f"../{_sheet_name(summary)}",
    }
    return environment
