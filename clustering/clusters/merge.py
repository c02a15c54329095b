"""Summaries that show one part in different neighbourhoods are merged.

Where each image is matched with its nearest only, a cluster holds at most the parts of those images: affinity
propagation gives a part of a thousand images dozens of clusters, one a neighbourhood. But neighbourhoods overlap. Two
summaries are one when half of the similarities that are known between them reach what the members of a summary have to
(`clustering.clusters.prune.goal`); those with the largest share are merged first, and what has been merged is compared
as a whole. Where all pairs of images are matched there is nothing to mend: merging by the same rule, or by others, gave
no better clusters on the embedded world (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.matching.pairs import adjacency
from visual_summaries.clustering.options import PruneOptions

SHARE = 0.5
"""Of the known similarities between two summaries that has to reach the goal."""


def merge(
    members: Sequence[NDArray[np.int64]],
    similarity: csr_array,
    image: NDArray[np.int64],
    pairs: NDArray[np.int64],
    *,
    goal: float,
    options: PruneOptions | None = None,
) -> list[list[int]]:
    """Which summaries are one.

    Args:
        members: For each of S summaries the indices of its parts among P.
        similarity: float32 (P, P) between parts, as it came from matching, symmetric.
        image: int64 (P,), the image that holds each part.
        pairs: int64 (n, 2), the pairs of images that were matched, one < other.
        goal: The similarity that members have to reach (`clustering.clusters.prune.goal`).
        options: At least `min_members` similarities have to be known between two summaries.

    Returns:
        The summaries, by their numbers in rising order, of each that stays; in the order of their first ones.

    Examples:
        >>> alike = np.ones((4, 4), np.float32) - np.eye(4, dtype=np.float32)
        >>> members, images = [np.array([0, 1]), np.array([2, 3])], np.arange(4)
        >>> pairs = np.array([[0, 2], [0, 3], [1, 2], [1, 3]])
        >>> merge(members, csr_array(alike), images, pairs, goal=0.5, options=PruneOptions(min_members=4))
        [[0, 1]]
        >>> merge(members, csr_array(alike), images, pairs, goal=0.5)  # by default five similarities have to be known
        [[0], [1]]
    """
    options = options or PruneOptions()
    count, images = len(members), 1 + max(int(indices.max(initial=-1)) for indices in (image, pairs))
    owner = np.repeat(np.arange(count), [len(own) for own in members])
    parts = np.concatenate([np.zeros(0, np.int64), *members])
    ones = np.ones(len(parts))
    belongs = csr_array((ones, (owner, parts)), shape=(count, len(image)))
    shows = csr_array((ones, (owner, image[parts])), shape=(count, images))
    reaches = similarity.copy()
    reaches.data = ((reaches.data >= goal) & (reaches.data > 0)).astype(np.float64)
    reached = (belongs @ reaches @ belongs.T).toarray()
    known = (shows @ adjacency(pairs, images) @ shows.T).toarray()

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
