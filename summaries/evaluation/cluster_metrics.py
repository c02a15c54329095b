"""The results of an evaluation of clusters, as written to ``evaluation/clusters.json`` and printed as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from visual_summaries.clustering.metrics.stability import Stability
from visual_summaries.summaries.evaluation.ground_truth import mean

METHODS = ("summaries", "random", "kmeans", "agglomerative")


@dataclass(frozen=True)
class ClusterMetrics:
    """Metrics of the clusters of one method; None if not measured.

    Attributes:
        purity: Mean fraction of a cluster's members on its majority part.
        recall: Fraction of the wanted true parts that are the majority part of a cluster.
        consistency: Fraction of the counted clusters whose boxes contain the same landmark.
        counted: Number of clusters that count for consistency.
        cohesion: Mean cosine similarity of two members' crops, in the features of an independent encoder.
        separation: Mean silhouette of the crops, in the same features.
        coverage: Fraction of images with a member of a cluster.
        mask_coverage: Fraction of the masks' area inside the boxes of members.
    """

    purity: float | None
    recall: float | None
    consistency: float | None
    counted: float | None
    cohesion: float | None
    separation: float | None
    coverage: float | None
    mask_coverage: float | None


@dataclass(frozen=True)
class ClusterMetricsRow:
    """A row of ``evaluation/clusters.json``.

    Attributes:
        method: One of `METHODS`.
        clusters: Number of clusters that are measured: the kept ones.
        members: Their mean size.
        metrics: See `ClusterMetrics`.
        stability: Of the clusters of all parts.
    """

    method: str
    clusters: int
    members: float | None
    metrics: ClusterMetrics
    stability: Stability

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        low, high = self.stability.interval or (None, None)
        return {
            "method": self.method,
            "clusters": self.clusters,
            "members": self.members,
            **asdict(self.metrics),
            "ari": mean(self.stability.samples),
            "ari_low": low,
            "ari_high": high,
            "ari_kept": mean(self.stability.kept),
            "ari_seeds": mean(self.stability.seeds),
        }


@dataclass(frozen=True)
class SummaryMetrics:
    """Metrics of one kept summary; None if not measured.

    Attributes:
        summary: Its number.
        members: Number of images with a part of it.
        part: The true part that most members lie on, empty for none.
        purity: Fraction of members on that part.
        landmark: The landmark that its boxes contain, empty for none; None also if the summary does not count.
        cohesion: Mean cosine similarity of two members' crops.
        separation: Mean silhouette of the members' crops.
    """

    summary: int
    members: int
    part: str | None
    purity: float | None
    landmark: str | None
    cohesion: float | None
    separation: float | None


@dataclass(frozen=True)
class ClusterEvaluation:
    """All results.

    Attributes:
        rows: One for each method, in the order of `METHODS`.
        summaries: The kept summaries.
    """

    rows: list[ClusterMetricsRow]
    summaries: list[SummaryMetrics]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain data."""
        return {"rows": [row.to_json() for row in self.rows], "summaries": [asdict(one) for one in self.summaries]}


def average(draws: Sequence[ClusterMetrics]) -> ClusterMetrics:
    """Mean of each metric over draws of random clusters."""
    return ClusterMetrics(
        **{field.name: mean(getattr(one, field.name) for one in draws) for field in fields(ClusterMetrics)}
    )


def table(evaluation: ClusterEvaluation) -> list[str]:
    """The results as lines of text."""
    columns = ("purity", "recall", "consistency", "cohesion", "separation", "ari", "coverage", "mask_coverage")
    rows = [row.to_json() for row in evaluation.rows]
    measured = [name for name in columns if any(row[name] is not None for row in rows)]
    lines = [" ".join([f"{'method':<14}{'clusters':>8}", *(f"{name:>{max(7, len(name))}}" for name in measured)])]
    for row in rows:
        texts = ("-" if row[name] is None else f"{row[name]:.3f}" for name in measured)
        cells = [f"{text:>{max(7, len(name))}}" for text, name in zip(texts, measured, strict=True)]
        lines.append(" ".join([f"{row['method']:<14}{row['clusters']:>8}", *cells]))
    for one in evaluation.summaries:
        if one.part is not None:
            lines.append(f"  summary {one.summary}: {one.part or 'no part'} ({one.purity:.0%})")
    return lines
