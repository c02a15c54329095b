"""Pruning: which clusters are kept, and which members stay in them (paper section 3.2).

A cluster has one part an input, the one most similar to its exemplar. It is judged twice: first by the similarities of
its members from matching, then, as in the paper, by how alike they look (for images: SSIM, see
`clustering.metrics.ssim`), all pairs. With s_C the median over a cluster's pairs,

* by similarity, a cluster is kept if s_C reaches a quantile of s_C over clusters, and a member leaves if 60 % or more
  of its similarities are under that quantile;
* by SSIM, a cluster is kept if s_C >= 0.5 s, with s the median of s_C over clusters, and a member leaves if 80 % or
  more of its SSIMs are under s.

Departures: the paper has no pruning by similarity, and its SSIM rule is stricter (0.9, 60 %) on parts aligned by dense
flow. Aligned box to box, SSIM is high for uniform patches and low for textured parts that are tilted. Measured on the
embedded world, two seeds of 30 pictures per class (of the second six and seven classes), purity / recall of telling
parts:

    SSIM 0.9, 60 %, no rule by similarity    0.44         (first seed, a wider choice of parts)
    both rules, SSIM 0.9, 60 %               0.84 / 0.82  0.80 / 0.71
    both rules, SSIM 0.5, 80 % (default)     0.83 / 0.91  0.84 / 0.89

Clusters with too few members are pruned before any quantile is taken. A cluster of one part has no SSIM; in the
reference program it makes s undefined, which turns off all pruning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.options import PruneOptions


@dataclass(frozen=True)
class Cohesion:
    """The verdict on one cluster by similarity.

    Attributes:
        kept: Whether the cluster is kept.
        reason: Why it is pruned; empty if it is kept.
        leaves: For each member the reason why it leaves; empty if it stays.
    """

    kept: bool
    reason: str
    leaves: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one cluster by SSIM.

    Attributes:
        kept: Whether the cluster is kept.
        reason: Why it is pruned; empty if it is kept.
        median_ssim: Median over all pairs; None for fewer than two members.
        member_ssim: Median SSIM of each member to the others; None for fewer than two members.
        leaves: For each member the reason why it leaves; empty if it stays.
    """

    kept: bool
    reason: str
    median_ssim: float | None
    member_ssim: tuple[float | None, ...]
    leaves: tuple[str, ...]


