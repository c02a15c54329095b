"""Whitened HOG, the descriptor of boxes in the paper (proposal flow: Ham et al., CVPR 2016).

A box is padded by one cell, resized to 10 x 10 cells of 8 pixels, and the inner 8 x 8 cells are described by
Felzenszwalb's histogram of oriented gradients d, 31 channels a cell (Felzenszwalb et al., PAMI 2010):

* a pixel's gradient is taken from the colour channel in which it is largest; its length is the pixel's vote;
* it votes for the nearest of 18 directions, bilinearly for the four nearest cells: h(cell, o);
* the energy of a cell is the sum over 9 o of (h(o) + h(o + 9))^2; n_1..n_4 are the root energies of the four
  blocks of 2 x 2 cells the cell lies in;
* channels 0-17 are 1/2 sum_k min(h(o) / n_k, 0.2), channels 18-26 the same of h(o) + h(o + 9), channels 27-30
  are 0.2357 sum_o min(h(o) / n_k, 0.2) for each k.

Appearance is scored by linear discriminant analysis: with the mean mu and covariance S of d on natural images,
score(a, b) = (d_a - mu)^T S^-1 (d_b - mu). With S = L L^T a descriptor is z = L^-1 (d - mu), and the scores of
all pairs are one matrix product, z_a . z_b.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.descriptors.whitening import CELLS, CHANNELS, Whitening, packaged_whitening

CELL = 8
"""Side of a HOG cell, pixels."""

_SIDE = (CELLS + 2) * CELL
_BATCH = 32
_BLOCK_STARTS = ((1, 1), (0, 1), (1, 0), (0, 0))
_EPSILON = 1e-4


def describe(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], whitening: Whitening | None = None
) -> NDArray[np.float32]:
    """Describes boxes of one image.

    Args:
        image: uint8 RGB (H, W, 3).
        boxes: float32 (M, 4) xyxy, half open, in pixels.
        whitening: Mean and factor of the statistics of natural images; those of the package without it.

    Returns:
        float32 (M, 1984) whitened descriptors z; z_a . z_b is the appearance score before clipping at 0. As
        float16 they give the same scores to 1e-3. The last bits may depend on the number of BLAS threads: for equal
        bytes, call this inside `threadpoolctl.threadpool_limits(1)`.

    Raises:
        ValueError: The image is not uint8 (H, W, 3), or a box has no area.

    Examples:
        >>> image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        >>> boxes = np.array([[0, 0, 32, 32], [0, 0, 32, 32], [32, 32, 64, 64]], np.float32)
        >>> z = describe(image, boxes)
        >>> z.shape
        (3, 1984)
        >>> bool(z[0] @ z[1] > z[0] @ z[2])  # a box is most like itself
        True
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
    if len(boxes) and (boxes[:, 2:] - boxes[:, :2]).min() <= 0:
        raise ValueError("boxes: every box must have x1 > x0 and y1 > y0")
    whitening = whitening or packaged_whitening()
    described = np.empty((len(boxes), CELLS * CELLS * CHANNELS), dtype=np.float32)
    patches = _patches(image, boxes)
    for start in range(0, len(boxes), _BATCH):
        part = slice(start, start + _BATCH)
        described[part] = hog(patches[part]).reshape(-1, described.shape[1])
    described -= whitening.mean
    whitened: NDArray[np.float32] = np.matmul(described, whitening.inverse_factor.T, dtype=np.float32)
    return whitened


