"""How a module's output lies over the network's input: as a grid of feature vectors, at any rank of the input.

Let the input be (N, 3, *S) and the grid (N, C, *s), with s = (h, w) for S = (H, W) and s = (t, h, w) for S = (T, H, W).
Modules put it out in three layouts:

* (N, C, *s), convolutional networks;
* (N, *s, C), Swin and similar networks;
* (N, P + L, C), tokens of transformers, L = product of s, with P prefix tokens (class, registers) in front.

The first two are distinguished by shape: the grid has the aspect ratio of the input. The number of tokens alone gives
(h, w), for the same reason. It does not give (t, h, w), because the step in time has no relation to the step in space.
Tokens of a clip are therefore laid out like a map (.., t, h, w) with as many places that an earlier module put out in
the same pass: the patch embedding, or the pooling of the tokens.

Networks that treat the frames of a clip as a batch of images, with outputs (N T, C, h, w), have no grids here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_PREFIX = 16
"""Most tokens in front of a grid's that are no place of the input (class, distillation, registers: 1 to 9 in use)."""


@dataclass(frozen=True)
class Grid:
    """How an output is a grid.

    Attributes:
        channels: C.
        size: s, (h, w) or (t, h, w).
        prefix: Tokens in front of the grid's; None for an output that is no sequence of tokens.
        last: Whether channels are the last dimension of such an output.
    """

    channels: int
    size: tuple[int, ...]
    prefix: int | None = None
    last: bool = False

    def unpack(self, output: Tensor) -> Tensor:
        """The output as (N, C, *s)."""
        if self.prefix is not None:
            return output[:, self.prefix :].transpose(1, 2).reshape(len(output), self.channels, *self.size)
        return output.movedim(-1, 1) if self.last else output

    def pack(self, grid: Tensor, output: Tensor) -> Tensor:
        """A new tensor in the output's layout, made of a grid (N, C, *s) and the output's prefix."""
        if self.prefix is not None:
            return torch.cat([output[:, : self.prefix], grid.flatten(2).transpose(1, 2)], dim=1)
        return grid.movedim(1, -1).clone() if self.last else grid.clone()


class GridFinder:
    """Finds the grids in the outputs of one pass, which are given in the order of execution.

    Args:
        size: S of the pass's input.
    """

    def __init__(self, size: tuple[int, ...]) -> None:
        self.size = size
        self._clip_sizes: dict[tuple[int, ...], None] = {}  # (t, h, w) of the maps so far, in their order

    def find(self, shape: tuple[int, ...]) -> Grid | None:
        """The layout of an output of a shape, None where it is no grid over the input.

        Examples:
            >>> GridFinder((224, 224)).find((1, 197, 192))
            Grid(channels=192, size=(14, 14), prefix=1, last=False)
            >>> finder = GridFinder((16, 224, 224))
            >>> finder.find((1, 1568, 768)) is None  # 8 x 14 x 14 or 2 x 28 x 28?
            True
            >>> finder.find((1, 768, 8, 14, 14)).size, finder.find((1, 1568, 768)).size
            ((8, 14, 14), (8, 14, 14))
        """
        rank = len(self.size)
        if len(shape) == rank + 2:
            first, last = self._misfit(shape[2:]), self._misfit(shape[1:-1])
            if min(first, last) > 1.0:
                return None
            grid = Grid(shape[1], shape[2:]) if first <= last else Grid(shape[-1], shape[1:-1], last=True)
            if rank == 3:
                self._clip_sizes.pop(grid.size, None)  # the latest map is the last
                self._clip_sizes[grid.size] = None
            return grid
        if len(shape) == 3:
            for prefix in range(min(MAX_PREFIX, shape[1] // 2) + 1):
                size = self._size_of(shape[1] - prefix)
                if size is not None:
                    return Grid(shape[2], size, prefix=prefix)
        return None

    def note(self, shape: tuple[int, ...]) -> None:
        """Takes notice of an output whose layout is not asked for: it may tell that of tokens that follow."""
        if len(self.size) == 3 and len(shape) == 5:
            self.find(shape)

    def _misfit(self, size: tuple[int, ...]) -> float:
        """Columns a grid has more or less than one of its height with the aspect ratio of the input."""
        if any(steps > length for steps, length in zip(size, self.size, strict=True)):
            return math.inf
        return abs(size[-1] - size[-2] * self.size[-1] / self.size[-2])

    def _size_of(self, tokens: int) -> tuple[int, ...] | None:
        """The size of the grid that so many tokens make, None where there is none."""
        if len(self.size) == 3:
            return next((size for size in reversed(self._clip_sizes) if math.prod(size) == tokens), None)
        height = math.sqrt(tokens * self.size[0] / self.size[1])
        for rows in (math.floor(height), math.ceil(height)):
            if rows > 0 and tokens % rows == 0 and self._misfit((rows, tokens // rows)) < 0.5:
                return rows, tokens // rows
        return None
