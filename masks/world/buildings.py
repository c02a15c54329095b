"""Buildings: about 84 x 98 units around the origin, y down."""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Colour, Material, mix, palette, shade
from visual_summaries.masks.world.sketch import Sketch, along, point

_DARK = (44, 38, 40)
_LIGHT = (246, 240, 226)


def draw_building(sketch: Sketch, shared: np.random.Generator, own: np.random.Generator) -> None:
    """Draws a church or a mill: the same house with a steeple or with sails."""
    canvas = sketch.canvas
    wall, roof, door, frame, stack = palette(shared, 5, canvas.avoid)
    colour, accent = palette(own, 2, [*canvas.avoid, wall, roof])
    eaves, ridge = shared.uniform(2, 6), shared.uniform(-20, -16)

    sketch.part("chimney", Material.STONE)
    x = shared.uniform(-27, -21)
    canvas.rectangle(stack, x - 6.5, ridge - 15, x + 6.5, eaves)
    canvas.rectangle(shade(stack, 0.65), x - 8.5, ridge - 17, x + 8.5, ridge - 12)
    for k in range(4):
        canvas.stroke(shade(stack, 0.7), 0.8, ((x - 6.5, ridge - 8 + 4 * k), (x + 6.5, ridge - 8 + 4 * k)))
    if sketch.name == "church":
        _steeple(sketch, colour, accent, own, ridge)
    sketch.part("wall", Material.STONE)
    canvas.rectangle(wall, -36, eaves, 36, 40)
    mortar = shade(wall, 0.8)
    for row, y in enumerate(np.arange(eaves + 5, 40, 6)):
        canvas.stroke(mortar, 0.8, ((-36, y), (36, y)))
        joints = np.arange(-32 + 5 * (row % 2), 36, 10)
        canvas.stroke(mortar, 0.8, *[((joint, y), (joint, y + 6)) for joint in joints if y + 6 <= 40])
    sketch.part("roof", Material.WOOD)
    canvas.fill(roof, ((-42, eaves + 2), (-27, ridge), (27, ridge), (42, eaves + 2)))
    for share in (0.25, 0.5, 0.75, 1.0):
        half, y = 27 + 15 * share, ridge + share * (eaves + 1 - ridge)
        canvas.stroke(shade(roof, 0.68), 1.2, ((-half, y), (half, y)))
    _door(sketch, door, shared)
    _window(sketch, frame, shared, eaves)
    if sketch.name == "mill":
        _sails(sketch, colour, accent, own, ridge)


def _door(sketch: Sketch, colour: Colour, rng: np.random.Generator) -> None:
    canvas = sketch.canvas
    sketch.part("door", Material.WOOD)
    x, half, top = rng.uniform(-23, -18), rng.uniform(8, 9.5), rng.uniform(17, 19)
    canvas.disc(colour, x, top, half)
    canvas.rectangle(colour, x - half, top, x + half, 40)
    canvas.stroke(shade(colour, 0.55), 1.3, ((x, top - half + 1), (x, 40)))
    for side in (-1, 1):
        canvas.stroke(shade(colour, 0.55), 1.0, ((x + side * half * 0.5, top - 4), (x + side * half * 0.5, 40)))
    canvas.disc(_LIGHT, x + 3, top + 11, 1.4)


def _window(sketch: Sketch, colour: Colour, rng: np.random.Generator, eaves: float) -> None:
    canvas = sketch.canvas
    sketch.part("window", Material.SMOOTH)
    x, y, half = rng.uniform(8, 18), eaves + rng.uniform(16, 18), rng.uniform(9.5, 11)
    glass = mix((250, 220, 130), (70, 96, 130), float(rng.random() < 0.5))
    canvas.rectangle(colour, x - half, y - half, x + half, y + half)
    for column in (-1, 0):
        for row in (-1, 0):
            left, upper = x + 1 + column * (half - 1), y + 1 + row * (half - 1)
            canvas.rectangle(glass, left, upper, left + half - 3, upper + half - 3)
    canvas.rectangle(shade(colour, 0.8), x - half - 2, y + half - 1, x + half + 2, y + half + 2)


def _steeple(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator, ridge: float) -> None:
    canvas = sketch.canvas
    sketch.part("steeple", Material.STONE)
    x, half, top = rng.uniform(6, 16), rng.uniform(9.5, 11.5), ridge - rng.uniform(15, 18)
    canvas.rectangle(colour, x - half, top, x + half, ridge + 2)
    tip = top - rng.uniform(17, 20)
    canvas.fill(accent, ((x - half - 3, top + 2), (x, tip), (x + half + 3, top + 2)))
    canvas.fill(shade(accent, 0.7), ((x, top + 2), (x, tip), (x + half + 3, top + 2)))
    canvas.disc(_LIGHT, x, (top + ridge) / 2 + 2, 5.6)
    middle = (x, (top + ridge) / 2 + 2)
    canvas.stroke(_DARK, 1.2, along(middle, -1.6, 0, 4.4), along(middle, rng.uniform(0, 6), 0, 3.2))
    canvas.stroke(_DARK, 1.6, ((x, tip + 2), (x, tip - 6)), ((x - 3, tip - 3.5), (x + 3, tip - 3.5)))


def _sails(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator, ridge: float) -> None:
    canvas = sketch.canvas
    sketch.part("sails", Material.CLOTH)
    hub = point(rng.uniform(6, 14), ridge - rng.uniform(4, 8))
    start, reach, width = rng.uniform(0, np.pi / 2), rng.uniform(23, 26), rng.uniform(9, 11)
    for k in range(4):
        angle = start + k * np.pi / 2
        ahead = point(np.cos(angle), np.sin(angle))
        across = point(-ahead[1], ahead[0])
        root, end = hub + 5 * ahead - 2 * across, hub + reach * ahead - 2 * across
        canvas.fill(colour, (root, end, end + width * across, root + width * across))
        for share in (0.3, 0.55, 0.8):
            bar = root + share * (end - root)
            canvas.stroke(shade(accent, 0.7), 1.2, (bar, bar + width * across))
        canvas.stroke(shade(accent, 0.7), 1.8, (hub, end), (root + width * across, end + width * across))
    canvas.disc(shade(accent, 0.7), hub[0], hub[1], 4)
