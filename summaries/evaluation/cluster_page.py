"""The page of ``evaluate summaries``: metrics of a run's summaries beside those of other clusters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visual_summaries.summaries.evaluation.cluster_metrics import ClusterEvaluation
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
    """How a metric is shown.

    Attributes:
        key: Its name in ``clusters.json``.
        title: Its heading.
        meaning: Its definition, in a sentence.
        interval: Names of the ends of its interval; empty without one.
    """

    key: str
    title: str
    meaning: str
    interval: tuple[str, str] | tuple[()] = ()


MEASURES = (
    Measure("purity", "Purity", "Fraction of a cluster’s members that lie on its most frequent true part."),
    Measure(
        "recall",
        "Recall of parts",
        "Fraction of the true parts to be found that are the most frequent part of at least one cluster.",
    ),
    Measure(
        "consistency",
        "Consistency",
        "Fraction of clusters whose boxes contain the same landmark in at least 80 % of the images in which it is "
        "visible. Boxes larger than a quarter of the object and clusters of fewer than four images do not count.",
    ),
    Measure(
        "cohesion",
        "Cohesion",
        "Mean cosine similarity of the crops of two members of a cluster, in the features of the independent encoder.",
    ),
    Measure(
        "separation",
        "Separation",
        "Mean silhouette of the crops in these features: near 1 if clusters are far apart, 0 if they touch, negative "
        "if they overlap.",
    ),
    Measure(
        "ari",
        "Stability",
        "Adjusted Rand index between the clusters of all parts and the clusters of bootstrap samples of the images: 1 "
        "if they are equal, 0 by chance. The line spans 95 % of the samples.",
        ("ari_low", "ari_high"),
    ),
    Measure(
        "ari_kept",
        "Stability of kept clusters",
        "The same index on the parts of the kept clusters only.",
    ),
    Measure(
        "ari_seeds", "Stability over seeds", "The same index between the clusters of all parts with different seeds."
    ),
    Measure("coverage", "Coverage of images", "Fraction of images with a part in at least one cluster."),
    Measure("mask_coverage", "Coverage of masks", "Fraction of the masks’ area inside the boxes of members."),
)


def write_page(
    run: Run, evaluation: ClusterEvaluation, about: Mapping[str, Any], tick: Callable[[int, int], None]
) -> Path:
    """Writes ``evaluation/clusters.json``, ``evaluation/clusters.html`` and its pictures.

    Everything is computed before the first file is replaced, and ``clusters.json`` is removed first and written last:
    an interrupted command leaves the previous results, or no ``clusters.json``.

    Args:
        run: The run.
        evaluation: The results.
        about: ``truth`` (its source, or None) and ``encoder`` (its spec, or the reason why it was skipped).
        tick: Called with the number of summaries drawn, and of all.

    Returns:
        The path of the page.
    """
    folder = run.path / "evaluation"
    by_number = {one.summary: one for one in run.summaries}
    drawn: dict[int, str] = {}
    for done, measured in enumerate(evaluation.summaries, 1):
        for member in by_number[measured.summary].members[:MEMBERS]:
            picture = jpeg(member_picture(run.frame(member.image), run.mask(member.image).binary, member.box))
            # named by content, so that the previous page keeps its pictures until it is replaced
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
            measured=[(by_number[one.summary], one) for one in evaluation.summaries],
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
