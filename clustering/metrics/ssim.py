"""SSIM of the parts of a cluster, aligned box to box (paper section 3.2).

The paper aligns parts by dense flow; here each box is resized to one square, in grey.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity


def patch(image: NDArray[np.uint8], box: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """The content of a box, in grey, resized to a square: uint8 (side, side).

    Args:
        image: uint8 RGB (H, W, 3).
        box: (4,) xyxy in pixels.
        side: In pixels.

    Examples:
        >>> image = np.full((10, 10, 3), 200, np.uint8)
        >>> patch(image, np.array([2, 2, 8, 6], np.float32), 4).tolist()[0]
        [200, 200, 200, 200]
    """
    x0, y0, x1, y1 = np.rint(box).astype(int)
    crop = cv2.cvtColor(np.ascontiguousarray(image[max(y0, 0) : y1, max(x0, 0) : x1]), cv2.COLOR_RGB2GRAY)
    smaller = crop.shape[0] > side or crop.shape[1] > side
    resized = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def pairwise_ssim(patches: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """SSIM of all pairs of patches, of the second as it is or mirrored; (K, K), symmetric, 1 on the diagonal.

    Examples:
        >>> ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))
        >>> pairwise_ssim([ramp, ramp[:, ::-1]]).round(6).tolist()  # the same, mirrored
        [[1.0, 1.0], [1.0, 1.0]]
    """
    matrix = np.eye(len(patches))
    for i, one in enumerate(patches):
        for j in range(i):
            other = patches[j]
            turns = (structural_similarity(one, turn, data_range=255) for turn in (other, other[:, ::-1]))
            matrix[i, j] = matrix[j, i] = max(turns)
    return matrix
