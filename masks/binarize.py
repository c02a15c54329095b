"""From a crisp float mask to the binary mask that becomes regions.

binary = crisp > 0.5, holes filled that are smaller than a region may be, then regions smaller than that removed:
a speck is nothing one could name, and no object proposal lies on it. Where that would leave nothing, the largest
region stays, so that an image with a mask keeps one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.morphology import remove_small_holes

from masks.options import Options, Range


@dataclass(frozen=True)
class BinaryOptions(Options):
    """How a mask is cleaned.

    Attributes:
        min_area: Smallest region, and smallest hole, as a share of the frame, in [0, 1] (here: 0.005, a square of
            16 pixels a side in a frame of 224; the reference program keeps every speck).
    """

    min_area: Annotated[float, Range(ge=0, le=1)] = 0.005


def binarize(crisp: npt.NDArray[np.float32], options: BinaryOptions | None = None) -> npt.NDArray[np.bool_]:
    """The cleaned binary mask.

    Args:
        crisp: (H, W) in [0, 1].
        options: How it is cleaned.

    Returns:
        bool (H, W).
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
