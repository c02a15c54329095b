"""Cohesion and separation of clusters, measured with an independent encoder.

The encoder was not used to make the clusters. With cos(k, l) the cosine of its vectors for the crops of two parts,

* cohesion of a cluster: the mean of cos(k, l) over the pairs of its members;
* separation of a cluster: the mean silhouette of its members (Rousseeuw, 1987) with the distance 1 - cos: (b - a) /
  max(a, b), a = mean distance to the other members, b = mean distance to the members of the nearest other cluster.
  1: far from all other clusters; 0: between two clusters; negative: nearer to another cluster. 0 for a cluster of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scales vectors (P, D) to length 1; vectors of length 0 stay.

    Examples:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = vectors.astype(np.float64)
    scaled: NDArray[np.float64] = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    return scaled


def cohesion(vectors: NDArray[np.float64], cluster: NDArray[np.int64]) -> float | None:
    """Mean cosine over all pairs of a cluster's members, in [-1, 1]; None for fewer than two members.

    Args:
        vectors: (P, D) of length 1 (see `unit`).
        cluster: Indices of the members.

    Examples:
        >>> vectors = unit(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> cohesion(vectors, np.array([0, 1])), cohesion(vectors, np.array([0, 2])), cohesion(vectors, np.array([0]))
        (1.0, 0.0, None)
    """
    members = vectors[cluster]
    pairs = (members @ members.T)[np.triu_indices(len(cluster), 1)]
    return float(pairs.mean()) if len(pairs) else None


def separation(vectors: NDArray[np.float64], clusters: Sequence[NDArray[np.int64]]) -> list[float | None]:
    """Mean silhouette of each cluster's members, in [-1, 1]; None for all if it is not defined.

    Args:
        vectors: (P, D) of length 1 (see `unit`).
        clusters: Indices of the members of each cluster; a part may be in several.

    Examples:
        >>> vectors = unit(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
        >>> separation(vectors, [np.array([0, 1]), np.array([2, 3])])
        [1.0, 1.0]
    """
    members = np.concatenate([*clusters, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    if len(clusters) < 2 or len(members) <= len(clusters):
        return [None] * len(clusters)
    labels = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
    distance = np.maximum(1 - vectors[members] @ vectors[members].T, 0)
    np.fill_diagonal(distance, 0)
    values = silhouette_samples(distance, labels, metric="precomputed")
    return [float(values[labels == number].mean()) for number in range(len(clusters))]
