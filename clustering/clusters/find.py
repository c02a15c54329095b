"""From the similarities of parts to pruned, merged and completed clusters.

1. Affinity propagation groups the parts; each cluster keeps one part an input.
2. Clusters are pruned by similarity, then by how alike their members look.
3. If not all pairs of inputs were matched, clusters that show one part in different neighbourhoods are merged.
4. The clusters that remain are completed. New members may allow further merging, so 3 and 4 are repeated until the
   number of clusters stays.

How alike two parts look depends on what an input is, so the caller gives a function for it (SSIM of boxes for images).
Nothing else here depends on where a part lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.clusters.affinity import Clusters, propagate
from visual_summaries.clustering.clusters.complete import complete
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.clusters.merge import merge
from visual_summaries.clustering.clusters.prune import cohere, goal, one_per_input, prune
from visual_summaries.clustering.options import AffinityOptions, PruneOptions

Compare = Callable[[Sequence[int]], NDArray[np.float64]]
"""How alike some candidates look, by their indices: float64 (K, K), symmetric, at most 1, 1 on the diagonal."""

COMPARED = 50
"""Members of a cluster that are compared by their looks, the most similar first: all pairs of many take too long."""


class Rows:
    """Candidates that are parts or members of a cluster, numbered: first the P parts, then the others as they come.

    Args:
        matched: The candidates.
    """

    def __init__(self, matched: Matched[Any]) -> None:
        self._matched = matched
        self._candidates: list[int] = matched.parts.tolist()  # of each row
        self._row = {candidate: row for row, candidate in enumerate(self._candidates)}

    def __len__(self) -> int:
        """Rows that exist by now."""
        return len(self._candidates)

    def candidate(self, row: int) -> int:
        """The candidate of a row."""
        return self._candidates[row]

    def add(self, candidate: int) -> int:
        """The row of a candidate; a new one if it has none."""
        if candidate not in self._row:
            self._row[candidate] = len(self._candidates)
            self._candidates.append(candidate)
        return self._row[candidate]

    def owner(self, row: int) -> int:
        """The index of the input that owns a row."""
        return int(self._matched.owner[self._candidates[row]])

    def similarity(self, row: int, exemplar: int, others: Iterable[int]) -> float:
        """Similarity to an exemplar, or the mean of the known similarities to other parts.

        The latter if the two inputs were not matched, which happens in clusters that were merged.

        Args:
            row: A row.
            exemplar: The row of a part.
            others: Further rows; those that are parts count.
        """
        parts = np.array([exemplar, *(part for part in others if part < len(self._matched.parts))])
        (known,) = self._matched.known(np.array([self.owner(row)]), self._matched.part_owner[parts])
        found = self._matched.similarity[[self._candidates[row]]][:, parts].toarray()[0]
        return float(found[0] if known[0] else found[known].mean())


@dataclass
class Group:
    """A cluster while it is pruned, merged and completed; members are rows (see `Rows`).

    Attributes:
        exemplar: The part that represents it.
        centres: The exemplar, and the exemplars of clusters that were merged into it.
        first: Its parts after affinity propagation, one an input.
        stay: Its members so far, the exemplar first.
        reason: Why it is pruned; empty while it is kept.
        left: Rows that were members, with the reason why they are not any more.
        barred: Those of them that look unlike the others; they cannot become members again.
    """

    exemplar: int
    centres: list[int]
    first: list[int]
    stay: list[int]
    reason: str = ""
    left: dict[int, str] = field(default_factory=dict)
    barred: list[int] = field(default_factory=list)

    def parts(self, count: int) -> NDArray[np.int64]:
        """Those of its members that are parts, given the number of parts."""
        return np.array([row for row in self.stay if row < count], dtype=np.int64)

    def leave(self, reasons: Mapping[int, str]) -> None:
        """Removes the members that have a reason; the exemplar stays."""
        self.left |= {row: why for row, why in reasons.items() if why and row != self.exemplar}
        self.stay = [row for row in self.stay if row not in self.left]


@dataclass(frozen=True)
class Found:
    """The clusters of a class.

    Attributes:
        groups: Kept and pruned clusters, the largest first.
        rows: The rows that the groups refer to.
        propagated: The result of affinity propagation, with its scale of similarities.
    """

    groups: list[Group]
    rows: Rows
    propagated: Clusters


def find_clusters(
    matched: Matched[Any], compare: Compare, *, affinity: AffinityOptions, pruning: PruneOptions, seed: int
) -> Found:
    """Clusters the parts of a class, and prunes, merges and completes the clusters.

    Args:
        matched: The parts and candidates; `where` is not read.
        compare: How alike candidates look.
        affinity: Options of affinity propagation.
        pruning: Options of pruning, merging and completing.
        seed: Of the noise that breaks ties.

    Examples:
        >>> from scipy.sparse import csr_array
        >>> kind = np.tile([0, 1], 8)  # eight inputs with one part of each of two kinds
        >>> alike = np.where(kind[:, None] == kind, 0.8, 0.1).astype(np.float32)
        >>> matched = Matched(csr_array(alike), np.repeat(np.arange(8), 2), np.arange(16), None)
        >>> options = {"affinity": AffinityOptions(), "pruning": PruneOptions()}
        >>> found = find_clusters(matched, lambda some: np.ones((len(some), len(some))), seed=0, **options)
        >>> [kind[group.stay].tolist() for group in found.groups]
        [[0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]]
    """
    clusters = propagate(matched.matrix, matched.affinity(affinity), seed=seed)
    groups = [_group(clusters, number, matched.part_owner) for number in range(len(clusters.exemplars))]
    similarities = [matched.among(group.first) for group in groups]
    for group, cohesion in zip(groups, cohere(similarities, pruning), strict=True):
        group.reason = cohesion.reason
        group.leave(dict(zip(group.first, cohesion.leaves, strict=True)))
    rows = Rows(matched)
    _prune_by_looks(groups, rows, compare, pruning)
    wanted = goal(similarities, pruning)
    groups, before = _merge(groups, matched, wanted, pruning), 0
    while len(groups) != before:  # completed clusters have members in more inputs, and may be merged further
        before = len(groups)
        _complete(groups, matched, rows, wanted, pruning)
        groups = _merge(groups, matched, wanted, pruning)
    groups.sort(key=lambda group: (-len(group.stay), group.exemplar))
    return Found(groups, rows, clusters)


def _group(clusters: Clusters, number: int, owner: NDArray[np.int64]) -> Group:
    exemplar = int(clusters.exemplars[number])
    parts = np.flatnonzero(clusters.labels == number)
    alike = clusters.similarity_to(exemplar, parts)
    alike[parts == exemplar] = 2.0  # ranks are at most 1: the exemplar comes first
    first: list[int] = parts[one_per_input(alike, owner[parts])].tolist()
    why = "another part of this image is more similar to the exemplar"
    left = dict.fromkeys(sorted(set(parts.tolist()) - set(first)), why)
    return Group(exemplar, [exemplar], first, first, left=left)


def _prune_by_looks(groups: Sequence[Group], rows: Rows, compare: Compare, options: PruneOptions) -> None:
    compared = max(COMPARED, 2 * options.min_members)
    kept = [group for group in groups if not group.reason]
    alike = [compare([rows.candidate(row) for row in group.stay[:compared]]) for group in kept]
    for group, verdict in zip(kept, prune(alike, options), strict=True):
        group.reason = verdict.reason
        if verdict.kept:
            unlike = dict(zip(group.stay, verdict.leaves, strict=False))  # only those that were compared
            group.barred = [row for row, why in unlike.items() if why]
            group.leave(unlike)


def _merge(groups: list[Group], matched: Matched[Any], wanted: float, options: PruneOptions) -> list[Group]:
    """Merges kept groups that show one part in different neighbourhoods, if not all pairs of inputs were matched."""
    if matched.pairs is None:
        return groups
    kept, owner, count = [group for group in groups if not group.reason], matched.part_owner, len(matched.parts)
    numbers = merge(
        [group.parts(count) for group in kept],
        matched.similarity[matched.parts],
        owner,
        matched.pairs,
        goal=wanted,
        options=options,
    )
    merged = [group for group in groups if group.reason]
    for together in numbers:
        first, *others = (kept[number] for number in together)
        for group in others:
            present = {int(owner[row]) for row in first.parts(count)}
            further = [int(row) for row in group.parts(count) if int(owner[row]) not in present]
            first.centres = first.centres + group.centres
            first.stay = first.stay + further
            first.barred += group.barred
            first.left |= group.left
        merged.append(first)
    return merged


def _complete(groups: Sequence[Group], matched: Matched[Any], rows: Rows, wanted: float, options: PruneOptions) -> None:
    """Looks for the parts of kept groups in all inputs; candidates that they take leave the other groups."""
    kept = [group for group in groups if not group.reason]
    pruned = [group for group in groups if group.reason]
    found = complete(
        [group.parts(len(matched.parts)) for group in kept],
        matched.similarity,
        matched.owner,
        matched.part_owner,
        centres=[matched.parts[group.centres] for group in kept],
        taken=matched.parts[[group.exemplar for group in pruned]],
        closed=[matched.parts[group.barred] for group in kept],
        goal=wanted,
        pairs=matched.pairs,
        options=options,
    )
    taken: set[int] = set()
    for group, candidates in zip(kept, found, strict=True):
        completed = [rows.add(candidate) for candidate in candidates.tolist()]
        gone = set(group.stay) - set(completed)
        group.left |= dict.fromkeys(sorted(gone), "another box matches the summary better, or the box another summary")
        group.left = {row: why for row, why in group.left.items() if row not in completed}
        group.stay = completed
        taken |= set(completed)
        if len(completed) < options.min_members:
            group.reason = f"its part is found in {len(completed)} images, a summary has at least {options.min_members}"
    for group in pruned:
        group.leave({row: "it belongs to another summary" for row in group.stay if row in taken})