def one_per_input(similarity: NDArray[np.float32], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of a cluster's parts, for each input the one that is most similar to the exemplar.

    Args:
        similarity: (K,) similarity to the exemplar, the exemplar's own the highest.
        owner: (K,) index of the input that owns the part.

    Returns:
        Indices into the parts, by falling similarity; ties go to the earlier part.

    Examples:
        >>> one_per_input(np.array([1.0, 0.5, 0.8]), np.array([0, 1, 1])).tolist()
        [0, 2]
    """
    order = np.argsort(-similarity, kind="stable")
    _, first = np.unique(owner[order], return_index=True)
    return order[np.sort(first)]


def cohere(similarities: Sequence[NDArray[np.float32]], options: PruneOptions | None = None) -> list[Cohesion]:
    """Prunes clusters by the similarities from matching.

    Args:
        similarities: For each cluster those (K, K) of all pairs of members, one member an input; NaN for pairs that
            were not matched, which do not count.
        options: Hyperparameters.

    Returns:
        One verdict a cluster, in the same order.

    Examples:
        >>> tight, loose = np.full((5, 5), 0.9, np.float32), np.full((5, 5), 0.1, np.float32)
        >>> [one.reason for one in cohere([tight, loose])]
        ['', "median similarity 0.1 is under the class's 0.42"]
    """
    options = options or PruneOptions()
    wanted = goal(similarities, options)
    return [_cohesion(matrix, wanted, options) for matrix in similarities]


def goal(similarities: Sequence[NDArray[np.float32]], options: PruneOptions | None = None) -> float:
    """The similarity that the clusters of a class must reach: `similarity_quantile` of their medians.

    Args:
        similarities: As for `cohere`.
        options: Hyperparameters.

    Examples:
        >>> clusters = [np.full((5, 5), similarity, np.float32) for similarity in (0.1, 0.5, 0.9)]
        >>> goal(clusters, PruneOptions(similarity_quantile=0.5))
        0.5
    """
    options = options or PruneOptions()
    return _quantile(similarities, options.min_members, options.similarity_quantile)


def _quantile(matrices: Sequence[NDArray[np.floating]], min_members: int, q: float) -> float:
    """Quantile of the medians of the clusters with enough members; 0 if there is no such cluster."""
    found = (_median(matrix) for matrix in matrices if len(matrix) >= max(min_members, 2))
    medians = [median for median in found if median is not None]
    return float(np.quantile(np.array(medians, dtype=np.float64), q)) if medians else 0.0


def _cohesion(matrix: NDArray[np.float32], goal: float, options: PruneOptions) -> Cohesion:
    members = len(matrix)
    stay = ("",) * members
    if members < options.min_members:
        reason = f"{members} member{'s' * (members != 1)}, a summary has at least {options.min_members}"
        return Cohesion(False, reason, stay)
    median = _median(matrix) or 0.0
    if median < goal:
        return Cohesion(False, f"median similarity {median:.3g} is under the class's {goal:.3g}", stay)
    others = ~np.isnan(matrix) & ~np.eye(members, dtype=bool)
    under = ((matrix < goal) & others).sum(axis=1) / np.maximum(others.sum(axis=1), 1)
    leaves = tuple(
        f"{share:.0%} of its similarities are under the class's {goal:.3g}" if share >= options.similarity_share else ""
        for share in under
    )
    left = members - sum(map(bool, leaves))
    if left < options.min_members:
        return Cohesion(False, f"{left} of {members} members match, a summary has at least {options.min_members}", stay)
    return Cohesion(True, "", leaves)


def prune(ssims: Sequence[NDArray[np.float64]], options: PruneOptions | None = None) -> list[Verdict]:
    """Prunes the clusters of a class by SSIM.

    Args:
        ssims: For each cluster the SSIMs (K, K) of all pairs of members, one member an input.
        options: Hyperparameters.

    Returns:
        One verdict a cluster, in the same order.

    Examples:
        >>> tight, loose = np.full((5, 5), 0.8), np.full((5, 5), 0.1)
        >>> [one.kept for one in prune([tight, tight, loose])]
        [True, True, False]
    """
    options = options or PruneOptions()
    medians = [_median(matrix) for matrix in ssims]
    class_median = _quantile(ssims, options.min_members, 0.5)
    return [_verdict(matrix, median, class_median, options) for matrix, median in zip(ssims, medians, strict=True)]


def _median(matrix: NDArray[np.floating]) -> float | None:
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    pairs = pairs[~np.isnan(pairs)]
    return float(np.median(pairs)) if len(pairs) else None


def _verdict(matrix: NDArray[np.float64], median: float | None, class_median: float, options: PruneOptions) -> Verdict:
    members = len(matrix)
    stay = ("",) * members
    if median is None or members < options.min_members:
        reason = f"{members} member{'s' * (members != 1)}, a summary has at least {options.min_members}"
        return Verdict(False, reason, median, _member_medians(matrix), stay)
    if median < options.cluster_share * class_median:
        reason = f"median SSIM {median:.3f} is under {options.cluster_share:g} of the class's {class_median:.3f}"
        return Verdict(False, reason, median, _member_medians(matrix), stay)
    others = ~np.eye(members, dtype=bool)
    under = ((matrix < class_median) & others).sum(axis=1) / (members - 1)
    leaves = tuple(
        f"{share:.0%} of its SSIMs are under the class's median {class_median:.3f}"
        if share >= options.member_share
        else ""
        for share in under
    )
    left = members - sum(map(bool, leaves))
    if left < options.min_members:
        reason = f"{left} of {members} members are alike, a summary has at least {options.min_members}"
        return Verdict(False, reason, median, _member_medians(matrix), stay)
    return Verdict(True, "", median, _member_medians(matrix), leaves)


def _member_medians(matrix: NDArray[np.float64]) -> tuple[float | None, ...]:
    members = len(matrix)
    if members < 2:
        return (None,) * members
    return tuple(float(np.median(np.delete(row, index))) for index, row in enumerate(matrix))
