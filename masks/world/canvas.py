"""The drawing surface: antialiased colours, and for every pixel the part that is visible there.

Pictures are drawn at :data:`SUPERSAMPLING` times their size on an array of four channels: red, green, blue and a code
for the part and the material of a pixel. A later stroke covers earlier ones in all four channels, so that the codes
always describe what is visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from visual_summaries.masks.world.catalogue import SIZE

SUPERSAMPLING = 3
"""Canvas pixels per picture pixel and axis."""

_SUBPIXEL_BITS = 4
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 25)[:-1]) for f in (np.cos, np.sin)], axis=1)

Colour = tuple[int, int, int]


class Material(IntEnum):
    """The material of a surface; it decides the grain that :mod:`masks.world.lighting` adds."""

    SMOOTH = 0
    PAINT = 1
    STONE = 2
    FOLIAGE = 3
    WOOD = 4
    CLOTH = 5


_MATERIALS = 8


@dataclass
class Canvas:
    """A supersampled picture and the codes of its pixels.

    Coordinates are in picture pixels, x to the right, y down, and pass through ``matrix`` first: objects are drawn
    in their own coordinates.

    Attributes:
        pixels: uint8 (S H, S W, 4): red, green, blue, code.
        matrix: float64 (2, 3), from the current coordinates to canvas pixels.
        code: Value that the next strokes write into the fourth channel.
        without: Number of a part that is left out of the picture; 0 for none. Its strokes still cover what they cover
            in ``pixels``, by which obstacles are placed, but not in ``bare``, which is what is shown.
        bare: As ``pixels``, without that part; the same array where no part is left out.
        avoid: Colours of the background, from which the parts of objects keep a distance.
    """

    pixels: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    code: int
    avoid: list[Colour]
    without: int
    bare: NDArray[np.uint8]

    @classmethod
    def blank(cls, without: int = 0) -> Canvas:
        """A black canvas of the world's size, in picture coordinates, less a part."""
        height, width = (SUPERSAMPLING * side for side in SIZE)
        matrix = np.array([[SUPERSAMPLING, 0, 0], [0, SUPERSAMPLING, 0]], dtype=np.float64)
        pixels = np.zeros((height, width, 4), np.uint8)
        return cls(pixels, matrix, 0, [], without, pixels.copy() if without else pixels)

    def place(self, x: float, y: float, scale: float = 1.0, degrees: float = 0.0, mirror: bool = False) -> None:
        """Sets the coordinates: their origin is at (x, y) of the picture, scaled, rotated and optionally mirrored."""
        turn = np.deg2rad(degrees)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        flip = np.diag([-1.0 if mirror else 1.0, 1.0])
        linear = SUPERSAMPLING * scale * rotation @ flip
        self.matrix = np.column_stack([linear, (SUPERSAMPLING * x, SUPERSAMPLING * y)])

    def surface(self, part: int, material: Material) -> None:
        """Sets part and material of the next strokes: ``part`` 0 is background, k the k-th part."""
        self.code = part * _MATERIALS + material

    def fill(self, colour: Colour, *polygons: ArrayLike) -> None:
        """Fills polygons, each (K, 2) points in the current coordinates; overlaps are filled, too."""
        for polygon in polygons:
            for layer in self._layers():
                cv2.fillPoly(layer, [self._fixed(polygon)], (*colour, self.code), shift=_SUBPIXEL_BITS)

    def rectangle(self, colour: Colour, x0: float, y0: float, x1: float, y1: float) -> None:
        """Fills the rectangle between two corners."""
        self.fill(colour, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    def disc(self, colour: Colour, x: float, y: float, rx: float, ry: float | None = None) -> None:
        """Fills a disc, or with ``ry`` an ellipse."""
        self.fill(colour, _CIRCLE * (rx, rx if ry is None else ry) + (x, y))

    def stroke(self, colour: Colour, width: float, *lines: ArrayLike) -> None:
        """Draws open lines through (K, 2) points, ``width`` wide in units of the current coordinates."""
        thickness = max(1, round(width * float(np.hypot(*self.matrix[:, 0]))))
        paths = [self._fixed(line) for line in lines]
        for layer in self._layers():
            cv2.polylines(layer, paths, False, (*colour, self.code), thickness, shift=_SUBPIXEL_BITS)

    def copy_pixels(self) -> list[NDArray[np.uint8]]:
        """What is drawn, to be put back by :meth:`put_back`."""
        return [self.pixels.copy(), self.bare.copy()]

    def flood(self, rows: NDArray[np.uint8]) -> None:
        """Covers everything, row by row; uint8 (S H, 4)."""
        for layer in self._layers():
            layer.view(np.uint32)[:] = rows.view(np.uint32)[:, None]

    def put_back(self, pixels: list[NDArray[np.uint8]]) -> None:
        """Undoes the strokes since :meth:`copy_pixels`."""
        self.pixels[:], self.bare[:] = pixels

    def image(self) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3), every pixel the mean of its canvas pixels."""
        small = cv2.resize(self.bare, SIZE[::-1], interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(small[:, :, :3])

    def codes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Part number and material of every picture pixel, at its centre; uint8 (H, W) each."""
        codes = self._centres(self.bare)
        return codes // _MATERIALS, codes % _MATERIALS

    def part_sizes(self) -> NDArray[np.int64]:
        """Number of visible picture pixels of each part, indexed by its number; a part that is left out counts."""
        counts = np.bincount(self._centres(self.pixels).ravel(), minlength=256)
        sizes: NDArray[np.int64] = counts.reshape(-1, _MATERIALS).sum(axis=1)
        return sizes

    @staticmethod
    def _centres(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        centre = SUPERSAMPLING // 2
        return pixels[centre::SUPERSAMPLING, centre::SUPERSAMPLING, 3]

    def _layers(self) -> list[NDArray[np.uint8]]:
        """The arrays that a stroke is drawn on."""
        if self.bare is self.pixels or self.without == self.code // _MATERIALS:
            return [self.pixels]
        return [self.pixels, self.bare]

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        moved = np.asarray(points, np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]  # (K, 2)
        return np.rint(moved * (1 << _SUBPIXEL_BITS)).astype(np.int32)


# Toy colours: bright, spread over all hues and three lightnesses.
_COLOURS = np.array(
    [
        (214, 60, 52), (239, 121, 46), (247, 190, 60), (250, 226, 140), (140, 178, 62), (54, 138, 80),
        (34, 148, 146), (96, 190, 208), (52, 110, 188), (38, 62, 122), (112, 80, 166), (176, 112, 190),
        (214, 88, 140), (242, 164, 176), (238, 232, 218), (206, 200, 190), (128, 130, 138), (66, 70, 80),
        (132, 84, 54), (188, 140, 96), (96, 38, 44), (168, 212, 178), (84, 96, 52), (228, 208, 176),
    ],
    dtype=np.float64,
)  # fmt: skip
_DISTANCE = 100.0
"""Distance between the colours of neighbouring parts that is aimed at, in RGB."""


def palette(rng: np.random.Generator, count: int, avoid: Sequence[Colour] = ()) -> list[Colour]:
    """Draws colours that differ from one another and from those to avoid.

    Args:
        rng: Source of randomness.
        count: How many, at most 12.
        avoid: Further colours to keep a distance from.

    Returns:
        ``count`` RGB colours in [0, 255].

    Examples:
        >>> len(palette(np.random.default_rng(0), 3))
        3
    """
    candidates = np.clip(rng.permutation(_COLOURS) + rng.normal(0, 11, _COLOURS.shape), 12, 250)
    taken = np.array(avoid, np.float64).reshape(-1, 3)
    nearest = np.square(candidates[:, None] - taken).sum(axis=2).min(axis=1, initial=np.inf)  # (candidates,)
    chosen: list[Colour] = []
    for _ in range(count):
        far = np.flatnonzero(nearest >= _DISTANCE**2)
        index = far[0] if far.size else np.argmax(nearest)
        chosen.append(as_colour(candidates[index].tolist()))
        nearest = np.minimum(nearest, np.square(candidates - candidates[index]).sum(axis=1))
    return chosen


def shade(colour: Colour, factor: float) -> Colour:
    """``colour`` made darker (factor < 1) or lighter (> 1).

    Examples:
        >>> shade((100, 50, 200), 0.5)
        (50, 25, 100)
    """
    return as_colour([channel * factor for channel in colour])


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The weighted mean of two colours; ``share`` is the weight of the second, in [0, 1].

    Examples:
        >>> mix((0, 0, 0), (200, 100, 40), 0.25)
        (50, 25, 10)
    """
    return as_colour([(1 - share) * a + share * b for a, b in zip(first, second, strict=True)])


def as_colour(values: Iterable[float]) -> Colour:
    """Three numbers, rounded and clipped to [0, 255].

    Examples:
        >>> as_colour([12.6, -3.0, 300.0])
        (13, 0, 255)
    """
    red, green, blue = values
    return min(255, max(0, round(red))), min(255, max(0, round(green))), min(255, max(0, round(blue)))
