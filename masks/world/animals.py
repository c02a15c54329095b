"""Animals: about 94 x 94 units around the origin, the head to the right, y down."""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Colour, Material, mix, palette, shade
from visual_summaries.masks.world.sketch import Sketch, point

_DARK = (44, 38, 40)
_LIGHT = (246, 240, 226)
_HEAD = ((18, -26), (25, -31), (33, -29), (46, -17), (45, -10), (38, -9), (27, -14), (20, -17))
_ANTLER = (
    (-1, 1), (-7, -2), (-12, -1), (-20, -5), (-15, -8), (-22, -13), (-15, -14), (-19, -21),
    (-11, -17), (-10, -23), (-6, -14), (-3, -6), (1, -3),
)  # fmt: skip


def draw_animal(sketch: Sketch, shared: np.random.Generator, own: np.random.Generator) -> None:
    """Draws a moose or a pegasus: the same four-legged animal with antlers or with a wing."""
    canvas = sketch.canvas
    coat, spots, mane, legs, brush, face = palette(shared, 6, canvas.avoid)
    colour, accent = palette(own, 2, [*canvas.avoid, coat, face])
    back, chest = shared.uniform(-6, -2), shared.uniform(17, 20)
    nod = shared.uniform(-3, 3)

    sketch.part("tail", Material.FOLIAGE)
    droop = shared.uniform(4, 12)
    tip = back + 8 + droop
    tail = ((-27, back), (-36, back - 6), (-44, back + 2), (-46, tip + 4), (-39, tip), (-34, back + 6))
    canvas.fill(brush, tail)
    canvas.stroke(shade(brush, 0.6), 1.0, ((-30, back), (-38, back + 1), (-42, tip)))
    for name, x in (("hind legs", -24.0), ("front legs", 13.0)):
        _legs(sketch, name, x, legs, shared)
    sketch.part("neck", Material.CLOTH)
    canvas.fill(mane, ((8, back + 6), (20, -24 + nod), (33, -18 + nod), (25, 14)))
    for k in range(3):
        canvas.stroke(shade(mane, 0.65), 1.1, ((12 + 4 * k, back + 4), (22 + 4 * k, -20 + nod + k)))
    sketch.part("body", Material.PAINT)
    canvas.disc(coat, -3, 6, 29, 15)
    canvas.disc(coat, chest - 3, 5, 12, 13)
    for x, y in shared.uniform((-24, -4), (16, 15), (7, 2)):
        canvas.disc(spots, x, y, shared.uniform(1.8, 3.6))
    if sketch.name == "moose":
        _antlers(sketch, colour, accent, own, nod)
    sketch.part("head", Material.PAINT)
    canvas.fill(shade(face, 0.7), ((19, -26 + nod), (17, -36 + nod), (25, -30 + nod)))
    canvas.fill(face, point(0, nod) + _HEAD)
    canvas.fill(shade(face, 0.65), ((40, -22 + nod), (46, -17 + nod), (45, -10 + nod), (38, -9 + nod)))
    canvas.disc(_LIGHT, 29, -24 + nod, 2.6)
    canvas.disc(_DARK, 29.6, -24 + nod, 1.5)
    if sketch.name == "pegasus":
        _wing(sketch, colour, accent, own, back)


def _legs(sketch: Sketch, name: str, x: float, colour: Colour, rng: np.random.Generator) -> None:
    canvas = sketch.canvas
    sketch.part(name, Material.WOOD)
    stride = rng.uniform(4, 8)
    for step, tone in ((-stride, 0.72), (stride, 1.0)):
        foot = x + 3 + step + rng.uniform(-2, 2)
        hip = x + 2 + step / 2
        canvas.fill(shade(colour, tone), ((hip - 6, 12), (hip + 6, 12), (foot + 3.5, 38), (foot - 3.5, 38)))
        canvas.fill(_DARK, ((foot - 3.5, 37), (foot + 3.5, 37), (foot + 5, 42), (foot - 4, 42)))


def _antlers(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator, nod: float) -> None:
    canvas = sketch.canvas
    sketch.part("antlers", Material.WOOD)
    base, spread = point(24, -29 + nod), rng.uniform(0.95, 1.1)
    for side, tone in ((-1.0, 0.7), (1.0, 1.0)):
        shape = base + spread * np.array(_ANTLER) * point(side, 1) + point(0, rng.uniform(-1.5, 1.5))
        canvas.fill(shade(colour, tone), shape)
        ribs = [(base, base + spread * point(side * x, y)) for x, y in ((-15, -4), (-15, -11), (-11, -17))]
        canvas.stroke(shade(accent, tone), 1.4, *ribs)


def _wing(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator, back: float) -> None:
    canvas = sketch.canvas
    sketch.part("wing", Material.CLOTH)
    root, reach = point(rng.uniform(4, 8), back + 5), rng.uniform(0.92, 1.08)
    for k in range(6):
        angle = np.deg2rad(184 + 15 * k + rng.uniform(-3, 3))
        length = reach * (30 + 2.6 * k)
        ahead = point(np.cos(angle), np.sin(angle))
        across = 5.4 * point(-ahead[1], ahead[0])
        tip, bend = root + length * ahead, root + 0.75 * length * ahead
        feather = (root - 0.6 * across, bend - across, tip, bend + across, root + across)
        canvas.fill(colour if k % 2 else mix(colour, accent, 0.45), feather)
        canvas.stroke(shade(colour, 0.6), 0.9, (root, tip))
    canvas.disc(mix(colour, accent, 0.7), root[0], root[1], 6.5)
