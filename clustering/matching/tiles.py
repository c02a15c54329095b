"""Similarities of pairs of images, tile by tile: packed, kept in a store, and the highest of each part.

A tile is some pairs of images that are matched together, so that images are not loaded for each pair anew. About half
of the similarities of a pair are not zero; a tile keeps these alone. A store can be a folder, so that what is in
memory does not grow with the square of the number of parts.
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
        found: uint8, eight to a byte which similarities are not zero: of the pairs one after the other, each one's
            (kept in one, kept in other) row by row.
        values: float32, those that are not zero, in that order.
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
    """Where tiles are kept by their number; a dictionary is one."""

    def __contains__(self, number: object, /) -> bool: ...

    def __getitem__(self, number: int, /) -> Tile: ...

    def __setitem__(self, number: int, tile: Tile, /) -> None: ...


def in_tiles(pairs: NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """The pairs in tiles of the same first images, as many as all pairs of `TILE` images with as many others.

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
    """The highest similarities of each part, as pairs of images come in, in any order.

    Args:
        counts: int64 (N,), parts of each image.
        top: How many to keep of each part.
    """

    def __init__(self, counts: NDArray[np.int64], top: int) -> None:
        self._ends = np.cumsum([0, *counts])
        self._counts = counts
        self._top = top
        self._highest = np.zeros((self._ends[-1], top), dtype=np.float32)
        self._others = np.zeros(len(counts), dtype=np.int64)  # parts of the images that each one is matched with

    def see(self, tile: Sequence[tuple[int, int]], blocks: Sequence[NDArray[np.float32]]) -> None:
        """Takes in the similarities (parts of one, parts of other) of some pairs of images."""
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
