"""Object proposals, and which of them are parts (paper section 3.2).

Proposals are the boxes of selective search in its published quality setting (see `clustering.parts.selective_search`),
ranked as there: within a hierarchy the box of the last merge has position 1, and all boxes are sorted by position times
a random number in [0, 1). A proposal is *kept*, as a part, if enough of its area is on the mask or near it. The other
proposals are matched as well, as context.

Departures from the reference: it draws 500 boxes an image without the masks, and drops images with fewer boxes. Here
the kept boxes are chosen first, among all boxes, then context is added up to the count; images with fewer boxes are
used. The least size of a box is a fraction of the frame, not a number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from visual_summaries.clustering.options import ProposalOptions
from visual_summaries.clustering.parts.regions import regions
from visual_summaries.clustering.parts.selective_search import groupings


@dataclass(frozen=True)
class Proposals:
    """The boxes of one image that are matched.

    Attributes:
        boxes: float32 (M, 4) xyxy in pixels of the frame, half open; the kept ones first.
        kept: bool (M,), True = a part.
        region: int32 (M,), number of the region that holds most of the part (see `clustering.parts.regions`); 0
            if it is not kept.
    """

    boxes: NDArray[np.float32]
    kept: NDArray[np.bool_]
    region: NDArray[np.int32]


def selective_search(image: NDArray[np.uint8], options: ProposalOptions, seed: int) -> NDArray[np.float32]:
    """Finds the object proposals of an image.

    Args:
        image: uint8 RGB (H, W, 3).
        options: `min_side` and `border` are used.
        seed: Seed of the ranks' random factors.

    Returns:
        float32 (K, 4) boxes with whole coordinates, no two equal, best rank first. The same image, options
        and seed give the same boxes.

    Raises:
        ValueError: The image is not uint8 (H, W, 3).

    Examples:
        >>> image = np.zeros((64, 64, 3), np.uint8)
        >>> image[16:48, 8:40] = (255, 0, 0)
        >>> boxes = selective_search(image, ProposalOptions(min_side=0.25), seed=0)
        >>> [8.0, 16.0, 40.0, 48.0] in boxes.tolist()  # the red square
        True
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    hierarchies = list(groupings(image))
    boxes = np.concatenate(hierarchies)
    position = np.concatenate([np.arange(1, len(part) + 1) for part in hierarchies])
    random = np.random.default_rng(seed).random(len(boxes))
    boxes = boxes[np.argsort(position * random, kind="stable")]

    height, width = image.shape[:2]
    sides = boxes[:, 2:] - boxes[:, :2]
    margin = options.border * np.array([width, height])
    inside = (boxes[:, :2] >= margin) & (boxes[:, 2:] <= np.array([width, height]) - margin)
    large = sides.min(axis=1) >= options.min_side * min(height, width) - 1e-6
    boxes = boxes[large & inside.all(axis=1)]
    _, first = np.unique(boxes, axis=0, return_index=True)
    distinct: NDArray[np.float32] = boxes[np.sort(first)].astype(np.float32)
    return distinct


