"""Where the parts of images lie: a box in the frame, and the region of the mask that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PartBoxes:
    """The locations of B candidates in images.

    Attributes:
        corners: float32 (B, 4) xyxy in pixels of the frame, half open.
        region: int32 (B,), number of the region that holds most of the box (see `clustering.parts.regions`).
    """

    corners: NDArray[np.float32]
    region: NDArray[np.int32]
