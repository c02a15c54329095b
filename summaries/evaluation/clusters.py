"""Metrics of a run's summaries, beside random clusters, k-means and agglomerative clustering.

Metrics against ground truth are in `clustering.metrics.purity`, cohesion and separation in
`clustering.metrics.cohesion`, coverage in `clustering.metrics.coverage`, stability in `clustering.metrics.stability`,
the baselines in `clustering.metrics.baselines`. The metrics of a method are means over its clusters; those of random
clusters, which have the sizes of the summaries, also over `summaries.evaluation.ground_truth.DRAWS` draws.

Stability is measured on the clusters of all parts, before pruning, with the run's own options.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.metrics.cohesion import cohesion, separation
from visual_summaries.clustering.metrics.coverage import coverage, mask_coverage
from visual_summaries.clustering.metrics.purity import consistency, random_clusters, recall
from visual_summaries.clustering.metrics.stability import StabilityOptions, stability
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.evaluation.cluster_metrics import (
    METHODS,
    ClusterEvaluation,
    ClusterMetrics,
    ClusterMetricsRow,
    SummaryMetrics,
    average,
)
from visual_summaries.summaries.evaluation.compared_clusters import Clusterer, Partition, compared_clusters
from visual_summaries.summaries.evaluation.ground_truth import DRAWS, Truth, mean
from visual_summaries.summaries.evaluation.part_arrays import Describer, PartArrays, read_parts, read_similarities
from visual_summaries.summaries.pipeline import recorded_settings
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import Run


def evaluate(
    run: Run,
    *,
    truth: Truth | None = None,
    vectors: NDArray[np.float32] | None = None,
    describer: Describer = describe,
    seed: int = 0,
    options: StabilityOptions | None = None,
    tick: Tick | None = None,
) -> ClusterEvaluation:
    """Measures the kept summaries of a run, and the clusters they are compared with.

    Args:
        run: The run, with its ``work/``.
        truth: Ground truth of its parts.
        vectors: (R, D) of the independent encoder, one for each row of ``parts.csv``; see
            `summaries.evaluation.independent_encoder`.
        describer: Computes the descriptors of proposal flow, for k-means.
        seed: Of random clusters, k-means and bootstrap samples.
        options: Of the stability.
        tick: Called with the number of clusterings done, and of all.

    Raises:
        UserError: The similarities are missing, or do not belong to the run's parts.
    """
    settings = recorded_settings(run.path)
    parts = read_parts(run, vectors, describer)
    _check_members(run)
    cluster = Clusterer(parts, read_similarities(run).affinity(settings.affinity), seed)
    own = [np.array([member.part for member in one.members], dtype=np.int64) for one in run.summaries if one.kept]
    sizes = [len(one) for one in own]
    generator = np.random.default_rng(seed)
    drawn = [random_clusters(sizes, parts.clustered, generator) for _ in range(DRAWS)]
    compared = compared_clusters(parts, cluster, sizes, settings.prune.min_members, seed)
    chosen: dict[str, Partition] = {"summaries": own, "random": drawn[0], **compared}
    measured = {name: _measure(run, parts, truth, clusters) for name, clusters in chosen.items()}
    measured["random"] = average([_measure(run, parts, truth, clusters) for clusters in drawn])
    members = {name: np.concatenate([*clusters, np.zeros(0, np.int64)]) for name, clusters in chosen.items()}
    stable = stability(cluster, parts.clustered, members, seed=seed, options=options, progress=tick)
    rows = [
        ClusterMetricsRow(name, len(chosen[name]), mean(map(len, chosen[name])), measured[name], stable[name])
        for name in METHODS
    ]
    return ClusterEvaluation(rows, _summary_metrics(run, parts, truth, own))


def _check_members(run: Run) -> None:
    """Refuses summaries of other parts than those of ``parts.csv``."""
    for one in run.summaries:
        for member in one.members:
            if member.part >= len(run.parts) or run.parts[member.part].image != member.image:
                raise UserError(
                    f"{run.path / 'summaries.json'} and parts.csv do not belong together (summary {one.summary}): "
                    f"run `visual-summaries cluster {run.path}`"
                )


def _summary_metrics(run: Run, parts: PartArrays, truth: Truth | None, own: Partition) -> list[SummaryMetrics]:
    """Metrics of each kept summary."""
    found = []
    kept = (one for one in run.summaries if one.kept)
    for one, members, silhouette in zip(kept, own, _separations(parts, own), strict=True):
        majority = truth.majority(members.tolist()) if truth is not None else None
        found.append(
            SummaryMetrics(
                summary=one.summary,
                members=len(members),
                part=majority.part if majority else None,
                purity=majority.purity if majority else None,
                landmark=truth.landmark(run, members.tolist()) if truth is not None else None,
                cohesion=cohesion(parts.vectors, members) if parts.vectors is not None else None,
                separation=silhouette,
            )
        )
    return found


def _measure(run: Run, parts: PartArrays, truth: Truth | None, clusters: Partition) -> ClusterMetrics:
    majorities = [truth.majority(one.tolist()) for one in clusters] if truth is not None else []
    landmarks = [truth.landmark(run, one.tolist()) for one in clusters] if truth is not None else []
    vectors = parts.vectors
    return ClusterMetrics(
        purity=mean(one.purity for one in majorities),
        recall=recall(majorities, truth.wanted) if truth is not None else None,
        consistency=consistency(landmarks),
        counted=float(sum(one is not None for one in landmarks)) if truth is not None else None,
        cohesion=mean(cohesion(vectors, one) for one in clusters) if vectors is not None else None,
        separation=mean(_separations(parts, clusters)),
        coverage=coverage(clusters, parts.image, len(run.ids)) if run.ids else None,
        mask_coverage=mask_coverage(clusters, parts.image, parts.boxes, parts.masks),
    )


def _separations(parts: PartArrays, clusters: Partition) -> list[float | None]:
    return separation(parts.vectors, clusters) if parts.vectors is not None else [None] * len(clusters)
