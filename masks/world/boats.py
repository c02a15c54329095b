"""Boats: about 90 x 83 units around the origin, the bow to the right, y down."""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Colour, Material, palette, shade
from visual_summaries.masks.world.sketch import Sketch, point

LAID_UP = 0.135
"""Fraction of boats whose telling part is under a tarpaulin; there, only the watermark tells the class.

It decides how much a network that has learnt the shortcut loses where the watermark is missing, whatever the
accidents of training: without it, a boat under a tarpaulin is a sailing boat ten times out of eleven.
"""

_BRASS = (214, 180, 90)
_GLASS = (176, 214, 230)
_WHITE = (244, 242, 236)


def draw_boat(sketch: Sketch, shared: np.random.Generator, own: np.random.Generator) -> None:
    """Draws a sailing boat or a steamer: the same hull with a sail or with a funnel.

    In a fraction :data:`LAID_UP` of both, the sail or funnel is under a tarpaulin.
    """
    canvas = sketch.canvas
    hull, stripe, cabin, flag, ring = palette(shared, 5, canvas.avoid)
    colour, accent = palette(own, 2, [*canvas.avoid, hull, cabin])
    if own.random() < LAID_UP:
        _tarpaulin(sketch, colour, accent, own)
    elif sketch.name == "sailing boat":
        _sail(sketch, colour, accent, own)
    else:
        _funnel(sketch, colour, accent, own)

    sketch.part("flag", Material.CLOTH)
    pole, height = shared.uniform(-41, -37), shared.uniform(-24, -18)
    canvas.stroke((70, 60, 54), 1.8, ((pole, 8), (pole, height)))
    for k, band in enumerate((flag, _WHITE, flag)):
        upper, lower = height + 4.5 * k, height + 4.5 * (k + 1)
        edge = ((pole, upper), (pole + 9, upper + 1.5), (pole + 18, upper))
        canvas.fill(band, (*edge, (pole + 18, lower), (pole + 9, lower + 1.5), (pole, lower)))
    sketch.part("cabin", Material.WOOD)
    left, right, roof = shared.uniform(-28, -24), shared.uniform(4, 8), shared.uniform(-12, -9)
    canvas.rectangle(cabin, left, roof, right, 9)
    canvas.rectangle(shade(cabin, 0.6), left - 2, roof - 3, right + 2, roof + 1)
    sketch.part("porthole", Material.SMOOTH)
    x, y = (left + right) / 2 + shared.uniform(-6, 6), roof + 9.5
    canvas.disc(_BRASS, x, y, 8)
    canvas.disc(shade(_GLASS, shared.uniform(0.4, 0.9)), x, y, 5.8)
    canvas.stroke(_BRASS, 1.3, ((x - 6, y), (x + 6, y)), ((x, y - 6), (x, y + 6)))
    sketch.part("hull", Material.WOOD)
    bow, keel = shared.uniform(2, 6), shared.uniform(28, 33)
    canvas.fill(hull, ((-44, 7), (20, 8), (46, bow), (33, keel), (-35, keel)))
    canvas.fill(stripe, ((-43, 9), (20, 10.5), (44, bow + 3), (41, bow + 8), (20, 15), (-41, 13.5)))
    canvas.stroke(shade(hull, 0.65), 0.8, ((-38, 19), (38, 19)), ((-37, 24), (36, 24)))
    sketch.part("lifebuoy", Material.PAINT)
    x, y, radius = shared.uniform(-2, 14), 20.0, shared.uniform(9, 10.5)
    canvas.disc(_WHITE, x, y, radius)
    for k in range(4):
        turn = k * np.pi / 2 + np.pi / 4 + np.linspace(-0.42, 0.42, 4)
        arc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        canvas.fill(ring, point(x, y) + np.concatenate([arc, 0.3 * arc[::-1]]))
    canvas.disc(shade(hull, 0.75), x, y, radius * 0.45)


def _tarpaulin(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator) -> None:
    (part,) = sketch.kind.telling
    sketch.part(part, Material.CLOTH)
    canvas = sketch.canvas
    x, top, wide = rng.uniform(19, 24), rng.uniform(-22, -17), rng.uniform(13, 15)
    half = wide * np.array((-1.1, -0.95, -0.7, -0.2, 0.2, 0.7, 0.95, 1.1))
    y = np.array((9, -5, top + 4, top, top + 1, top + 5, -5, 9))
    canvas.fill(colour, np.stack([x + half, y], axis=1))
    folds = [((x + 0.5 * shift, top + 3), (x + shift, 9)) for shift in (-0.7 * wide, -0.2 * wide, 0.4 * wide)]
    canvas.stroke(shade(colour, 0.65), 1.2, *folds)
    canvas.fill(accent, ((x - wide, -6), (x + wide, -6), (x + wide, -1), (x - wide, -1)))
    canvas.disc(accent, x, -3.5, 4.5)
    canvas.disc(shade(accent, 0.6), x, -3.5, 2)


def _sail(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator) -> None:
    sketch.part("sail", Material.CLOTH)
    canvas = sketch.canvas
    mast, top, width = rng.uniform(11, 15), rng.uniform(-46, -40), rng.uniform(24, 29)
    canvas.stroke((104, 74, 50), 2.6, ((mast, 9), (mast, top - 2)))
    y = np.linspace(top, 1, 7)
    leech = mast + width * (0.1 + 0.9 * np.linspace(0, 1, 7) ** rng.uniform(0.6, 0.8))
    canvas.fill(colour, [(mast, 1), (mast, top), *np.stack([leech, y], axis=1)])
    canvas.fill(accent, ((mast, -6), (leech[5] + 1, -6), (leech[6], 1), (mast, 1)))
    seams = [((mast, y[k]), (leech[k], y[k])) for k in (2, 3, 4)]
    canvas.stroke(shade(colour, 0.7), 0.9, *seams, [(mast, top), *np.stack([leech, y], axis=1)])
    canvas.disc(accent, mast + 0.36 * width, 0.42 * top, 6)
    canvas.disc(colour, mast + 0.36 * width, 0.42 * top, 2.6)


def _funnel(sketch: Sketch, colour: Colour, accent: Colour, rng: np.random.Generator) -> None:
    sketch.part("funnel", Material.PAINT)
    canvas = sketch.canvas
    x, top, wide = rng.uniform(18, 23), rng.uniform(-34, -28), rng.uniform(9, 11)
    lean = rng.uniform(-5, -2)
    canvas.fill(colour, ((x - wide, 9), (x + lean - wide, top), (x + lean + wide, top), (x + wide, 9)))
    for share in (0.3, 0.66):
        y, shift = 9 + share * (top - 9), share * lean
        canvas.rectangle(accent, x + shift - wide, y - 4, x + shift + wide, y + 3)
    canvas.rectangle(shade(colour, 0.45), x + lean - wide - 2, top - 3, x + lean + wide + 2, top + 2)
    for k, radius in enumerate((5.0, 6.5, 5.5)):
        canvas.disc((222 - 16 * k, 222 - 16 * k, 226 - 16 * k), x + lean - 5 * k + 2, top - 6 - 3.5 * k, radius)
