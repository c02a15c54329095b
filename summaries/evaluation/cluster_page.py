"""The page of ``evaluate summaries``: what is measured of a run's summaries, beside what they are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.summaries.evaluation.clusters import Evaluation
from visual_summaries.summaries.files import write_bytes, write_json
from visual_summaries.summaries.folders import remove_file, remove_files
from visual_summaries.summaries.pages.drawing import member_picture
from visual_summaries.summaries.pages.environment import environment
from visual_summaries.summaries.pages.gallery import Overview
from visual_summaries.summaries.pages.gallery_pictures import jpeg
from visual_summaries.summaries.store import Run

PICTURES = "clusters"
"""Folder of the page's pictures, beside it."""

MEMBERS = 5
"""Members of a summary that the page shows, the exemplar first."""

METHODS = {
    "summaries": "summaries",
    "random": "random",
    "kmeans": "k-means",
    "agglomerative": "agglomerative",
}


@dataclass(frozen=True)
class Measure:
    """How a figure is shown.

    Attributes:
        key: Its name in ``clusters.json``.
        title: Its heading.
        meaning: What it means, in a sentence.
        interval: Names of its lower and upper end; empty without.
    """

    key: str
    title: str
    meaning: str
    interval: tuple[str, str] | tuple[()] = ()


MEASURES = (
    Measure("purity", "Purity", "Share of a cluster’s members that lie on one same true part, its most frequent one."),
    Measure(
        "recall",
        "Recall of parts",
        "Share of the true parts to be found that are the most frequent one of some cluster.",
    ),
    Measure(
        "consistency",
        "Consistency",
        "Share of clusters whose boxes hold one same landmark in at least 80 % of the images that show it; boxes over "
        "a quarter of the object and clusters of fewer than four images do not count.",
    ),
    Measure(
        "cohesion",
        "Cohesion",
        "Mean cosine of the crops of two members of one cluster, in the eyes of the third encoder.",
    ),
    Measure(
        "separation",
        "Separation",
        "Mean silhouette of the crops there: 1 where clusters are far apart, 0 where they touch, below 0 where they "
        "mix.",
    ),
    Measure(
        "ari",
        "Stability",
        "Adjusted Rand index between the clusters of all parts and those found again on bootstrap samples of the "
        "images: 1 for the same, 0 for chance; the line spans 95 % of the samples.",
        ("ari_low", "ari_high"),
    ),
    Measure(
        "ari_kept",
        "Stability of what is kept",
        "The same index on the parts of the kept clusters alone.",
    ),
    Measure(
        "ari_seeds", "Stability over seeds", "The same index between the clusters of all parts under different seeds."
    ),
    Measure("coverage", "Coverage of images", "Share of images that have a part in at least one cluster."),
    Measure(
        "mask_coverage", "Coverage of masks", "Share of the masks’ area that lies in the box of a cluster’s member."
    ),
)


def write_page(run: Run, evaluation: Evaluation, about: Mapping[str, Any], tick: Callable[[int, int], None]) -> Path:
    """Writes ``evaluation/clusters.json``, ``evaluation/clusters.html`` and its pictures.

    All is made before the first file is replaced, and ``clusters.json`` is not there while the page is: a command that
    is killed leaves the results of the one before it, or shows that it was not finished.

    Args:
        run: The run.
        evaluation: What was found.
        about: ``truth`` (in words, or None) and ``encoder`` (its spec, or the reason why it was skipped).
        tick: Called with the number of summaries drawn and of all.

    Returns:
        The path of the page.
    """
    folder = run.path / "evaluation"
    by_number = {one.summary: one for one in run.summaries}
    drawn: dict[int, str] = {}
    for done, judged in enumerate(evaluation.summaries, 1):
        for member in by_number[judged.summary].members[:MEMBERS]:
            picture = jpeg(member_picture(run.frame(member.image), run.mask(member.image).binary, member.box))
            # a name of its own for each content: a page that is there keeps its pictures until the new one is
            drawn[member.part] = f"part-{member.part:05d}-{hashlib.sha256(picture).hexdigest()[:8]}.jpg"
            write_bytes(folder / PICTURES / drawn[member.part], picture)
        tick(done, len(evaluation.summaries))
    rows = [row.to_json() for row in evaluation.rows]
    html = (
        environment()
        .get_template("clusters.html")
        .render(
            run=Overview.of(run),
            images=len(run.ids),
            parts=run.clustered,
            clusters=len(run.summaries),
            rows=rows,
            methods=METHODS,
            measures=[one for one in MEASURES if any(row[one.key] is not None for row in rows)],
            judged=[(by_number[one.summary], one) for one in evaluation.summaries],
            visible=MEMBERS,
            about=about,
            pictures={part: f"{PICTURES}/{name}" for part, name in drawn.items()},
            gallery=(run.path / "gallery" / "index.html").is_file(),
        )
    )
    page, found = folder / "clusters.html", folder / "clusters.json"
    remove_file(found)
    write_bytes(page, html.encode())
    write_json(found, evaluation.to_json() | dict(about))
    remove_files(folder / PICTURES, set(drawn.values()))
    return page
