"""Affinity propagation of parts (Frey and Dueck, Science 2007; paper section 3.2).

The similarities of proposal flow have no natural scale, and many of them are exactly zero, so a preference taken from
their quantiles would depend mostly on the number of zeros. Therefore they are first replaced by their ranks,

    s(k, l) = fraction of the non-zero similarities that are at most Corr(k, l),    in (0, 1]; 0 if Corr is 0.

Equal similarities share the highest of their ranks; the diagonal does not count. The preference is a number on that
scale. Up to a few thousand parts, affinity propagation is scikit-learn's, in float64. For more parts, and for sparse
similarities, messages are passed along the non-zero similarities only (see `clustering.clusters.message_passing`). On
full matrices both give the same clusters. For scikit-learn a zero is a similarity like any other; for message passing
it means that neither part can be the other's exemplar.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import rankdata
from sklearn.cluster import AffinityPropagation
from sklearn.exceptions import ConvergenceWarning

from visual_summaries.clustering.clusters.message_passing import pass_messages
from visual_summaries.clustering.options import AffinityOptions

DENSE_PARTS = 3000
"""Most parts that scikit-learn clusters: its six float64 matrices (P, P) take 430 MB then."""


@dataclass(frozen=True)
class Clusters:
    """The clusters of P parts.

    Attributes:
        labels: int64 (P,), the cluster of each part, numbered from 0; -1 for no cluster.
        exemplars: int64 (C,), the part that represents each cluster.
        similarity: float32 (P, P), the similarities on the scale of ranks, in [0, 1]; sparse if the
            input was.
        preference: The preference on that scale.
        converged: Whether the messages converged; if not, the clusters are those of the last iteration.
        known: float32 (n,), the non-zero similarities before ranking, rising.
    """

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    similarity: NDArray[np.float32] | csr_array
    preference: float
    converged: bool
    known: NDArray[np.float32]

    def similarity_to(self, exemplar: int, parts: NDArray[np.int64]) -> NDArray[np.float32]:
        """The similarity of some parts to an exemplar, float32 (len(parts),)."""
        rows = self.similarity[parts]
        column: NDArray[np.float32] = (
            rows[:, exemplar] if isinstance(rows, np.ndarray) else rows[:, [exemplar]].toarray()[:, 0]
        )
        return column

    def scale(self, value: float) -> float:
        """The value on the scale of ranks, in [0, 1], for a similarity before ranking."""
        return float(np.searchsorted(self.known, value, side="right")) / max(len(self.known), 1) if value > 0 else 0.0


def ranked(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarities >= 0 of any shape on the scale of ranks, in [0, 1]; zeros stay, ties share their highest rank.

    Examples:
        >>> ranked(np.array([0.0, 7.0, 9.0, 0.1, 0.1], np.float32)).tolist()
        [0.0, 0.75, 1.0, 0.5, 0.5]
    """
    scaled = np.zeros_like(matrix)
    positive = matrix > 0
    if positive.any():
        scaled[positive] = rankdata(matrix[positive], method="max") / np.count_nonzero(positive)
    return scaled


def propagate(
    matrix: NDArray[np.float32] | csr_array, options: AffinityOptions | None = None, *, seed: int = 0
) -> Clusters:
    """Clusters parts by affinity propagation.

    Args:
        matrix: float32 (P, P), symmetric, >= 0; its diagonal is not used. Zeros of a sparse matrix are unknown
            similarities.
        options: Hyperparameters; `nearest_preference` is not used.
        seed: Of the tiny noise that breaks ties.

    Returns:
        The clusters, the largest first; a single part is a cluster of its own.

    Raises:
        ValueError: If the matrix is not square.

    Examples:
        >>> matrix = np.full((6, 6), 0.1, np.float32)
        >>> matrix[:3, :3] = matrix[3:, 3:] = 0.9
        >>> found = propagate(matrix)
        >>> len(found.exemplars), found.labels.tolist()
        (2, [0, 0, 0, 1, 1, 1])
    """
    options = options or AffinityOptions()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix: expected (P, P), got {matrix.shape}")
    parts = matrix.shape[0]
    matrix = _without_diagonal(matrix)
    similarity = _scaled(matrix)
    values = matrix if isinstance(matrix, np.ndarray) else matrix.data
    known = np.sort(values[values > 0])
    if parts < 2:
        labels = np.zeros(parts, dtype=np.int64)
        return Clusters(labels, np.arange(parts, dtype=np.int64), similarity, options.preference, True, known)
    if isinstance(similarity, np.ndarray) and parts <= DENSE_PARTS:
        labels, exemplars, iterations = _on_all(similarity, options, seed)
    else:
        found = pass_messages(
            csr_array(similarity),
            options.preference,
            damping=options.damping,
            iterations=options.iterations,
            convergence=options.convergence,
            seed=seed,
        )
        labels, exemplars, iterations = found.labels, found.exemplars, found.iterations
    if len(exemplars) == 0:  # nothing settled at all
        return Clusters(np.full(parts, -1, dtype=np.int64), exemplars, similarity, options.preference, False, known)
    sizes = np.bincount(labels[labels >= 0], minlength=len(exemplars))
    order = np.lexsort((exemplars, -sizes))
    number = np.full(len(order) + 1, -1, dtype=np.int64)  # the last one stands for no cluster
    number[order] = np.arange(len(order))
    converged = iterations < options.iterations
    return Clusters(number[labels], exemplars[order], similarity, options.preference, converged, known)


def _without_diagonal(matrix: NDArray[np.float32] | csr_array) -> NDArray[np.float32] | csr_array:
    """The matrix with zeros on its diagonal."""
    if not matrix.diagonal().any():
        return matrix
    emptied = matrix.copy()
    if isinstance(emptied, np.ndarray):
        np.fill_diagonal(emptied, 0)
    else:
        emptied.setdiag(0)
    return emptied


def _scaled(matrix: NDArray[np.float32] | csr_array) -> NDArray[np.float32] | csr_array:
    """The matrix on the scale of ranks; a sparse one without stored zeros."""
    if isinstance(matrix, np.ndarray):
        return ranked(matrix)
    scaled = csr_array(matrix, copy=True)
    scaled.eliminate_zeros()
    scaled.data = ranked(scaled.data)
    return scaled


def _on_all(
    similarity: NDArray[np.float32], options: AffinityOptions, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Labels, exemplars and iterations of scikit-learn's affinity propagation."""
    model = AffinityPropagation(
        damping=options.damping,
        max_iter=options.iterations,
        convergence_iter=options.convergence,
        preference=options.preference,
        affinity="precomputed",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(similarity.astype(np.float64))
    exemplars = np.asarray(model.cluster_centers_indices_, dtype=np.int64).reshape(-1)
    return np.asarray(model.labels_, dtype=np.int64), exemplars, int(model.n_iter_)
