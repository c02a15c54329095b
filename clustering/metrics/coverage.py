"""Coverage: which fraction of the inputs, and of the area of the masks, clusters reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def coverage(clusters: Sequence[NDArray[np.int64]], owner: NDArray[np.int64], inputs: int) -> float:
    """Fraction of inputs with a member of at least one cluster, in [0, 1].

    Args:
        clusters: Indices of the parts of each cluster.
        owner: (P,) index of the input that owns each part.
        inputs: Number of inputs of the class, including those without parts; >= 1.

    Examples:
        >>> coverage([np.array([0, 1])], np.array([0, 1, 2, 3]), inputs=4)
        0.5
    """
    return len({int(owner[part]) for cluster in clusters for part in cluster}) / inputs


def mask_coverage(
    clusters: Sequence[NDArray[np.int64]],
    image: NDArray[np.int64],
    boxes: NDArray[np.float32],
    masks: Sequence[NDArray[np.bool_]],
) -> float | None:
    """Fraction of the masks' area, over all images, inside a box of a cluster, in [0, 1]; None if the masks are empty.

    Args:
        clusters: Indices of the parts of each cluster.
        image: (P,) index of the image of each part.
        boxes: (P, 4) xyxy, half open, in pixels; rounded to whole ones.
        masks: bool (H, W) of each image.

    Examples:
        >>> mask = np.zeros((4, 4), bool)
        >>> mask[:2] = True  # the upper half
        >>> box = np.array([[0, 0, 2, 4]], np.float32)  # the left half
        >>> mask_coverage([np.array([0])], np.array([0]), box, [mask])
        0.5
    """
    area = sum(int(np.count_nonzero(mask)) for mask in masks)
    explained = [np.zeros_like(mask) for mask in masks]
    corners = np.rint(boxes).astype(np.int64)
    for part in {int(part) for cluster in clusters for part in cluster}:
        x0, y0, x1, y1 = np.maximum(corners[part], 0)
        explained[image[part]][y0:y1, x0:x1] = True
    inside = sum(int(np.count_nonzero(mask & seen)) for mask, seen in zip(masks, explained, strict=True))
    return inside / area if area else None
