"""Linear upsampling of maps of any rank."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def upsampled(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (N, C, *s), enlarged to (N, C, *S) by linear interpolation between the centres of cells.

    Args:
        maps: (N, C, *s) with one to three dimensions s.
        size: S, as many dimensions.

    Examples:
        >>> import torch
        >>> upsampled(torch.tensor([[[0.0, 1.0]]]), [4])
        tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    return F.interpolate(maps, size=tuple(size), mode=_MODES[len(size)], align_corners=False)