def on_mask(boxes: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fraction of each box's area that is on the mask.

    Args:
        boxes: float32 (K, 4) xyxy inside the mask; coordinates are rounded to whole pixels.
        mask: bool (H, W).

    Returns:
        float64 (K,) in [0, 1]; 0 for an empty box.

    Examples:
        >>> mask = np.zeros((4, 4), bool)
        >>> mask[:, :2] = True  # the left half
        >>> on_mask(np.array([[0, 0, 2, 2], [1, 0, 3, 4], [2, 2, 4, 4]], np.float32), mask).tolist()
        [1.0, 0.5, 0.0]
    """
    integral = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int64)
    integral[1:, 1:] = mask.cumsum(axis=0).cumsum(axis=1)
    x0, y0, x1, y1 = np.rint(boxes).astype(np.int64).T
    inside = integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]
    area = (x1 - x0) * (y1 - y0)
    share: NDArray[np.float64] = inside / np.maximum(area, 1)
    return share


def choose(boxes: NDArray[np.float32], mask: NDArray[np.bool_], options: ProposalOptions) -> Proposals:
    """Chooses the boxes that are matched, and the parts among them.

    Args:
        boxes: float32 (K, 4), best rank first (see `selective_search`).
        mask: bool (H, W), the cleaned mask.
        options: `count`, `max_kept` and `overlap` are used.

    Returns:
        At most `count` proposals: first the boxes with at least `overlap` of their area on the mask, at most
        `max_kept` of them, then the best ranked boxes with less.

    Examples:
        >>> mask = np.zeros((8, 8), bool)
        >>> mask[2:6, 2:6] = True
        >>> boxes = np.array([[0, 0, 8, 8], [2, 2, 6, 6], [0, 0, 2, 2]], np.float32)
        >>> chosen = choose(boxes, mask, ProposalOptions(count=2, margin=0))
        >>> chosen.boxes.tolist()  # the part first, then the best ranked box beside it
        [[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 8.0, 8.0]]
        >>> chosen.kept.tolist(), chosen.region.tolist()
        ([True, False], [1, 0])
    """
    labels = _near(mask, options.margin * min(mask.shape) / 224)
    share = on_mask(boxes, labels > 0)
    salient = (share >= options.overlap) & (share > 0)
    parts = np.flatnonzero(salient)[: min(options.max_kept, options.count)]
    context = np.flatnonzero(~salient)[: options.count - len(parts)]
    chosen = boxes[np.concatenate([parts, context])]
    kept = np.arange(len(chosen)) < len(parts)

    region = np.zeros(len(chosen), dtype=np.int32)
    for index, (x0, y0, x1, y1) in enumerate(np.rint(chosen[kept]).astype(np.int64)):
        pixels = np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=2)
        region[index] = 1 + np.argmax(pixels[1:])
    return Proposals(chosen, kept, region)


def _near(mask: NDArray[np.bool_], margin: float) -> NDArray[np.int32]:
    """For each pixel the number of the nearest region within a margin in pixels, else 0; int32 (H, W)."""
    labels = regions(mask)
    if not mask.any():
        return labels
    distance, (rows, columns) = distance_transform_edt(~mask, return_indices=True)
    nearest: NDArray[np.int32] = np.where(distance <= margin, labels[rows, columns], 0).astype(np.int32)
    return nearest


def not_redundant(
    boxes: NDArray[np.float32], quality: NDArray[np.floating], options: ProposalOptions
) -> NDArray[np.int64]:
    """Removes redundant boxes of one image, and the worst ones beyond the largest number of parts.

    Boxes are visited by falling quality. A box is redundant if, for a better box that stays, intersection / smaller
    area >= `redundancy_overlap` and larger area / smaller area < `redundancy_area_ratio`.

    Args:
        boxes: float32 (K, 4) of one image.
        quality: (K,), higher is better; ties go to the earlier box. In the reference, the mean of a
            box's 100 highest matching scores.
        options: `redundancy_overlap`, `redundancy_area_ratio` and `max_parts` are used.

    Returns:
        int64 indices of the boxes that stay, rising.

    Examples:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 5], [8, 8, 12, 12]], np.float32)
        >>> not_redundant(boxes, np.array([0.2, 0.9, 0.5]), ProposalOptions()).tolist()  # the first repeats the second
        [1, 2]
    """
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    intersection = np.maximum(high - low, 0.0).prod(axis=2)  # (K, K)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    smaller = np.maximum(np.minimum(area[:, None], area[None]), 1e-9)
    larger = np.maximum(area[:, None], area[None])
    alike = (intersection / smaller >= options.redundancy_overlap) & (larger / smaller < options.redundancy_area_ratio)
    stays = np.zeros(len(boxes), dtype=bool)
    for index in np.argsort(-np.asarray(quality), kind="stable"):
        stays[index] = not np.any(alike[index] & stays) and np.count_nonzero(stays) < options.max_parts
    return np.flatnonzero(stays)
