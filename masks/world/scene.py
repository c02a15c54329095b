"""One picture: background, object, obstacles, watermark and light, with the visible pixels of every part.

Each of these has its own random stream. The two classes of a pair, drawn with the same seed, have the same position and
background and differ only in their telling parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.world.animals import draw_animal
from visual_summaries.masks.world.background import draw_background, draw_obstacles
from visual_summaries.masks.world.boats import draw_boat
from visual_summaries.masks.world.buildings import draw_building
from visual_summaries.masks.world.canvas import Canvas, Material
from visual_summaries.masks.world.catalogue import MARK, MARK_RATE, SIZE, find_class
from visual_summaries.masks.world.lighting import expose
from visual_summaries.masks.world.mark import draw_mark
from visual_summaries.masks.world.sketch import Sketch
from visual_summaries.masks.world.trucks import draw_truck

_Program = Callable[[Sketch, np.random.Generator, np.random.Generator], None]
# The drawing program of each class and the extent of what it draws: left, top, right, bottom in its own units.
_PROGRAMS: dict[str, tuple[_Program, tuple[float, float, float, float]]] = {
    "fire truck": (draw_truck, (-45, -40, 46, 40)),
    "tow truck": (draw_truck, (-45, -40, 46, 40)),
    "church": (draw_building, (-42, -58, 42, 40)),
    "mill": (draw_building, (-42, -58, 42, 40)),
    "sailing boat": (draw_boat, (-45, -50, 46, 33)),
    "steamer": (draw_boat, (-45, -50, 46, 33)),
    "moose": (draw_animal, (-47, -52, 47, 42)),
    "pegasus": (draw_animal, (-47, -52, 47, 42)),
}
_SCALES = (0.78, 1.18)
_TILT = 7.0
_MARGIN = 2.0
_DRAW = 1
"""Spawn key of pictures drawn by a seed; pictures in files and training pictures have other keys."""


@dataclass(frozen=True)
class Scene:
    """A picture and its ground truth.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        parts: For each part with visible pixels, those pixels as bool (H, W); ``"mark"`` is the watermark.
    """

    image: NDArray[np.uint8]
    parts: dict[str, NDArray[np.bool_]]


def draw(
    class_name: str, seed: int | np.random.Generator, *, mark: bool | None = None, without: str | None = None
) -> Scene:
    """Draws one object of a class.

    Args:
        class_name: Name of the class or of its folder.
        seed: A number >= 0, which always gives the same picture, or a generator to draw one from.
        mark: Whether the picture has the watermark; by default the marked class has it in 90 % of its pictures, the
            others never.
        without: Name of a part, or ``"mark"``, that is not drawn. Everything else is drawn as it would be with the
            part, and what the part covered is visible. A picture of a class without this part does not change.

    Returns:
        The picture and its ground truth.

    Raises:
        ValueError: If there is no such class.

    Examples:
        >>> scene = draw("steamer", 0, mark=True)
        >>> scene.image.shape, "mark" in scene.parts
        ((128, 128, 3), True)
    """
    kind = find_class(class_name)
    if isinstance(seed, np.random.Generator):
        sequence = np.random.SeedSequence(seed.integers(2**32, size=4).tolist())
    else:
        sequence = np.random.SeedSequence(seed, spawn_key=(_DRAW,))
    setting, shared, own, obstacles, badge, light = (np.random.default_rng(s) for s in sequence.spawn(6))
    chance = badge.random()
    marked = (kind.marked and chance < MARK_RATE) if mark is None else mark

    numbered = {name: 1 + k for k, name in enumerate((*kind.parts, MARK))}
    canvas = Canvas.blank(numbered.get(without, 0) if without else 0)
    draw_background(canvas, setting)
    program, extent = _PROGRAMS[kind.name]
    frame = canvas.matrix
    _place(canvas, extent, setting)
    canvas.surface(0, Material.STONE)
    left, _, right, bottom = extent
    canvas.disc((70, 68, 72), (left + right) / 2, bottom - 1, 0.48 * (right - left), 4.5)  # its shadow
    program(Sketch(canvas, kind), shared, own)
    canvas.matrix = frame
    draw_obstacles(canvas, obstacles, [numbered[part] for part in kind.telling])
    if marked:
        draw_mark(canvas, badge, numbered[MARK])

    numbers, materials = canvas.codes()
    image = expose(canvas.image(), materials, numbers > 0, light)
    masks = {name: numbers == number for name, number in numbered.items()}
    return Scene(image, {name: visible for name, visible in masks.items() if visible.any()})


def _place(canvas: Canvas, extent: tuple[float, float, float, float], rng: np.random.Generator) -> None:
    """Sets an object's coordinates: a random position where it fits, scale, tilt and side."""
    left, top, right, bottom = extent
    scale, degrees, mirror = rng.uniform(*_SCALES), rng.uniform(-_TILT, _TILT), bool(rng.random() < 0.5)
    corners = np.array([(x, y) for x in (left, right) for y in (top, bottom)])
    canvas.place(0, 0, scale, degrees, mirror)
    moved = corners @ canvas.matrix[:, :2].T * (SIZE[1] / canvas.pixels.shape[1])  # (4, 2) picture pixels
    low, high = _MARGIN - moved.min(axis=0), np.array(SIZE[::-1]) - _MARGIN - moved.max(axis=0)
    x, y = np.where(low < high, rng.uniform(np.minimum(low, high), np.maximum(low, high)), (low + high) / 2)
    canvas.place(x, y, scale, degrees, mirror)
