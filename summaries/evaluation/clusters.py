"""Whether a run's summaries mean anything, beside random clusters, k-means and agglomerative clustering.

What is measured against truth stands in `clustering.metrics.purity`, cohesion and separation in
`clustering.metrics.cohesion`, coverage in `clustering.metrics.coverage`, stability in `clustering.metrics.stability`,
and what the summaries are compared with in `clustering.metrics.baselines`. A cluster's figures are averaged over the
clusters of a method; random clusters, which have the sizes of the summaries, over
`summaries.evaluation.ground_truth.DRAWS` draws as well.

Stability is that of the clustering step: of the clusters of all parts, before pruning, under the run's own options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.clusters.affinity import Clusters, propagate
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.metrics.baselines import (
    agglomerate,
    distance_to_centre,
    distance_to_members,
    kmeans,
    tightest,
)
from visual_summaries.clustering.metrics.cohesion import cohesion, separation, unit
from visual_summaries.clustering.metrics.coverage import coverage, mask_coverage
from visual_summaries.clustering.metrics.purity import consistency, random_clusters, recall
from visual_summaries.clustering.metrics.stability import Stability, StabilityOptions, stability
from visual_summaries.clustering.options import AffinityOptions
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.evaluation.ground_truth import DRAWS, Truth, image_of_parts, mean
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.settings import Settings, override
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.store import Run

METHODS = ("summaries", "random", "kmeans", "agglomerative")

Clustering = Sequence[NDArray[np.int64]]
"""Indices of the parts of each cluster."""

Describer = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Gives the descriptors (M, D) of the boxes (M, 4) of an image."""


