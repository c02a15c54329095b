"""Purity, recall and consistency of clusters, measured with ground truth.

A box lies on the part whose visible bounding box has the highest IoU with it, if this is at least 0.3; otherwise it
lies on no part.

* Purity of a cluster: the fraction of its members that lie on its majority part. "No part" is never the majority.
* Recall: the fraction of (class, telling part or mark) pairs that are the majority part of a kept cluster.
* Consistency: the fraction of clusters whose boxes contain the same landmark (a keypoint, or the centre of a part's
  visible box) in at least 80 % of the images in which it is visible. Large boxes contain every landmark, and a few
  images agree by chance. So members larger than a quarter of the object's box do not count; clusters with fewer than
  four remaining images and landmarks that are visible in fewer than four of them do not count either.

All are reported beside random clusters: of the same sizes, with parts of the class drawn at random, at most one an
input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_IOU = 0.3
"""Least IoU of a box with the visible box of the part that it lies on."""

HELD = 0.8
"""A consistent cluster contains a landmark in this fraction of the images that show it."""

LARGEST = 0.25
"""Boxes larger than this fraction of the object's box do not count for consistency."""

FEWEST = 4
"""Clusters and landmarks with fewer images do not count for consistency."""


@dataclass(frozen=True)
class Majority:
    """The part that most members of a cluster lie on.

    Attributes:
        part: Its name; empty if no member lies on a part.
        purity: Fraction of all members that lie on it, in [0, 1].
    """

    part: str
    purity: float


@dataclass(frozen=True)
class Landmarks:
    """The ground truth for the object in one image.

    Attributes:
        points: Coordinates of each visible landmark, float64 (2,) xy, in pixels of the frame.
        extent: float64 (4,) xyxy, the box around the object; of no area if the object is not visible.
    """

    points: Mapping[str, NDArray[np.float64]]
    extent: NDArray[np.float64]


def visible_boxes(parts: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """Bounding boxes xyxy, half open, of the visible pixels bool (H, W) of each part; hidden parts have none.

    Examples:
        >>> wheel, hidden = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
        >>> wheel[1:3, 2] = True
        >>> {name: box.tolist() for name, box in visible_boxes({"wheel": wheel, "hidden": hidden}).items()}
        {'wheel': [2.0, 1.0, 3.0, 3.0]}
    """
    boxes = {}
    for name, pixels in parts.items():
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if len(rows):
            boxes[name] = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    return boxes


def iou(one: Iterable[float], other: Iterable[float]) -> float:
    """Intersection over union of two boxes xyxy.

    Examples:
        >>> iou([0, 0, 2, 2], [0, 0, 2, 4])
        0.5
    """
    a, b = np.asarray(list(one)), np.asarray(list(other))
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    intersection = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - intersection
    return intersection / union if union > 0 else 0.0


def part_under(box: Iterable[float], visible: Mapping[str, NDArray[np.float64]]) -> str | None:
    """The part a box lies on, or None.

    Examples:
        >>> visible = {"wheel": np.array([0.0, 0.0, 10.0, 10.0]), "door": np.array([20.0, 0.0, 40.0, 40.0])}
        >>> part_under([0, 0, 10, 12], visible), part_under([50, 50, 60, 60], visible)
        ('wheel', None)
    """
    corners = list(box)
    scores = {name: iou(corners, other) for name, other in visible.items()}
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] >= MIN_IOU else None


def majority(members: Sequence[str | None]) -> Majority:
    """The majority part of a cluster, from the parts that its members lie on; of equals the first by name.

    Examples:
        >>> majority(["wheel", "wheel", "door", None])
        Majority(part='wheel', purity=0.5)
    """
    counts = Counter(name for name in members if name is not None)
    if not counts:
        return Majority("", 0.0)
    part = min(counts, key=lambda name: (-counts[name], name))
    return Majority(part, counts[part] / len(members))


