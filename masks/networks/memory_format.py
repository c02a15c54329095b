"""Channels last, the memory format in which convolutions are fastest, for tensors of any rank that has it."""

from __future__ import annotations

import torch
from torch import Tensor

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def has_channels_last(tensor: Tensor) -> bool:
    """Whether there is such a format for a tensor: images and 2-D kernels (rank 4), clips and 3-D kernels (rank 5).

    Examples:
        >>> has_channels_last(torch.zeros(1, 3, 8, 16, 16)), has_channels_last(torch.zeros(10, 512))
        (True, False)
    """
    return tensor.ndim in _CHANNELS_LAST and tensor.layout == torch.strided


def channels_last(tensor: Tensor) -> Tensor:
    """The same values in channels last; the tensor as it is where there is no such format for it.

    Examples:
        >>> channels_last(torch.zeros(1, 3, 8, 16, 16)).stride()
        (6144, 1, 768, 48, 3)
    """
    return tensor.contiguous(memory_format=_CHANNELS_LAST[tensor.ndim]) if has_channels_last(tensor) else tensor
