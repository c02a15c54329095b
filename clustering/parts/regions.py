"""Regions: the connected components of a binary mask (paper section 3.2).

Two pixels belong to one region when a path of salient pixels leads from one to the other, diagonal steps
included. Small specks are removed before, where the mask is cleaned; here every component counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def regions(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Numbers the connected components of a mask by falling area.

    Args:
        mask: bool (H, W), True = salient.

    Returns:
        int32 (H, W): 0 outside the mask, 1 in the largest region, 2 in the next. Among regions of equal area
        the one whose first pixel in reading order comes earlier has the lower number.

    Raises:
        ValueError: The mask is not a bool array of two dimensions.

    Examples:
        >>> regions(np.array([[True, False, True], [False, False, True]])).tolist()
        [[2, 0, 1], [0, 0, 1]]
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"mask: expected a bool (H, W) array, got {mask.dtype} {mask.shape}")
    labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-area, kind="stable")
    number = np.zeros(count + 1, dtype=np.int32)
    number[order + 1] = np.arange(1, count + 1, dtype=np.int32)
    renumbered: NDArray[np.int32] = number[labels]
    return renumbered