def _patches(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Padded boxes resampled to 80 x 80 pixels, float32 (M, 80, 80, 3) in 0..255; borders are repeated.

    Boxes larger than the patch are read from the image reduced by 2, 4, ... along each axis, so that at most
    every second pixel is skipped.
    """
    height, width = image.shape[:2]
    picture = image.astype(np.float32)

    @cache
    def reduced(x_level: int, y_level: int) -> NDArray[np.float32]:
        size = (max(1, width >> x_level), max(1, height >> y_level))
        smaller: NDArray[np.float32] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return smaller

    patches = np.empty((len(boxes), _SIDE, _SIDE, 3), dtype=np.float32)
    for index, (x0, y0, x1, y1) in enumerate(boxes.astype(np.float64)):
        step = np.array([x1 - x0, y1 - y0]) / (CELLS * CELL)  # image pixels a patch pixel
        low = np.array([x0, y0]) - CELL * step
        levels = np.maximum(0, np.floor(np.log2(step))).astype(int)
        source = reduced(int(levels[0]), int(levels[1]))
        ratio = np.array([source.shape[1] / width, source.shape[0] / height])
        step, low = step * ratio, low * ratio
        shift = low + 0.5 * step - 0.5
        affine = np.array([[step[0], 0.0, shift[0]], [0.0, step[1], shift[1]]])
        patches[index] = cv2.warpAffine(
            source,
            affine,
            (_SIDE, _SIDE),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return patches


def hog(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Felzenszwalb's HOG of images of one size.

    Args:
        images: float32 (B, H, W, C) with values in 0..255; H and W are multiples of 8 and at least 24.

    Returns:
        float32 (B, H / 8 - 2, W / 8 - 2, 31): cells at the border have no complete blocks and are not returned.

    Raises:
        ValueError: The sides are not multiples of 8, or are less than 24.

    Examples:
        >>> ramp = np.tile(np.arange(80, dtype=np.float32), (80, 1))[None, :, :, None]  # brighter to the right
        >>> cells = hog(ramp)
        >>> cells.shape
        (1, 8, 8, 31)
        >>> int(cells[0, 4, 4, :18].argmax())  # the direction of all gradients
        0
    """
    count, height, width = images.shape[:3]
    if height % CELL or width % CELL or min(height, width) < 3 * CELL:
        raise ValueError(f"images: sides must be multiples of {CELL}, at least {3 * CELL}: {images.shape}")
    length, direction = _gradients(images)
    votes = _votes(length, direction)  # (B, rows, columns, 18)
    unsigned = votes[..., :9] + votes[..., 9:]
    energy = np.square(unsigned).sum(axis=3)
    block = energy[:, :-1, :-1] + energy[:, :-1, 1:] + energy[:, 1:, :-1] + energy[:, 1:, 1:]
    factor = 1.0 / np.sqrt(block + np.float32(_EPSILON))

    rows, columns = height // CELL - 2, width // CELL - 2
    inner, inner_unsigned = votes[:, 1:-1, 1:-1], unsigned[:, 1:-1, 1:-1]
    result = np.zeros((count, rows, columns, CHANNELS), dtype=np.float32)
    for k, (y, x) in enumerate(_BLOCK_STARTS):
        near = factor[:, y : y + rows, x : x + columns, None]
        signed = np.minimum(inner * near, np.float32(0.2))
        result[..., :18] += np.float32(0.5) * signed
        result[..., 18:27] += np.float32(0.5) * np.minimum(inner_unsigned * near, np.float32(0.2))
        result[..., 27 + k] = np.float32(0.2357) * signed.sum(axis=3)
    return result


def _gradients(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Length and direction (0..17, steps of 20 degrees) of each inner pixel's gradient, (B, H - 2, W - 2)."""
    dx = images[:, 1:-1, 2:] - images[:, 1:-1, :-2]
    dy = images[:, 2:, 1:-1] - images[:, :-2, 1:-1]
    square = dx * dx + dy * dy
    best_x, best_y, best = dx[..., 0], dy[..., 0], square[..., 0]
    for channel in range(1, images.shape[3]):
        better = square[..., channel] > best
        best_x = np.where(better, dx[..., channel], best_x)
        best_y = np.where(better, dy[..., channel], best_y)
        best = np.where(better, square[..., channel], best)
    turn = np.arctan2(best_y, best_x) * np.float32(9 / np.pi)
    direction = np.floor(turn + np.float32(18.5)).astype(np.int64) % 18
    return np.sqrt(best), direction


def _votes(length: NDArray[np.float32], direction: NDArray[np.int64]) -> NDArray[np.float32]:
    """Histograms of cells, float32 (B, rows, columns, 18), from the gradients of the inner pixels."""
    count, height, width = length.shape
    rows, columns = (height + 2) // CELL, (width + 2) // CELL
    # Along x by counting votes, with one spare column at each end; along y by a matrix product.
    place = (np.arange(1, width + 1) + 0.5) / CELL - 0.5
    left = np.floor(place).astype(np.int64)
    share = (place - left).astype(np.float32)
    lines = np.arange(count * height).reshape(count, height, 1) * (columns + 2)
    index = (lines + left + 1) * 18 + direction  # (B, H - 2, W - 2)
    slots = count * height * (columns + 2) * 18
    flat = index.ravel()
    sums = np.bincount(flat, (length * (1 - share)).ravel(), slots)
    sums += np.bincount(flat + 18, (length * share).ravel(), slots)
    line_votes = sums.astype(np.float32).reshape(count, height, columns + 2, 18)[:, :, 1:-1]
    place = (np.arange(1, height + 1) + 0.5) / CELL - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(place - np.arange(rows)[:, None])).astype(np.float32)
    votes = weights @ line_votes.reshape(count, height, columns * 18)  # (B, rows, columns * 18)
    return votes.reshape(count, rows, columns, 18)
