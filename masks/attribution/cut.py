"""From a relevance to a mask: the scale of a method is its own, the order of the pixels is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visual_summaries.masks.metrics.faithfulness import most_salient


def normalised(relevance: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The relevance of one input, shifted and scaled to [0, 1]; all 0 where it is the same everywhere.

    Args:
        relevance: (H, W), finite.

    Returns:
        float32 (H, W).

    Examples:
        >>> normalised(np.array([[-1.0, 0.0], [1.0, 3.0]]))
        array([[0.  , 0.25],
               [0.5 , 1.  ]], dtype=float32)
    """
    values = relevance.astype(np.float64)
    values -= values.min()
    highest = values.max()
    return (values / highest if highest > 0 else values).astype(np.float32)


def cut(relevance: npt.NDArray[np.floating], area: float) -> npt.NDArray[np.bool_]:
    """The mask of the most relevant pixels; empty where the relevance is the same everywhere and has no order.

    Args:
        relevance: (H, W), finite, in any scale.
        area: Share of the frame, in [0, 1].

    Returns:
        bool (H, W).

    Examples:
        >>> cut(np.array([[-1.0, 0.0], [1.0, 3.0]]), 0.5)
        array([[False, False],
               [ True,  True]])
    """
    if relevance.min() == relevance.max():
        return np.zeros(relevance.shape, np.bool_)
    return most_salient(relevance, area)
