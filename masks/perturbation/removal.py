"""Removes one part from an image: finds its outline inside a box, and fills the hole.

The outline is found by GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004): pixels outside the box are background, and
two colour models and a minimum cut decide which pixels inside the box are the part. The hole is filled with the colours
of the ring around it, so that no edge of the part is left and no other object appears.

Chosen by measurement on the embedded world, where pictures drawn again without a part show its true effect; see
``docs/decisions.md``, "What takes a part out".
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Longer side of the image in which outlines are found, in pixels; larger images are reduced to it, which bounds the
time of the minimum cut."""

RING = 4 / 128
"""Width of the ring that fills a hole, as a fraction of the image's longer side."""

SMALLEST = 0.1
"""Smallest outline, as a fraction of its box; below it the whole box is removed."""

_ITERATIONS = 1
"""More iterations give the same outlines on the embedded world and take longer (docs/decisions.md)."""


def outline(image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """The pixels of the part in a box.

    Args:
        image: uint8 RGB (H, W, 3).
        box: xyxy in pixels, half open.

    Returns:
        bool (H, W), inside the box; the whole box if GrabCut finds no part in it, or if the box covers the whole image.
    """
    height, width = image.shape[:2]
    whole = box_pixels((height, width), box)
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[:, :, ::-1])
    inside = cv2.resize(whole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    if inside.all() or not inside.any():
        return whole
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    cv2.setRNGSeed(0)  # GrabCut's colour models start from k-means
    try:
        cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # fewer colours than its models have
        return whole
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    part = (cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST) > 0) & whole
    return part if part.sum() >= SMALLEST * whole.sum() else whole


def box_pixels(size: tuple[int, int], box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """The pixels that a box touches, bool (H, W); at least one.

    Examples:
        >>> box_pixels((2, 4), (0.5, 0.0, 2.0, 1.0)).astype(int).tolist()
        [[1, 1, 0, 0], [0, 0, 0, 0]]
    """
    height, width = size
    x0, y0 = min(max(int(np.floor(box[0])), 0), width - 1), min(max(int(np.floor(box[1])), 0), height - 1)
    x1, y1 = min(max(int(np.ceil(box[2])), x0 + 1), width), min(max(int(np.ceil(box[3])), y0 + 1), height)
    pixels = np.zeros(size, dtype=np.bool_)
    pixels[y0:y1, x0:x1] = True
    return pixels


def fill(image: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """An image whose hole is filled from the ring around it.

    A pixel of the hole gets the mean of the ring's pixels, weighted by a Gaussian of their distance. Its sigma is a
    third of the square root of the hole's area.

    Args:
        image: uint8 RGB (H, W, 3).
        hole: bool (H, W).

    Returns:
        uint8 (H, W, 3); the same outside the hole. A hole that is the whole image is filled with its mean colour.
    """
    if not hole.any():
        return image.copy()
    reach = max(1, round(RING * max(image.shape[:2])))
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    window = tuple(slice(max(0, one[0] - reach), one[-1] + 1 + reach) for one in (rows, columns))
    inner = hole[window]
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ring = (cv2.dilate(inner.astype(np.uint8), kernel) > 0) & ~inner
    filled = image.copy()
    if not ring.any():
        filled[:] = np.rint(image.mean(axis=(0, 1)))
        return filled
    values = image[window].astype(np.float32)
    sigma = max(float(reach), float(np.sqrt(hole.sum())) / 3)
    weighted = cv2.GaussianBlur(values * ring[:, :, None], (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    weights = cv2.GaussianBlur(ring.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    near = inner & (weights > _NEGLIGIBLE)
    local = filled[window]
    local[inner] = np.rint(values[ring].mean(axis=0))  # pixels too far from the ring
    local[near] = np.rint(weighted[near] / weights[near][:, None])
    return filled


_NEGLIGIBLE = 1e-4
