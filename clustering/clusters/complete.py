"""Completing: each cluster looks for its part in every input.

Only few parts of an input are clustered, and each belongs to one cluster. So a cluster misses an input in which its
part has another outline, or no box among the clustered ones. After pruning, each cluster therefore looks in every
input that was matched with its exemplar's, among more candidates than were clustered, for one that matches its members:

    score of candidate b = mean_{m of other inputs} Corr(b, m).

A candidate fits if enough of its similarities to the members reach what members must reach
(`clustering.clusters.prune.goal`). Candidates are assigned by falling score: an input has one candidate in a cluster,
and a candidate belongs to one cluster. The exemplar stays, and members that were pruned by SSIM do not come back; new
candidates are not compared by SSIM. Departure: in the paper, clusters keep the parts that affinity propagation
assigned to them. Figures in docs/decisions.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.matching.pairs import adjacency
from visual_summaries.clustering.options import PruneOptions


def complete(
    members: Sequence[NDArray[np.int64]],
    similarity: csr_array,
    owner: NDArray[np.int64],
    part_owner: NDArray[np.int64],
    *,
    centres: Sequence[NDArray[np.int64]],
    taken: NDArray[np.int64],
    closed: Sequence[NDArray[np.int64]],
    goal: float,
    pairs: NDArray[np.int64] | None = None,
    options: PruneOptions | None = None,
) -> list[NDArray[np.int64]]:
    """Finds the candidate of each input that belongs to each cluster.

    Args:
        members: For each of S clusters its members, at most one an input, as indices of parts.
        similarity: float32 (B, P), of candidates to parts, >= 0.
        owner: int64 (B,), the input that owns each candidate, rising.
        part_owner: int64 (P,), the input that owns each part.
        centres: For each cluster its exemplar, as a candidate, which no other cluster takes, then the exemplars of
            clusters that were merged into it. An input is considered if it was matched with that of one of them.
        taken: Further candidates that no cluster may take.
        closed: For each cluster further candidates that it may not take.
        goal: The similarity that members must reach (`clustering.clusters.prune.goal`).
        pairs: int64 (n, 2), the pairs of inputs that were matched, one < other; None for all.
        options: `joins_share` is used; the defaults without it.

    Returns:
        For each cluster its candidates, at most one an input, the exemplar first, then by falling score.

    Examples:
        >>> owner = np.array([0, 1, 2])  # of three candidates, of which the first two are parts
        >>> similarity = csr_array(np.array([[0, 0.9], [0.9, 0], [0.8, 0.7]], np.float32))
        >>> cluster = np.array([0, 1])
        >>> nothing = np.zeros(0, np.int64)
        >>> further = {"centres": [cluster[:1]], "taken": nothing, "closed": [nothing], "goal": 0.5}
        >>> found = complete([cluster], similarity, owner, owner[:2], **further)
        >>> found[0].tolist()  # the candidate of the third input joins
        [0, 1, 2]
    """
    options = options or PruneOptions()
    inputs = 1 + int(owner.max(initial=-1))
    matched = None if pairs is None else adjacency(pairs, max(inputs, 1 + int(pairs.max(initial=-1))))
    claims: list[tuple[float, int, int, int]] = []
    exemplars = [int(own[0]) for own in centres]
    edges = np.flatnonzero(np.diff(owner, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges.tolist()):
        here = int(owner[start])
        found = similarity[start:end].toarray()
        known = np.arange(inputs) != here if matched is None else matched[[here]].toarray()[0] > 0
        for number, own in enumerate(members):
            homes = owner[centres[number]]
            others = own[known[part_owner[own]]]
            if homes[0] == here or not len(others) or not known[homes].any():
                continue
            to_others = found[:, others]
            under = ((to_others < goal) | (to_others <= 0)).mean(axis=1)
            fits = np.flatnonzero(under < options.joins_share)
            scores = to_others[fits].mean(axis=1)
            claims += [(float(score), number, here, start + int(one)) for score, one in zip(scores, fits, strict=True)]
    chosen: list[list[int]] = [[exemplar] for exemplar in exemplars]
    given: set[int] = {*exemplars, *taken.tolist()}
    served: set[tuple[int, int]] = set()
    barred = {(number, candidate) for number, own in enumerate(closed) for candidate in own.tolist()}
    for _, number, here, candidate in sorted(claims, key=lambda claim: (-claim[0], *claim[1:])):
        if candidate not in given and (number, here) not in served and (number, candidate) not in barred:
            given.add(candidate)
            served.add((number, here))
            chosen[number].append(candidate)
    return [np.array(candidates, dtype=np.int64) for candidates in chosen]