@dataclass(frozen=True)
class Figures:
    """What is measured of the clusters of one method; None where it is not.

    Attributes:
        purity: Mean share of members that lie on the cluster's majority part.
        recall: Share of the wanted parts that are the majority of a cluster.
        consistency: Share of the clusters that count whose boxes hold one same landmark.
        counted: Clusters that count for consistency.
        cohesion: Mean cosine of two members' crops in the third encoder.
        separation: Mean silhouette of the crops there.
        coverage: Share of images with a member of a cluster.
        mask_coverage: Share of the masks' area that lies in a member's box.
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
class Row:
    """A row of ``evaluation/clusters.json``.

    Attributes:
        method: One of `METHODS`.
        clusters: Clusters that are measured: the kept ones.
        members: Their mean size.
        figures: See `Figures`.
        stability: How the clusters of all parts come out again.
    """

    method: str
    clusters: int
    members: float | None
    figures: Figures
    stability: Stability

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        low, high = self.stability.interval or (None, None)
        return {
            "method": self.method,
            "clusters": self.clusters,
            "members": self.members,
            **asdict(self.figures),
            "ari": mean(self.stability.samples),
            "ari_low": low,
            "ari_high": high,
            "ari_kept": mean(self.stability.kept),
            "ari_seeds": mean(self.stability.seeds),
        }


@dataclass(frozen=True)
class Judged:
    """What is measured of one kept summary; None where it is not.

    Attributes:
        summary: Its number.
        members: Images it has a part of.
        part: The true part most members lie on, empty for none.
        purity: Share of members that lie on it.
        landmark: The landmark its boxes hold, empty for none; None also where it does not count.
        cohesion: Mean cosine of two members' crops.
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
class Evaluation:
    """All that is found.

    Attributes:
        rows: One a method, in the order of `METHODS`.
        summaries: The kept summaries.
    """

    rows: list[Row]
    summaries: list[Judged]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain data."""
        return {"rows": [row.to_json() for row in self.rows], "summaries": [asdict(one) for one in self.summaries]}


@dataclass(frozen=True)
class _Parts:
    """The R rows of ``parts.csv`` as arrays; the first P of them were clustered.

    Attributes:
        image: int64 (R,), index of the image.
        boxes: float32 (R, 4) xyxy.
        matrix: (P, P), similarities of proposal flow, dense or sparse.
        descriptors: float32 (P, D), what proposal flow compares, before it is reduced.
        masks: bool (H, W) of each image.
        vectors: (R, D) of the third encoder, of length 1; None without it.
    """

    image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    matrix: NDArray[np.float32] | csr_array
    descriptors: NDArray[np.float32]
    masks: list[NDArray[np.bool_]]
    vectors: NDArray[np.float64] | None

    @property
    def clustered(self) -> NDArray[np.int64]:
        """int64 (P,), index of the image of the parts that were clustered."""
        return self.image[: len(self.descriptors)]


def evaluate(
    run: Run,
    *,
    truth: Truth | None = None,
    vectors: NDArray[np.float32] | None = None,
    describer: Describer = describe,
    seed: int = 0,
    options: StabilityOptions | None = None,
    tick: Tick | None = None,
) -> Evaluation:
    """Measures the kept summaries of a run, and what they are compared with.

    Args:
        run: The run, with its ``work/``.
        truth: What is known of its parts.
        vectors: (R, D) of the third encoder, one a row of ``parts.csv``; see
            `summaries.evaluation.independent_encoder`.
        describer: Gives the descriptors that proposal flow compared, for k-means.
        seed: Of random clusters, k-means and bootstrap samples.
        options: Of the stability.
        tick: Called with the number of clusterings done and of all.

    Raises:
        UserError: If the similarities are not there, or not those of the run's parts.
    """
    settings = override(Settings(), run.info["config"]["settings"])
    parts = _read_parts(run, vectors, describer)
    for one in run.summaries:
        for member in one.members:
            if member.part >= len(run.parts) or run.parts[member.part].image != member.image:
                raise UserError(
                    f"{run.path / 'summaries.json'} and parts.csv do not belong together (summary {one.summary}): "
                    f"run `visual-summaries cluster {run.path}`"
                )
    cluster = _Clustering(parts, read_similarities(run).affinity(settings.affinity), seed)
    own = [np.array([member.part for member in one.members], dtype=np.int64) for one in run.summaries if one.kept]
    sizes = [len(one) for one in own]
    generator = np.random.default_rng(seed)
    drawn = [random_clusters(sizes, parts.clustered, generator) for _ in range(DRAWS)]
    chosen = {"summaries": own, "random": drawn[0], **_others(parts, cluster, sizes, settings.prune.min_members, seed)}
    measured = {name: _measure(run, parts, truth, clusters) for name, clusters in chosen.items()}
    measured["random"] = _average([_measure(run, parts, truth, clusters) for clusters in drawn])
    inside = {name: np.concatenate([*clusters, np.zeros(0, np.int64)]) for name, clusters in chosen.items()}
    again = stability(cluster, parts.clustered, inside, seed=seed, options=options, progress=tick)
    rows = [Row(name, len(chosen[name]), mean(map(len, chosen[name])), measured[name], again[name]) for name in METHODS]
    return Evaluation(rows, _judge(run, parts, truth, own))


def _others(
    parts: _Parts, cluster: _Clustering, sizes: Sequence[int], min_members: int, seed: int
) -> dict[str, Clustering]:
    """The clusters of k-means and of agglomerative clustering that compare with summaries of some sizes."""
    everything = np.arange(len(parts.clustered), dtype=np.int64)
    if not len(everything):
        return {"kmeans": [], "agglomerative": []}
    propagated = cluster.propagated(everything, seed)
    alike = cluster.kmeans(propagated, everything, seed)
    linked = cluster.agglomerated(propagated)
    away = {
        "kmeans": (alike, distance_to_centre(parts.descriptors, alike)),
        "agglomerative": (linked, distance_to_members(propagated.similarity, linked)),
    }
    return {
        name: tightest(labels, parts.clustered, distance, sizes, min_members=min_members)
        for name, (labels, distance) in away.items()
    }


def _judge(run: Run, parts: _Parts, truth: Truth | None, own: Clustering) -> list[Judged]:
    """What is measured of each kept summary."""
    judged = []
    kept = (one for one in run.summaries if one.kept)
    for one, members, silhouette in zip(kept, own, _separations(parts, own), strict=True):
        majority = truth.majority(members.tolist()) if truth is not None else None
        judged.append(
            Judged(
                summary=one.summary,
                members=len(members),
                part=majority.part if majority else None,
                purity=majority.purity if majority else None,
                landmark=truth.landmark(run, members.tolist()) if truth is not None else None,
                cohesion=cohesion(parts.vectors, members) if parts.vectors is not None else None,
                separation=silhouette,
            )
        )
    return judged


def read_similarities(run: Run) -> Matched[PartBoxes]:
    """The similarities of a run's parts.

    Raises:
        UserError: If they are not there, or not those of the run's parts.
    """
    file = run.path / "work" / "similarity.npz"
    again = f"`visual-summaries cluster {run.path}` makes it again"
    if not file.is_file():
        raise UserError(f"{file} is not there: {again}")
    matched = read_matched(file)
    clustered = run.parts[: len(matched.parts)]
    corners = matched.where.corners[matched.parts]
    if not np.array_equal(corners, np.array([part.box for part in clustered], np.float32).reshape(-1, 4)):
        raise UserError(f"{file} holds other parts than parts.csv: {again}")
    return matched


def _read_parts(run: Run, vectors: NDArray[np.float32] | None, describer: Describer) -> _Parts:
    matched = read_similarities(run)
    return _Parts(
        image=image_of_parts(run),
        boxes=np.array([part.box for part in run.parts], np.float32).reshape(-1, 4),
        matrix=matched.matrix,
        descriptors=_describe_parts(run, matched.where.corners[matched.parts], describer),
        masks=[run.mask(image).binary for image in run.ids],
        vectors=unit(vectors) if vectors is not None else None,
    )


def _describe_parts(run: Run, boxes: NDArray[np.float32], describer: Describer) -> NDArray[np.float32]:
    """The descriptors of the clustered parts of a run, float32 (P, D)."""
    places: dict[str, list[int]] = {}
    for place, part in enumerate(run.parts[: len(boxes)]):
        places.setdefault(part.image, []).append(place)
    with threadpool_limits(limits=1):
        found = [(here, describer(run.frame(image), boxes[here])) for image, here in places.items()]
    descriptors = np.zeros((len(boxes), found[0][1].shape[1] if found else 1), dtype=np.float32)
    for here, values in found:
        descriptors[here] = values
    return descriptors


class _Clustering:
    """Clusters some of the parts by every method; the others are asked for as many as affinity propagation finds."""

    def __init__(self, parts: _Parts, options: AffinityOptions, seed: int) -> None:
        self.parts = parts
        self.options = options
        self.generator = np.random.default_rng(seed)

    def __call__(self, chosen: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
        clusters = self.propagated(chosen, seed)
        return {
            "summaries": clusters.labels,
            "random": self.generator.permutation(clusters.labels),
            "kmeans": self.kmeans(clusters, chosen, seed),
            "agglomerative": self.agglomerated(clusters),
        }

    def propagated(self, chosen: NDArray[np.int64], seed: int) -> Clusters:
        return propagate(self.parts.matrix[chosen][:, chosen], self.options, seed=seed)

    def kmeans(self, clusters: Clusters, chosen: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        return kmeans(self.parts.descriptors[chosen], max(1, len(clusters.exemplars)), seed=seed)

    def agglomerated(self, clusters: Clusters) -> NDArray[np.int64]:
        return agglomerate(clusters.similarity, max(1, len(clusters.exemplars)))


def _measure(run: Run, parts: _Parts, truth: Truth | None, clusters: Clustering) -> Figures:
    majorities = [truth.majority(one.tolist()) for one in clusters] if truth is not None else []
    landmarks = [truth.landmark(run, one.tolist()) for one in clusters] if truth is not None else []
    vectors = parts.vectors
    return Figures(
        purity=mean(one.purity for one in majorities),
        recall=recall(majorities, truth.wanted) if truth is not None else None,
        consistency=consistency(landmarks),
        counted=float(sum(one is not None for one in landmarks)) if truth is not None else None,
        cohesion=mean(cohesion(vectors, one) for one in clusters) if vectors is not None else None,
        separation=mean(_separations(parts, clusters)),
        coverage=coverage(clusters, parts.image, len(run.ids)) if run.ids else None,
        mask_coverage=mask_coverage(clusters, parts.image, parts.boxes, parts.masks),
    )


def _separations(parts: _Parts, clusters: Clustering) -> list[float | None]:
    return separation(parts.vectors, clusters) if parts.vectors is not None else [None] * len(clusters)


def _average(drawn: Sequence[Figures]) -> Figures:
    return Figures(**{field.name: mean(getattr(one, field.name) for one in drawn) for field in fields(Figures)})


def table(evaluation: Evaluation) -> list[str]:
    """The figures as lines of text."""
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
