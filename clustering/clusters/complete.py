"""Summaries are completed: each looks for its part in every image.

Clustering sees few parts of an image, and puts each into one cluster; so an image whose part has another outline among
its few, or none, is missing in the summary that shows it. When the clusters have been pruned, each summary therefore
looks in every image that was matched with its exemplar's, among more boxes than were clustered, for those that match
its members,

    score of box b = mean_{m of other images} Corr(b, m),

most of them as well as the members of a summary have to (`clustering.clusters.prune`). By falling score boxes are given
to summaries: an image has one box in a summary, and a box belongs to one summary. The exemplar stays where it is, and
members that SSIM sent away do not come back; boxes that are new are not compared by SSIM. Departure: the paper's
clusters keep the parts that affinity propagation gave them. Figures in docs/decisions.md.
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
    boxes_image: NDArray[np.int64],
    parts_image: NDArray[np.int64],
    *,
    centres: Sequence[NDArray[np.int64]],
    taken: NDArray[np.int64],
    closed: Sequence[NDArray[np.int64]],
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
        centres: For each summary the box that stands for it, which no other takes, and those that stood for what was
            merged into it. An image is looked at where it was matched with that of one of them.
        taken: Further boxes that no summary may take.
        closed: For each summary further boxes that it may not take.
        goal: The similarity that members have to reach (`clustering.clusters.prune.goal`).
        pairs: int64 (n, 2), the pairs of images that were matched, one < other; None for all.
        options: `joins_share` is used; the defaults without it.

    Returns:
        For each summary the boxes that belong to it, at most one an image, the exemplar first, then by falling score.

    Examples:
        >>> images = np.array([0, 1, 2])  # of three boxes, the first two of which are parts
        >>> similarity = csr_array(np.array([[0, 0.9], [0.9, 0], [0.8, 0.7]], np.float32))
        >>> summary = np.array([0, 1])
        >>> nothing = np.zeros(0, np.int64)
        >>> further = {"centres": [summary[:1]], "taken": nothing, "closed": [nothing], "goal": 0.5}
        >>> found = complete([summary], similarity, images, images[:2], **further)
        >>> found[0].tolist()  # the box of the third image joins
        [0, 1, 2]
    """
    options = options or PruneOptions()
    images = 1 + int(boxes_image.max(initial=-1))
    matched = None if pairs is None else adjacency(pairs, max(images, 1 + int(pairs.max(initial=-1))))
    claims: list[tuple[float, int, int, int]] = []
    exemplars = [int(own[0]) for own in centres]
    edges = np.flatnonzero(np.diff(boxes_image, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges.tolist()):
        image = int(boxes_image[start])
        found = similarity[start:end].toarray()
        known = np.arange(images) != image if matched is None else matched[[image]].toarray()[0] > 0
        for number, own in enumerate(members):
            homes = boxes_image[centres[number]]
            others = own[known[parts_image[own]]]
            if homes[0] == image or not len(others) or not known[homes].any():
                continue
            to_others = found[:, others]
            under = ((to_others < goal) | (to_others <= 0)).mean(axis=1)
            fits = np.flatnonzero(under < options.joins_share)
            scores = to_others[fits].mean(axis=1)
            claims += [(float(score), number, image, start + int(box)) for score, box in zip(scores, fits, strict=True)]
    chosen: list[list[int]] = [[exemplar] for exemplar in exemplars]
    given: set[int] = {*exemplars, *taken.tolist()}
    served: set[tuple[int, int]] = set()
    barred = {(number, box) for number, boxes in enumerate(closed) for box in boxes.tolist()}
    for _, number, image, box in sorted(claims, key=lambda claim: (-claim[0], *claim[1:])):
        if box not in given and (number, image) not in served and (number, box) not in barred:
            given.add(box)
            served.add((number, image))
            chosen[number].append(box)
    return [np.array(boxes, dtype=np.int64) for boxes in chosen]
