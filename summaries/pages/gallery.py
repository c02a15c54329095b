"""The gallery of a run, a page that opens from disk without a server or network, and an overview of several runs.

Pages and pictures contain no date and no absolute path: the same run folder gives the same bytes. Pictures are drawn
one image at a time, so memory does not grow with the run. The templates escape everything that comes from a run; file
names of pictures are made of part numbers and safe characters of image ids.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from urllib.parse import quote

from visual_summaries.masks.attribution.names import MASK, METHODS
from visual_summaries.summaries.files import write_bytes
from visual_summaries.summaries.pages import wording
from visual_summaries.summaries.pages.environment import environment
from visual_summaries.summaries.pages.evidence import by_importance, evidence_of
from visual_summaries.summaries.pages.gallery_pictures import draw
from visual_summaries.summaries.pages.sheet import MEMBERS
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Summary

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Overview:
    """The values of a whole run on both pages; means over the images with masks, NaN if there are none.

    The attribution is empty for masks that were optimised or made elsewhere.
    """

    target: str
    model: str
    attribution: str
    drop_smooth: float
    drop_crisp: float
    drop_binary: float
    area: float

    @classmethod
    def of(cls, run: Run) -> Overview:
        """Reads a run."""
        rows = [run.masks[image] for image in run.ids if image in run.masks]

        def mean(field: str) -> float:
            return fmean(getattr(row, field) for row in rows) if rows else math.nan

        means = (mean(field) for field in ("drop_smooth", "drop_crisp", "drop_binary", "area_binary"))
        attribution = "" if run.attribution == MASK else METHODS[run.attribution].title
        return cls(wording.target(run.info), wording.model(run.info), attribution, *means)


def write_gallery(run: Run, progress: Progress | None = None, *, fresh: bool = False) -> Path:
    """Writes ``gallery/index.html``, the pictures beside it, and a sheet ``summary-NN.png`` per kept summary.

    Pictures and sheets of a previous gallery are kept if they have not changed, and removed if they are no longer used.

    Args:
        run: A run whose masks and clustering are done.
        progress: Called with the number of images and sheets done, and of all.
        fresh: Whether all pictures are drawn again.

    Returns:
        The path of the page.
    """
    rows = [run.masks[image] for image in run.ids if image in run.masks]
    kept = by_importance([s for s in run.summaries if s.kept])
    pruned = by_importance([s for s in run.summaries if not s.kept])
    sheets = [s for s in kept if s.members]
    draw(run, [row.id for row in rows], sheets, fresh=fresh, progress=progress)
    kept_by_image: dict[str, list[Summary]] = {}
    for summary in kept:
        for member in summary.members:
            kept_by_image.setdefault(member.image, []).append(summary)
    page = run.path / "gallery" / "index.html"
    overview = Overview.of(run)
    kinds = ("smooth", "relevance"), ("crisp", "binary mask")
    if not overview.attribution:
        kinds = ("smooth", "smooth mask"), ("crisp", "crisp mask")
    html = (
        environment()
        .get_template("gallery.html")
        .render(
            run=overview,
            pictures=(("photo", "photograph"), *kinds),
            rows=rows,
            skipped=_skipped(run),
            evidence=evidence_of(run),
            kept=kept,
            pruned=pruned,
            kept_by_image=kept_by_image,
            visible=MEMBERS,
            why_none=_why_none(pruned),
        )
    )
    write_bytes(page, html.encode())
    return page


def write_index(root: Path, runs: Sequence[Run]) -> Path:
    """Writes ``index.html``, the overview of several runs whose galleries are written.

    Args:
        root: The folder of the page; usually it contains the runs.
        runs: The runs, in the order of the page.

    Returns:
        The path of the page.
    """
    cards = []
    for run in runs:
        kept = by_importance([s for s in run.summaries if s.kept])
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
    models = list(dict.fromkeys(wording.model(run.info) for run in runs))
    html = environment().get_template("index.html").render(cards=cards, models=models)
    write_bytes(root / "index.html", html.encode())
    return root / "index.html"


def _skipped(run: Run) -> list[tuple[str, str]]:
    """Images without masks and why."""
    reasons = [(row.id, row.reason or "no reason recorded") for row in run.images if row.status != "ok"]
    return reasons + [(image, "no masks yet") for image in run.ids if image not in run.masks]


def _why_none(pruned: Sequence[Summary]) -> str:
    """Why a page shows no summaries."""
    if not pruned:
        return "No cluster was found: there are too few images with masks, or too few similar parts."
    counts = Counter(_kind(s.reason) for s in pruned).most_common(3)
    reasons = "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in counts)
    return f"Clusters found and pruned: {len(pruned)}. Most frequent reasons: {reasons}."


def _kind(reason: str) -> str:
    """A reason of pruning without the number of members, so that equal ones are counted together.

    Examples:
        >>> _kind("3 members, a summary has at least 5"), _kind("")
        ('fewer than 5 matching members (more images may help)', 'no reason recorded')
    """
    _, found, least = reason.rpartition("a summary has at least ")
    return f"fewer than {least} matching members (more images may help)" if found else reason or "no reason recorded"
