"""Clusters that summaries are compared with: k-means and agglomerative clustering of the same parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.clusters.affinity import Clusters, propagate
from visual_summaries.clustering.metrics.baselines import (
    agglomerate,
    distance_to_centre,
    distance_to_members,
    kmeans,
    tightest,
)
from visual_summaries.clustering.options import AffinityOptions
from visual_summaries.summaries.evaluation.part_arrays import PartArrays

Partition = Sequence[NDArray[np.int64]]
"""Indices of the parts of each cluster."""


class Clusterer:
    """Clusters a subset of the parts with every method, all with the number of clusters of affinity propagation.

    Args:
        parts: The parts.
        options: Of affinity propagation.
        seed: Of random clusters.
    """

    def __init__(self, parts: PartArrays, options: AffinityOptions, seed: int) -> None:
        self.parts = parts
        self.options = options
        self.generator = np.random.default_rng(seed)

    def __call__(self, chosen: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
        """The labels of the chosen parts, by method."""
        clusters = self.propagated(chosen, seed)
        return {
            "summaries": clusters.labels,
            "random": self.generator.permutation(clusters.labels),
            "kmeans": self.kmeans(clusters, chosen, seed),
            "agglomerative": self.agglomerated(clusters),
        }

    def propagated(self, chosen: NDArray[np.int64], seed: int) -> Clusters:
        """Clusters of affinity propagation."""
        return propagate(self.parts.matrix[chosen][:, chosen], self.options, seed=seed)

    def kmeans(self, clusters: Clusters, chosen: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """Labels of k-means of the descriptors."""
        return kmeans(self.parts.descriptors[chosen], max(1, len(clusters.exemplars)), seed=seed)

    def agglomerated(self, clusters: Clusters) -> NDArray[np.int64]:
        """Labels of agglomerative clustering of the similarities."""
        return agglomerate(clusters.similarity, max(1, len(clusters.exemplars)))


def compared_clusters(
    parts: PartArrays, cluster: Clusterer, sizes: Sequence[int], min_members: int, seed: int
) -> dict[str, Partition]:
    """The tightest clusters of k-means and of agglomerative clustering, as many as there are summaries.

    Args:
        parts: The parts.
        cluster: Clusters them.
        sizes: Numbers of members of the summaries; the clusters are cut to no larger ones.
        min_members: Least number of members.
        seed: Of k-means.
    """
    everything = np.arange(len(parts.clustered), dtype=np.int64)
    if not len(everything):
        return {"kmeans": [], "agglomerative": []}
    propagated = cluster.propagated(everything, seed)
    by_descriptor = cluster.kmeans(propagated, everything, seed)
    linked = cluster.agglomerated(propagated)
    distances = {
        "kmeans": (by_descriptor, distance_to_centre(parts.descriptors, by_descriptor)),
        "agglomerative": (linked, distance_to_members(propagated.similarity, linked)),
    }
    return {
        name: tightest(labels, parts.clustered, distance, sizes, min_members=min_members)
        for name, (labels, distance) in distances.items()
    }
