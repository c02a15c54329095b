"""Baselines: other clusterings of the same parts, to compare affinity propagation and pruning with; scikit-learn's.

* k-means on the descriptors of the parts. It uses appearance only, not the geometry that proposal flow compares.
* Agglomerative clustering, average linkage, on the similarities that affinity propagation gets.

Both make as many clusters as affinity propagation found. They have no pruning of their own, so `tightest` chooses
clusters of theirs that are comparable with the summaries: as many clusters, of the same sizes, the tightest by the
method's own measure, with at most one part an input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import AgglomerativeClustering, KMeans
from threadpoolctl import threadpool_limits


def kmeans(descriptors: NDArray[np.float32], count: int, *, seed: int) -> NDArray[np.int64]:
    """k-means of unit vectors, so that a distance stands for an angle.

    Args:
        descriptors: (P, D); they are scaled to unit length.
        count: Clusters, in 1..P.
        seed: Of the first centres.

    Returns:
        int64 (P,) labels from 0.

    Examples:
        >>> labels = kmeans(np.array([[1, 0], [5, 0.1], [0, 1]], np.float32), 2, seed=0)
        >>> bool(labels[0] == labels[1]), bool(labels[0] == labels[2])  # length does not count
        (True, False)
    """
    with threadpool_limits(limits=1):  # sums must not depend on the number of threads
        labels = KMeans(count, n_init=3, random_state=seed).fit_predict(_unit(descriptors))
    return np.asarray(labels, dtype=np.int64)


def agglomerate(similarity: NDArray[np.float32] | csr_array, count: int) -> NDArray[np.int64]:
    """Agglomerative clustering with average linkage on the distance 1 - similarity.

    Args:
        similarity: (P, P), symmetric, in [0, 1]; its diagonal is not used. A sparse one is made dense, which takes
            about 20 P^2 bytes.
        count: Clusters, in 1..P.

    Returns:
        int64 (P,) labels from 0.

    Examples:
        >>> similarity = np.array([[0, 0.9, 0.1], [0.9, 0, 0.1], [0.1, 0.1, 0]], np.float32)
        >>> labels = agglomerate(similarity, 2)
        >>> bool(labels[0] == labels[1]), bool(labels[0] == labels[2])
        (True, False)
    """
    parts = np.arange(similarity.shape[0])
    if len(parts) < 2:
        return np.zeros(len(parts), dtype=np.int64)
    distance = _distances(similarity, parts)
    model = AgglomerativeClustering(count, metric="precomputed", linkage="average")
    return np.asarray(model.fit_predict(distance), dtype=np.int64)


def distance_to_centre(descriptors: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance (P,) of each part, as a unit vector, to the mean of its cluster.

    Examples:
        >>> distance_to_centre(np.array([[2, 0], [3, 0], [0, 1]], np.float32), np.array([0, 0, 1])).tolist()
        [0.0, 0.0, 0.0]
    """
    unit = _unit(descriptors)
    away = np.zeros(len(unit))
    for label in np.unique(labels):
        parts = np.flatnonzero(labels == label)
        away[parts] = np.linalg.norm(unit[parts] - unit[parts].mean(axis=0), axis=1)
    return away


def distance_to_members(similarity: NDArray[np.float32] | csr_array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of 1 - similarity (P,) of each part to the others of its cluster, 0 for a part alone.

    Examples:
        >>> similarity = np.array([[0, 0.75, 0], [0.75, 0, 0], [0, 0, 0]], np.float32)
        >>> distance_to_members(similarity, np.array([0, 0, 1])).tolist()
        [0.25, 0.25, 0.0]
    """
    away = np.zeros(len(labels))
    for label in np.unique(labels):
        parts = np.flatnonzero(labels == label)
        if len(parts) > 1:
            away[parts] = _distances(similarity, parts).sum(axis=1) / (len(parts) - 1)
    return away


def _distances(similarity: NDArray[np.float32] | csr_array, parts: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 - similarity between some parts, float64 (K, K), 0 on the diagonal."""
    block = similarity[parts][:, parts]
    distance: NDArray[np.float64] = 1 - np.asarray(block if isinstance(block, np.ndarray) else block.toarray(), float)
    np.fill_diagonal(distance, 0)
    return distance


def tightest(
    labels: NDArray[np.int64],
    owner: NDArray[np.int64],
    distance: NDArray[np.float64],
    sizes: Sequence[int],
    *,
    min_members: int,
) -> list[NDArray[np.int64]]:
    """Chooses clusters that are comparable with the summaries.

    Each cluster keeps, for each input, the part with the least distance. Of the clusters with enough members, those
    with the least mean distance are taken, as many as there are summaries. The largest of them is reduced to the size
    of the largest summary, the next one to that of the next, and so on; the parts with the least distance stay.

    Args:
        labels: (P,) clusters.
        owner: (P,) index of the input that owns each part.
        distance: (P,) of each part to its cluster, lower is nearer.
        sizes: Members of each summary.
        min_members: Fewest members of a summary.

    Returns:
        Indices of the parts of each cluster, the nearest first; fewer clusters than sizes if there are not enough.

    Examples:
        >>> labels, owner = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1])
        >>> distance = np.array([0.1, 0.2, 0.3, 0.8, 0.9])
        >>> [cluster.tolist() for cluster in tightest(labels, owner, distance, [2], min_members=2)]
        [[0, 1]]
    """
    found = []
    for label in np.unique(labels):
        parts = np.flatnonzero(labels == label)
        parts = parts[np.argsort(distance[parts], kind="stable")]
        _, first = np.unique(owner[parts], return_index=True)
        parts = parts[np.sort(first)]
        if len(parts) >= min_members:
            found.append(parts)
    found.sort(key=lambda parts: float(distance[parts].mean()))
    chosen = sorted(found[: len(sizes)], key=len, reverse=True)
    return [parts[:size] for parts, size in zip(chosen, sorted(sizes, reverse=True), strict=False)]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(length, np.float32(1e-12))
    return unit
