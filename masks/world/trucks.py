"""Trucks: about 90 x 80 units around the origin, the front to the right, y down."""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Colour, Material, mix, palette, shade
from visual_summaries.masks.world.sketch import Sketch, along, point

_TYRE = (38, 38, 42)
_GLASS = (176, 214, 230)
_WHITE = (244, 242, 236)


def draw_truck(sketch: Sketch, shared: np.random.Generator, own: np.random.Generator) -> None:
    """Draws a fire truck or a tow truck: the same vehicle with different equipment."""
    canvas = sketch.canvas
    cab, body, hub = palette(shared, 3, canvas.avoid)
    load, side = palette(own, 2, [*canvas.avoid, cab, body, _WHITE])
    top, nose = shared.uniform(-18, -12), shared.uniform(34, 40)
    deck = shared.uniform(-5, 0)
    fire = sketch.name == "fire truck"

    if fire:
        _ladder(sketch, load, own, deck)
    else:
        _crane(sketch, load, own, deck)
    sketch.part("body", Material.PAINT)
    canvas.rectangle(body, -44, deck, 13, 26)
    canvas.rectangle(shade(body, 0.62), -44, 22, 13, 27)
    canvas.stroke(shade(body, 1.25), 1.4, ((-44, deck + 1), (13, deck + 1)))
    if fire:
        _hose_reel(sketch, side, own, deck)
    else:
        _hazard_board(sketch, side, own, deck)
    sketch.part("cab", Material.PAINT)
    canvas.fill(cab, ((13, top), (nose - 8, top), (nose + 2, 4), (45, 9), (45, 27), (13, 27)))
    canvas.fill(shade(cab, 0.6), ((13, 23), (46, 23), (46, 28), (13, 28)))
    canvas.disc((255, 236, 150), 43, 15, 2.4)
    canvas.stroke(shade(cab, 0.7), 0.8, ((17, top + 2), (17, 22)), ((17, 9), (34, 9)))
    sketch.part("windscreen", Material.SMOOTH)
    glass = mix(_GLASS, (60, 84, 110), shared.uniform(0, 0.9))
    canvas.fill(glass, ((19, top + 4), (nose - 10, top + 4), (nose - 1, 6), (19, 6)))
    canvas.fill(shade(glass, 1.3), ((22, 6), (30, top + 4), (33, top + 4), (26, 6)))
    for name, x in (("front wheel", shared.uniform(27, 31)), ("rear wheel", shared.uniform(-31, -25))):
        _wheel(sketch, name, x, hub, shared)


def _wheel(sketch: Sketch, name: str, x: float, hub: Colour, rng: np.random.Generator) -> None:
    canvas = sketch.canvas
    sketch.part(name, Material.STONE)
    radius = rng.uniform(9.5, 11.5)
    canvas.disc(_TYRE, x, 28, radius)
    canvas.disc(hub, x, 28, radius * 0.6)
    angle = rng.uniform(0, np.pi)
    spokes = [along((x, 28), angle + k * np.pi / 3, -radius * 0.55, radius * 0.55) for k in range(3)]
    canvas.stroke(shade(hub, 0.5), 1.3, *spokes)
    canvas.disc(shade(hub, 0.5), x, 28, radius * 0.18)


def _ladder(sketch: Sketch, colour: Colour, rng: np.random.Generator, deck: float) -> None:
    sketch.part("ladder", Material.PAINT)
    foot = point(rng.uniform(4, 9), deck - 1)
    angle = np.deg2rad(rng.uniform(192, 208))
    length, width = rng.uniform(44, 49), rng.uniform(15, 18)
    ahead = point(np.cos(angle), np.sin(angle))
    across = width * point(-ahead[1], ahead[0])
    canvas = sketch.canvas
    canvas.fill(shade(colour, 0.42), (foot, foot + length * ahead, foot + length * ahead + across, foot + across))
    for step in np.linspace(0.06, 0.94, 7):
        rung = foot + step * length * ahead
        canvas.stroke(colour, 2.2, (rung, rung + across))
    for rail in (foot, foot + across):
        canvas.stroke(colour, 3.0, (rail, rail + length * ahead))


def _hose_reel(sketch: Sketch, colour: Colour, rng: np.random.Generator, deck: float) -> None:
    sketch.part("hose reel", Material.PAINT)
    x, y, radius = rng.uniform(-12, -4), deck + 12.5, rng.uniform(10.5, 12)
    for ring, share in enumerate((1.0, 0.78, 0.56, 0.34)):
        sketch.canvas.disc(colour if ring % 2 == 0 else shade(colour, 0.5), x, y, radius * share)
    sketch.canvas.disc(_WHITE, x, y, radius * 0.14)


def _crane(sketch: Sketch, colour: Colour, rng: np.random.Generator, deck: float) -> None:
    sketch.part("crane", Material.PAINT)
    canvas = sketch.canvas
    back, fore = point(rng.uniform(-19, -15), deck + 1), point(rng.uniform(7, 10), deck + 1)
    tip = point(rng.uniform(-32, -28), deck - rng.uniform(29, 33))
    crown = tip + point(rng.uniform(15, 18), rng.uniform(1, 4))
    canvas.fill(shade(colour, 0.42), (back, tip, crown, fore))
    zigzag = [back, fore + 0.33 * (crown - fore), back + 0.66 * (tip - back), crown]
    canvas.stroke(colour, 2.2, zigzag, (fore, back + 0.33 * (tip - back), fore + 0.66 * (crown - fore), tip))
    canvas.stroke(colour, 3.4, (back, tip, crown, fore))
    hook = tip + point(-6, rng.uniform(11, 14))
    canvas.stroke(shade(colour, 0.42), 1.6, (tip, tip + point(-6, 0), hook))
    canvas.rectangle(colour, hook[0] - 4, hook[1] - 3, hook[0] + 4, hook[1] + 3)
    canvas.stroke(colour, 2.6, hook + np.array(((0, 3), (0, 7), (-3, 10), (-6, 8), (-6, 5))))


def _hazard_board(sketch: Sketch, colour: Colour, rng: np.random.Generator, deck: float) -> None:
    sketch.part("hazard board", Material.PAINT)
    x, y, half, tall = rng.uniform(-13, -5), deck + 12.5, rng.uniform(12, 14), 9.5
    canvas = sketch.canvas
    canvas.rectangle(_WHITE, x - half, y - tall, x + half, y + tall)
    for k in range(3):
        left = x - half + k * half * 0.66
        band = ((0, -tall), (half * 0.33, -tall), (half * 0.66, 0), (half * 0.33, tall), (0, tall), (half * 0.33, 0))
        canvas.fill(colour, point(left, y) + band)
