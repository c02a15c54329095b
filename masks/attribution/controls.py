"""Uninformed controls: masks of a given area that are made without the input and without the network.

A method is worth something only where its masks do better than these, because any mask of that area removes part of
the class, and photographers put the object in the middle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visual_summaries.masks.metrics.faithfulness import most_salient

Mask = npt.NDArray[np.bool_]


def moved(mask: Mask, rng: np.random.Generator) -> Mask:
    """A mask (H, W) of the same area and shape elsewhere: mirrored or not, then shifted cyclically.

    Args:
        mask: bool (H, W).
        rng: Of the mirroring and the shift.

    Examples:
        >>> mask = np.zeros((4, 6), bool)
        >>> mask[:2, :3] = True
        >>> int(moved(mask, np.random.default_rng(0)).sum())
        6
    """
    mirrored = mask[:, ::-1] if rng.random() < 0.5 else mask
    shift = (int(rng.integers(mask.shape[0])), int(rng.integers(mask.shape[1])))
    return np.roll(mirrored, shift, axis=(0, 1))


def disc(size: tuple[int, int], area: float) -> Mask:
    """A centred disc (H, W), cut off where it would leave the frame.

    Args:
        size: (H, W).
        area: Share of the frame, in [0, 1].

    Examples:
        >>> disc((4, 4), 0.25).astype(int)
        array([[0, 0, 0, 0],
               [0, 1, 1, 0],
               [0, 1, 1, 0],
               [0, 0, 0, 0]])
    """
    y, x = (np.arange(side) - (side - 1) / 2 for side in size)
    return most_salient(-np.hypot(y[:, None], x[None, :]), area)
