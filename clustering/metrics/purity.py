"""Whether clusters mean anything: against truth, and against chance.

A box lies on the part whose visible bounding box has the highest IoU with it, at least 0.3; else on none.

* Purity of a cluster: the share of its members that lie on its majority part. "None" is never a majority.
* Recall: the share of (class, telling part or mark) pairs for which a kept cluster has that majority.

* Consistency: the share of clusters whose box holds one same landmark - a keypoint, or the centre of a part's visible
  box - in at least 80 % of the images where it is visible. A box that holds much holds everything, and few images agree
  by chance: members over a quarter of the object's box do not count, nor do clusters with fewer than four images left,
  nor landmarks that fewer than four of them show.

All are reported beside random clusters: the same sizes, filled with parts of the class drawn at random, at most
one an image where that can be had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_IOU = 0.3
"""From this IoU with a part's visible box a proposal lies on the part."""

HELD = 0.8
"""From this share of the images that show a landmark a cluster whose boxes hold it is consistent."""

LARGEST = 0.25
"""Boxes over this share of the area of the object's box do not count for consistency."""

FEWEST = 4
"""Clusters, and landmarks, that fewer images show do not count for consistency."""


@dataclass(frozen=True)
class Majority:
    """The part most members of a cluster lie on.

    Attributes:
        part: Its name; empty where no member lies on any.
        purity: Share of all members that lie on it, in [0, 1].
    """

    part: str
    purity: float


@dataclass(frozen=True)
class Landmarks:
    """What is known of the object in one image.

    Attributes:
        points: Of each visible landmark its place float64 (2,) xy, in pixels of the frame.
        extent: float64 (4,) xyxy, the box around the object; of no area where nothing of it is visible.
    """

    points: Mapping[str, NDArray[np.float64]]
    extent: NDArray[np.float64]


def visible_boxes(parts: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.float64]]:
    """Bounding boxes xyxy, half open, of the visible pixels bool (H, W) of each part; hidden parts are left out.

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
    """The majority part of a cluster, of the parts its members lie on; of equals the first by name.

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
    """Share of the wanted parts that are the majority of some cluster; None where none is wanted.

    Examples:
        >>> recall([Majority("wheel", 0.9), Majority("sky", 0.4)], ["wheel", "door"])
        0.5
    """
    found = {cluster.part for cluster in majorities}
    return sum(name in found for name in wanted) / len(wanted) if wanted else None


def point_under(box: Iterable[float], points: Mapping[str, NDArray[np.float64]]) -> str | None:
    """Of the landmarks that a box xyxy holds the nearest to its centre, None where it holds none.

    Examples:
        >>> points = {"eye": np.array([4.0, 5.0]), "ear": np.array([1.0, 1.0]), "tail": np.array([90.0, 90.0])}
        >>> point_under([0, 0, 10, 10], points)
        'eye'
    """
    corners = np.asarray(list(box), dtype=np.float64)
    centre = (corners[:2] + corners[2:]) / 2
    away = {name: float(np.linalg.norm(point - centre)) for name, point in points.items() if _holds(corners, point)}
    return min(away, key=lambda name: (away[name], name), default=None)


def _holds(box: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    return bool((box[:2] <= point).all() and (point < box[2:]).all())


def consistent_landmark(boxes: NDArray[np.floating], images: Sequence[Landmarks]) -> str | None:
    """The landmark that a cluster's boxes hold, image after image.

    Args:
        boxes: (K, 4) xyxy, half open, one an image.
        images: What is known of these K images.

    Returns:
        Its name; of several, the one held in the largest share of images, of equals the first by name; empty where
        there is none; None where the cluster does not count.

    Examples:
        >>> images = [Landmarks({"eye": np.array([5.0, 5.0])}, np.array([0.0, 0.0, 100.0, 100.0]))] * 4
        >>> consistent_landmark(np.array([[0, 0, 10, 10]] * 4), images)
        'eye'
        >>> consistent_landmark(np.array([[0, 0, 90, 90]] * 4), images) is None  # such a box holds everything
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
        held.update(name for name, point in image.points.items() if _holds(box, point))
    if counted < FEWEST:
        return None
    shares = {name: held[name] / seen[name] for name in seen if seen[name] >= FEWEST}
    best = min(shares, key=lambda name: (-shares[name], name), default=None)
    return best if best is not None and shares[best] >= HELD else ""


def consistency(landmarks: Iterable[str | None]) -> float | None:
    """Share of the clusters that count which hold a landmark (see `consistent_landmark`); None where none counts.

    Examples:
        >>> consistency(["eye", "", None])  # the third does not count
        0.5
    """
    counted = [name for name in landmarks if name is not None]
    return sum(name != "" for name in counted) / len(counted) if counted else None


def random_clusters(
    sizes: Sequence[int], image: NDArray[np.int64], generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Clusters of given sizes, filled at random.

    Args:
        sizes: Members of each cluster.
        image: (P,) index of the image of each part.
        generator: Source of chance.

    Returns:
        For each cluster the indices of its parts: from as many images, drawn at random, one random part each.

    Examples:
        >>> image = np.array([0, 0, 1, 1, 2])
        >>> (cluster,) = random_clusters([3], image, np.random.default_rng(0))
        >>> sorted(image[cluster].tolist())  # one part of each image
        [0, 1, 2]
    """
    images = np.unique(image)
    clusters = []
    for size in sizes:
        drawn = generator.choice(images, size=min(size, len(images)), replace=False)
        parts = [generator.choice(np.flatnonzero(image == one)) for one in drawn]
        clusters.append(np.array(parts, dtype=np.int64))
    return clusters
