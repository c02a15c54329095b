"""The shape of a network's input, the same code for an image (3, H, W) and for a clip (3, T, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

COLOURS = 3
"""Red, green, blue: the channels of every input."""


@dataclass(frozen=True)
class InputShape:
    """The shape (3, *S) of one input.

    Attributes:
        size: S in pixels and frames: (H, W) of an image, (T, H, W) of a clip.

    Raises:
        ValueError: If S is neither.

    Examples:
        >>> InputShape((224, 224)).is_clip, InputShape((16, 112, 112)).is_clip
        (False, True)
        >>> InputShape((16, 112, 112)).empty(2).shape
        torch.Size([2, 3, 16, 112, 112])
    """

    size: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise ValueError(f"size: {self.size} is neither (H, W) nor (T, H, W) with each at least 1")

    @property
    def is_clip(self) -> bool:
        """Whether S has a time axis."""
        return len(self.size) == 3

    def empty(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        """Black inputs, float32 zeros (N, 3, *S)."""
        return torch.zeros(count, COLOURS, *self.size, device=device)


def per_colour(values: Sequence[float], inputs: Tensor) -> Tensor:
    """One value for each colour, (1, 3, 1, ..), in the type and on the device of inputs (N, 3, *S) of any rank.

    Examples:
        >>> per_colour((0.5, 0.4, 0.3), torch.zeros(2, 3, 8, 16, 16)).shape
        torch.Size([1, 3, 1, 1, 1])
    """
    return inputs.new_tensor(values).view(1, COLOURS, *[1] * (inputs.ndim - 2))
