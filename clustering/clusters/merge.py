"""Merging: clusters that show one part in different neighbourhoods become one.

If each input is matched with its nearest inputs only, a cluster holds at most the parts of those inputs. Affinity
propagation then gives a part of a thousand inputs dozens of clusters, one a neighbourhood; but neighbourhoods overlap.
Two clusters are merged if at least half of the known similarities between them reach what the members of a cluster
must reach (`clustering.clusters.prune.goal`). Clusters with the largest share are merged first, and a merged cluster
is compared as a whole. If all pairs of inputs are matched, merging by this and by other rules gave no better clusters
on the embedded world (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.matching.pairs import adjacency
from visual_summaries.clustering.options import PruneOptions

SHARE = 0.5
"""Of the known similarities between two clusters, the share that must reach the goal."""


def merge(
    members: Sequence[NDArray[np.int64]],
    similarity: csr_array,
    owner: NDArray[np.int64],
    pairs: NDArray[np.int64],
    *,
    goal: float,
    options: PruneOptions | None = None,
) -> list[list[int]]:
    """Finds the clusters to merge.

    Args:
        members: For each of S clusters the indices of its parts among P.
        similarity: float32 (P, P) between parts, as it came from matching, symmetric.
        owner: int64 (P,), the input that owns each part.
        pairs: int64 (n, 2), the pairs of inputs that were matched, one < other.
        goal: The similarity that members must reach (`clustering.clusters.prune.goal`).
        options: At least `min_members` similarities must be known between two clusters; the defaults without it.

    Returns:
        For each cluster after merging the numbers of the clusters in it, rising; in the order of their first ones.

    Examples:
        >>> alike = np.ones((4, 4), np.float32) - np.eye(4, dtype=np.float32)
        >>> members, owner = [np.array([0, 1]), np.array([2, 3])], np.arange(4)
        >>> pairs = np.array([[0, 2], [0, 3], [1, 2], [1, 3]])
        >>> merge(members, csr_array(alike), owner, pairs, goal=0.5, options=PruneOptions(min_members=4))
        [[0, 1]]
        >>> merge(members, csr_array(alike), owner, pairs, goal=0.5)  # by default five similarities must be known
        [[0], [1]]
    """
    options = options or PruneOptions()
    count, inputs = len(members), 1 + max(int(indices.max(initial=-1)) for indices in (owner, pairs))
    cluster = np.repeat(np.arange(count), [len(own) for own in members])
    parts = np.concatenate([np.zeros(0, np.int64), *members])
    ones = np.ones(len(parts))
    belongs = csr_array((ones, (cluster, parts)), shape=(count, len(owner)))
    shows = csr_array((ones, (cluster, owner[parts])), shape=(count, inputs))
    reaches = similarity.copy()
    reaches.data = ((reaches.data >= goal) & (reaches.data > 0)).astype(np.float64)
    reached = (belongs @ reaches @ belongs.T).toarray()
    known = (shows @ adjacency(pairs, inputs) @ shows.T).toarray()

    merged = [[number] for number in range(count)]
    for found in (reached, known):
        np.fill_diagonal(found, 0)
    share = np.where(known >= options.min_members, reached / np.maximum(known, 1), 0.0)
    while count and share.max() >= SHARE:
        one, other = sorted(divmod(int(share.argmax()), count))
        merged[one] += merged[other]
        merged[other] = []
        for found in (reached, known):
            found[one] += found[other]
            found[:, one] = found[one]
            found[other] = found[:, other] = found[one, one] = 0
        share[other] = share[:, other] = 0
        new = np.where(known[one] >= options.min_members, reached[one] / np.maximum(known[one], 1), 0.0)
        share[one] = share[:, one] = new
    return [sorted(numbers) for numbers in merged if numbers]
