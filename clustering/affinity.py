"""Affinity propagation of parts (Frey and Dueck, Science 2007; paper section 3.2).

The similarities of proposal flow have no natural scale, and many of them are exactly zero, which would decide any
preference that is taken from their quantiles. So they are put on a scale first, that of ranks,

    s(k, l) = share of the non-zero similarities that are at most Corr(k, l),    in (0, 1]; 0 where Corr is 0,

and the preference is a number on that scale: a part becomes an exemplar when it stands for others better than by
chance to that degree. Affinity propagation itself is scikit-learn's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.cluster import AffinityPropagation
from sklearn.exceptions import ConvergenceWarning


@dataclass(frozen=True)
class AffinityOptions:
    """How parts are clustered.

    Attributes:
        preference: Of every part to be an exemplar, on the scale of ranks; lower gives fewer clusters; <= 1.
        damping: Of the messages, in [0.5, 1) (reference: 0.9).
        iterations: At most, >= 1 (reference: 1000).
        convergence: Iterations without a change after which it has converged, >= 1 (reference: 100).
    """

    preference: float = 0.9
    damping: float = 0.9
    iterations: int = 1000
    convergence: int = 100


@dataclass(frozen=True)
class Clusters:
    """The clusters of P parts.

    Attributes:
        labels: int64 (P,), the cluster of each part, numbered from 0; -1 where there is none.
        exemplars: int64 (C,), the part that stands for each cluster.
        similarity: float32 (P, P), the similarities on the scale of ranks, in [0, 1].
        preference: The preference on that scale.
        converged: Whether the messages settled; if not, the clusters are those of the last iteration.
    """

    labels: NDArray[np.int64]
    exemplars: NDArray[np.int64]
    similarity: NDArray[np.float32]
    preference: float
    converged: bool


def ranked(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarities (P, P) >= 0 on the scale of ranks, in [0, 1]; zero stays zero, ties share their mean rank."""
    scaled = np.zeros_like(matrix)
    positive = matrix > 0
    if positive.any():
        scaled[positive] = rankdata(matrix[positive]) / np.count_nonzero(positive)
    return scaled


def propagate(matrix: NDArray[np.float32], options: AffinityOptions | None = None, *, seed: int = 0) -> Clusters:
    """Clusters parts by affinity propagation.

    Args:
        matrix: float32 (P, P), symmetric, >= 0; its diagonal is not used.
        options: Hyperparameters.
        seed: Of the tiny noise that breaks ties.

    Returns:
        The clusters, the largest first; a single part is a cluster of its own, no part gives no cluster.

    Raises:
        ValueError: If the matrix is not square.
    """
    options = options or AffinityOptions()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix: expected (P, P), got {matrix.shape}")
    similarity = ranked(matrix)
    parts = len(matrix)
    if parts < 2:
        labels = np.zeros(parts, dtype=np.int64)
        return Clusters(labels, np.arange(parts, dtype=np.int64), similarity, options.preference, True)
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
    converged = model.n_iter_ < options.iterations
    labels = np.asarray(model.labels_, dtype=np.int64)
    exemplars = np.asarray(model.cluster_centers_indices_, dtype=np.int64).reshape(-1)
    if len(exemplars) == 0:  # nothing settled at all
        return Clusters(np.full(parts, -1, dtype=np.int64), exemplars, similarity, options.preference, False)
    sizes = np.bincount(labels, minlength=len(exemplars))
    order = np.lexsort((exemplars, -sizes))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    return Clusters(number[labels], exemplars[order], similarity, options.preference, converged)
