"""Tiles: pairs of images that are matched together, their packed similarities, and the highest of each part.

The pairs of a tile share images, so that an image is not loaded again for each pair. About half of the similarities of
a pair are not zero; a tile stores only these. A store can be a folder, so that memory does not grow with the square of
the number of parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

TILE = 4
"""Images on one side of a tile's pairs."""


@dataclass(frozen=True)
class Tile:
    """The similarities of some pairs of images, packed.

    Attributes:
        found: uint8, one bit a similarity, 1 = not zero. Pairs follow each other; the matrix (kept in one, kept in
            other) of a pair is stored row by row.
        values: float32, the similarities that are not zero, in that order.
    """

    found: NDArray[np.uint8]
    values: NDArray[np.float32]

    @classmethod
    def pack(cls, blocks: Sequence[NDArray[np.float32]]) -> Tile:
        """Packs the similarities (kept in one, kept in other) of each pair.

        Examples:
            >>> block = np.array([[0.0, 0.5], [0.25, 0.0]], np.float32)
            >>> packed = Tile.pack([block])
            >>> packed.values.tolist()
            [0.5, 0.25]
            >>> packed.unpack([(2, 2)])[0].tolist()
            [[0.0, 0.5], [0.25, 0.0]]
        """
        flat = np.concatenate([block.ravel() for block in blocks])
        found = flat != 0
        return cls(np.packbits(found), flat[found])

    def unpack(self, shapes: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
        """The similarities of each pair, float32 of the given shapes."""
        ends = np.cumsum([rows * columns for rows, columns in shapes])
        flat = np.zeros(ends[-1], dtype=np.float32)
        flat[np.unpackbits(self.found, count=len(flat)).astype(np.bool_)] = self.values
        return [block.reshape(shape) for block, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


class Store(Protocol):
    """A mapping from numbers to tiles, for instance a dictionary."""

    def __contains__(self, number: object, /) -> bool: ...

    def __getitem__(self, number: int, /) -> Tile: ...

    def __setitem__(self, number: int, tile: Tile, /) -> None: ...


def in_tiles(pairs: NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """Groups pairs into tiles: the pairs of `TILE` successive first images with as many second ones, at most.

    Examples:
        >>> in_tiles(np.array([[0, 1], [0, 2], [1, 2], [4, 5]]))
        [[(0, 1), (0, 2), (1, 2)], [(4, 5)]]
    """
    tiles: list[list[tuple[int, int]]] = []
    for _, group in groupby(pairs.tolist(), key=lambda pair: pair[0] // TILE):
        together = sorted(((one, other) for one, other in group), key=lambda pair: pair[::-1])
        tiles += [together[start : start + TILE**2] for start in range(0, len(together), TILE**2)]
    return tiles


class Highest:
    """The highest similarities of each part, updated with the pairs of each tile, in any order.

    Args:
        counts: int64 (N,), parts of each image.
        top: Number of similarities that are kept for each part.
    """

    def __init__(self, counts: NDArray[np.int64], top: int) -> None:
        self._ends = np.cumsum([0, *counts])
        self._counts = counts
        self._top = top
        self._highest = np.zeros((self._ends[-1], top), dtype=np.float32)
        self._others = np.zeros(len(counts), dtype=np.int64)  # parts of the images that were matched with each one

    def see(self, tile: Sequence[tuple[int, int]], blocks: Sequence[NDArray[np.float32]]) -> None:
        """Adds the similarities (parts of one, parts of other) of some pairs of images."""
        new: dict[int, list[NDArray[np.float32]]] = {}
        for (one, other), block in zip(tile, blocks, strict=True):
            new.setdefault(one, []).append(block)
            new.setdefault(other, []).append(block.T)
            self._others[one] += self._counts[other]
            self._others[other] += self._counts[one]
        for image, found in new.items():
            highest = self._highest[self._ends[image] : self._ends[image + 1]]
            together = np.concatenate([highest, *found], axis=1)
            highest[:] = np.partition(together, -self._top, axis=1)[:, -self._top :]

    def quality(self) -> NDArray[np.float32]:
        """Mean of each part's highest similarities to parts of other images, float32 (P,)."""
        quality = np.zeros(len(self._highest), dtype=np.float32)
        for part, others in enumerate(np.repeat(self._others, self._counts).tolist()):
            if others:
                quality[part] = np.sort(self._highest[part])[-min(self._top, others) :].mean()
        return quality
