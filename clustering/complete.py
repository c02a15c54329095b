"""Summaries are completed: each looks for its part in every image.

Clustering sees few parts of an image, and puts each into one cluster; so an image whose part has another outline among
its few, or none, is missing in the summary that shows it. When the clusters have been pruned, each summary therefore
looks in every image, among more boxes than were clustered, for the one that matches its members best,

    box = argmax_b  mean_{m of other images} Corr(b, m),

and takes it where it matches them as the members of a summary have to (`clustering.prune`), in images that were matched
with the exemplar's. A box belongs to the one
summary that it matches best; the exemplar stays where it is. Departure: the paper's clusters keep the parts that
affinity propagation gave them. Measured on the embedded world, seeds 101 and 31, and on 40 photographs of church and
gas pump (lite0):

    ==========================  ======  =======  ===============  =================
    boxes an image looked at    purity  members  church: covered  gas pump: covered
    ==========================  ======  =======  ===============  =================
    not completed               0.860   11.9     0.73             0.95
    the parts of the clusters   0.871   13.7
    30, the best by quality     0.877   15.2     0.88             0.93
    50 (default)                0.881   15.8     0.88             0.93
    80                          0.880   16.6     0.88             0.93
    150                         0.870   17.4     0.88             0.98
    ==========================  ======  =======  ===============  =================
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from clustering.prune import PruneOptions


def complete(
    members: Sequence[NDArray[np.int64]],
    similarity: csr_array,
    boxes_image: NDArray[np.int64],
    parts_image: NDArray[np.int64],
    *,
    exemplars: NDArray[np.int64],
    taken: NDArray[np.int64],
    goal: float,
    pairs: NDArray[np.int64] | None = None,
    options: PruneOptions | None = None,
) -> list[NDArray[np.int64]]:
    """Finds the box of each image that belongs to each summary.

    Args:
        members: For each of S summaries its members, at most one an image, as indices of parts.
        similarity: float32 (B, P), of boxes to parts, >= 0.
        boxes_image: int64 (B,), the image that holds each box, rising.
        parts_image: int64 (P,), the image that holds each part.
        exemplars: int64 (S,), the box that stands for each summary; it stays.
        taken: Boxes that no summary may take, those of the summaries' exemplars apart.
        goal: The similarity that members have to reach (`clustering.prune.goal`).
        pairs: int64 (n, 2), the pairs of images that were matched, one < other; None for all.
        options: `similarity_share` is used; the defaults without it.

    Returns:
        For each summary the boxes that belong to it, at most one an image, the exemplar first, then by falling mean
        similarity.
    """
    options = options or PruneOptions()
    matched = None if pairs is None else {(int(one), int(other)) for one, other in pairs}
    at_home = boxes_image[exemplars]
    closed = np.union1d(taken, exemplars)
    claims: list[tuple[float, int, int]] = []
    edges = np.flatnonzero(np.diff(boxes_image, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges.tolist()):
        image = int(boxes_image[start])
        found = similarity[start:end].toarray()
        free = ~np.isin(np.arange(start, end), closed)
        for number, own in enumerate(members):
            at = int(at_home[number])
            if at == image or not free.any() or not _matched(image, np.array([at]), matched).all():
                continue
            others = own[_matched(image, parts_image[own], matched)]
            if len(others) < 2:
                continue
            to_others = np.where(free[:, None], found[:, others], -1.0)
            score = to_others.mean(axis=1)
            best = int(score.argmax())
            if (to_others[best] < goal).mean() < options.similarity_share:
                claims.append((float(score[best]), number, start + best))
    chosen: list[list[int]] = [[int(exemplar)] for exemplar in exemplars]
    given: set[int] = set()
    for _, number, box in sorted(claims, key=lambda claim: (-claim[0], *claim[1:])):
        if box not in given:
            given.add(box)
            chosen[number].append(box)
    return [np.array(boxes, dtype=np.int64) for boxes in chosen]


def _matched(image: int, others: NDArray[np.int64], pairs: set[tuple[int, int]] | None) -> NDArray[np.bool_]:
    """Which of some images are others than one and were matched with it."""
    if pairs is None:
        elsewhere: NDArray[np.bool_] = others != image
        return elsewhere
    return np.array([(min(image, other), max(image, other)) in pairs for other in others.tolist()], dtype=bool)
