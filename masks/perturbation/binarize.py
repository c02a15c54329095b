"""From a crisp float mask to the binary mask, whose regions become parts.

The mask is cut at 0.5. Then holes that are smaller than the smallest region are filled, and smaller regions are
removed, because a speck has no name and no object proposal lies on it. If no region is large enough, the largest one
stays, so that an image with a mask keeps one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.morphology import remove_small_holes

from visual_summaries.masks.perturbation.schedule import BinaryOptions


def binarize(crisp: npt.NDArray[np.float32], options: BinaryOptions | None = None) -> npt.NDArray[np.bool_]:
    """The cleaned binary mask.

    Args:
        crisp: (H, W) in [0, 1].
        options: The smallest region.

    Returns:
        bool (H, W).

    Examples:
        >>> crisp = np.zeros((20, 20), np.float32)
        >>> crisp[2:12, 2:12] = 0.9  # a region
        >>> crisp[5, 5] = 0.1  # with a hole
        >>> crisp[18, 18] = 0.9  # and a speck
        >>> int(binarize(crisp).sum())
        100
    """
    options = options or BinaryOptions()
    smallest = options.min_area * crisp.size
    mask: npt.NDArray[np.bool_] = remove_small_holes(
        crisp > 0.5, max_size=max(0, int(np.ceil(smallest)) - 1), connectivity=1
    )
    regions = label(mask, connectivity=2)
    areas = np.bincount(regions.ravel())
    areas[0] = 0
    if areas.sum() == 0:
        return mask
    keep = areas >= max(1, min(smallest, areas.max()))
    binary: npt.NDArray[np.bool_] = keep[regions]
    return binary