def recall(majorities: Iterable[Majority], wanted: Sequence[str]) -> float | None:
    """Fraction of the wanted parts that are the majority part of a cluster; None if no part is wanted.

    Examples:
        >>> recall([Majority("wheel", 0.9), Majority("sky", 0.4)], ["wheel", "door"])
        0.5
    """
    found = {cluster.part for cluster in majorities}
    return sum(name in found for name in wanted) / len(wanted) if wanted else None


def point_under(box: Iterable[float], points: Mapping[str, NDArray[np.float64]]) -> str | None:
    """The landmark inside a box xyxy that is nearest to its centre; None if there is none.

    Examples:
        >>> points = {"eye": np.array([4.0, 5.0]), "ear": np.array([1.0, 1.0]), "tail": np.array([90.0, 90.0])}
        >>> point_under([0, 0, 10, 10], points)
        'eye'
    """
    corners = np.asarray(list(box), dtype=np.float64)
    centre = (corners[:2] + corners[2:]) / 2
    away = {name: float(np.linalg.norm(point - centre)) for name, point in points.items() if _contains(corners, point)}
    return min(away, key=lambda name: (away[name], name), default=None)


def _contains(box: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    return bool((box[:2] <= point).all() and (point < box[2:]).all())


def consistent_landmark(boxes: NDArray[np.floating], images: Sequence[Landmarks]) -> str | None:
    """The landmark that is in a cluster's boxes consistently.

    Args:
        boxes: (K, 4) xyxy, half open, one per image.
        images: The ground truth for these K images.

    Returns:
        Its name; of several landmarks, the one with the largest fraction of images, of equals the first by name; empty
        if there is none; None if the cluster does not count.

    Examples:
        >>> images = [Landmarks({"eye": np.array([5.0, 5.0])}, np.array([0.0, 0.0, 100.0, 100.0]))] * 4
        >>> consistent_landmark(np.array([[0, 0, 10, 10]] * 4), images)
        'eye'
        >>> consistent_landmark(np.array([[0, 0, 90, 90]] * 4), images) is None  # such boxes are too large
        True
    """
    held: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    counted = 0
    for box, image in zip(boxes.astype(np.float64), images, strict=True):
        if (box[2:] - box[:2]).prod() > LARGEST * (image.extent[2:] - image.extent[:2]).prod():
            continue
        counted += 1
        seen.update(list(image.points))
        held.update(name for name, point in image.points.items() if _contains(box, point))
    if counted < FEWEST:
        return None
    shares = {name: held[name] / seen[name] for name in seen if seen[name] >= FEWEST}
    best = min(shares, key=lambda name: (-shares[name], name), default=None)
    return best if best is not None and shares[best] >= HELD else ""


def consistency(landmarks: Iterable[str | None]) -> float | None:
    """Fraction of the clusters that count that are consistent (see `consistent_landmark`); None if none counts.

    Examples:
        >>> consistency(["eye", "", None])  # the third does not count
        0.5
    """
    counted = [name for name in landmarks if name is not None]
    return sum(name != "" for name in counted) / len(counted) if counted else None


def random_clusters(
    sizes: Sequence[int], owner: NDArray[np.int64], generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Random clusters of given sizes.

    Args:
        sizes: Members of each cluster.
        owner: (P,) index of the input that owns each part.
        generator: Source of random numbers.

    Returns:
        For each cluster the indices of its parts: one random part from each of as many random inputs.

    Examples:
        >>> owner = np.array([0, 0, 1, 1, 2])
        >>> (cluster,) = random_clusters([3], owner, np.random.default_rng(0))
        >>> sorted(owner[cluster].tolist())  # one part of each input
        [0, 1, 2]
    """
    inputs = np.unique(owner)
    clusters = []
    for size in sizes:
        drawn = generator.choice(inputs, size=min(size, len(inputs)), replace=False)
        parts = [generator.choice(np.flatnonzero(owner == one)) for one in drawn]
        clusters.append(np.array(parts, dtype=np.int64))
    return clusters
