"""How much two masks overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def iou(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Intersection over union of two masks (H, W); 1 for two empty ones.

    Examples:
        >>> iou(np.array([True, True, False]), np.array([False, True, True])) == 1 / 3
        True
    """
    union = int((one | other).sum())
    return float((one & other).sum() / union) if union else 1.0
