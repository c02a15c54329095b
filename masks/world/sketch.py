"""The canvas and the class of an object while it is drawn; points and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.world.canvas import Canvas, Material
from visual_summaries.masks.world.catalogue import WorldClass


@dataclass(frozen=True)
class Sketch:
    """The canvas and the class of an object while it is drawn.

    Attributes:
        canvas: The canvas, in the object's own coordinates.
        kind: The class of the object.
    """

    canvas: Canvas
    kind: WorldClass

    @property
    def name(self) -> str:
        """Name of the object's class."""
        return self.kind.name

    def part(self, name: str, material: Material) -> None:
        """Starts part ``name``, of a material: the next strokes belong to it."""
        self.canvas.surface(1 + self.kind.parts.index(name), material)


def point(x: float, y: float) -> NDArray[np.float64]:
    """A point as an array (2,)."""
    return np.array((x, y), np.float64)


def along(origin: Sequence[float], angle: float, start: float, end: float) -> NDArray[np.float64]:
    """The line through ``origin`` in direction ``angle`` (radians), from ``start`` to ``end``; (2, 2) points."""
    return np.asarray(origin, np.float64) + np.outer((start, end), point(np.cos(angle), np.sin(angle)))
