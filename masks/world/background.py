"""Draws the background and the foreground of objects: landscapes, clutter, and things that cover a part of them.

Clutter has the colours, materials and stripes of the objects, so that neither colour nor texture alone identifies an
object, but none of its shapes is a part of an object.
"""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Canvas, Colour, Material, as_colour, mix, palette, shade
from visual_summaries.masks.world.catalogue import SIZE

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((96, 158, 216), (212, 230, 240)),
    ((140, 150, 164), (206, 208, 210)),
    ((92, 96, 150), (248, 190, 150)),
    ((176, 206, 214), (246, 236, 208)),
    ((62, 96, 150), (150, 184, 210)),
)
_GROUNDS: tuple[Colour, ...] = (
    (112, 148, 78), (152, 150, 92), (176, 150, 112), (150, 128, 104),
    (138, 138, 134), (214, 194, 148), (92, 130, 128), (200, 206, 212),
)  # fmt: skip
_LEAVES: tuple[Colour, ...] = ((58, 104, 58), (92, 128, 58), (120, 112, 50), (150, 100, 46), (44, 84, 72))
_BARK: Colour = (92, 72, 56)


def draw_background(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws sky, hills, ground and clutter, and stores the colours of sky and ground in ``canvas.avoid``."""
    height, width = SIZE
    horizon = rng.uniform(0.5, 0.8) * height
    sky = _SKIES[rng.integers(len(_SKIES))]
    top, low = (as_colour(np.asarray(colour) + rng.normal(0, 10, 3)) for colour in sky)
    ground = as_colour(np.asarray(_GROUNDS[rng.integers(len(_GROUNDS))]) + rng.normal(0, 10, 3))
    canvas.avoid = [mix(top, low, 0.5), ground]

    ramp = np.linspace(0, 1, canvas.pixels.shape[0])[:, None]
    rows = (1 - ramp) * np.asarray(top) + ramp * np.asarray(low)  # (S H, 3)
    codes = np.zeros((len(rows), 1))
    canvas.flood(np.hstack([rows, codes]).astype(np.uint8))
    canvas.surface(0, Material.SMOOTH)
    for _ in range(rng.integers(1, 5)):
        _cloud(canvas, rng, horizon, mix(low, (252, 252, 252), 0.6))
    for _ in range(rng.integers(0, 3)):
        _balloon(canvas, rng, rng.uniform(0, width), rng.uniform(6, horizon - 10), rng.uniform(0.6, 1.2))
    if rng.random() < 0.5:
        _skyline(canvas, rng, horizon, low)
    for depth in range(rng.integers(1, 4)):
        _ridge(canvas, rng, horizon, mix(shade(ground, 0.75), low, 0.55 - 0.2 * depth))
    canvas.surface(0, Material.STONE if rng.random() < 0.5 else Material.FOLIAGE)
    slope = rng.uniform(-4, 4)
    canvas.fill(ground, ((0, horizon - slope), (width, horizon + slope), (width, height), (0, height)))
    for _ in range(rng.integers(1, 5)):
        y, dip, thick = rng.uniform(horizon + 6, height), rng.uniform(-8, 8), rng.uniform(2, 8)
        band = ((0, y - dip), (width, y + dip), (width, y + dip + thick), (0, y - dip + thick))
        canvas.fill(shade(ground, rng.uniform(0.75, 1.2)), band)
    feet = np.sort(rng.uniform(horizon - 10, height, rng.integers(6, 12)))
    for foot in feet:  # from far to near
        thing = _THINGS[rng.integers(len(_THINGS))]
        thing(canvas, rng, rng.uniform(0, width), foot, rng.uniform(0.6, 1.3))


def draw_obstacles(canvas: Canvas, rng: np.random.Generator, needed: list[int], keep: float = 0.65) -> None:
    """Draws up to three things in front of the object.

    A thing that would leave less than ``keep`` of a needed part visible is removed again.

    Args:
        canvas: The canvas with the object on it.
        rng: Source of randomness.
        needed: Numbers of the parts that must stay recognisable.
        keep: Fraction of each needed part's pixels that stays visible, in [0, 1].
    """
    height, width = SIZE
    before = canvas.part_sizes()
    for _ in range(rng.integers(0, 4)):
        before_it = canvas.copy_pixels()
        thing = _OBSTACLES[rng.integers(len(_OBSTACLES))]
        thing(canvas, rng, rng.uniform(8, width - 8), rng.uniform(0.7, 1.05) * height, rng.uniform(0.7, 1.3))
        after = canvas.part_sizes()
        if any(after[part] < keep * before[part] for part in needed):
            canvas.put_back(before_it)


def _cloud(canvas: Canvas, rng: np.random.Generator, horizon: float, colour: Colour) -> None:
    x, y = rng.uniform(0, SIZE[1]), rng.uniform(0, horizon * 0.8)
    for shift in rng.normal(0, 9, 4):
        canvas.disc(colour, x + shift, y + rng.normal(0, 2), rng.uniform(5, 13), rng.uniform(2.5, 5))


def _ridge(canvas: Canvas, rng: np.random.Generator, horizon: float, colour: Colour) -> None:
    x = np.linspace(0, SIZE[1], 9)
    y = horizon - rng.uniform(4, 22) * (0.4 + rng.random(9))
    canvas.surface(0, Material.CLOTH)
    canvas.fill(colour, [*np.stack([x, y], axis=1), (SIZE[1], SIZE[0]), (0, SIZE[0])])


def _balloon(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.CLOTH)
    colour, stripe, rope = palette(rng, 3)
    radius = rng.uniform(5, 9) * size
    canvas.disc(colour, x, y, radius, 1.15 * radius)
    canvas.disc(stripe, x, y, 0.45 * radius, 1.15 * radius)
    canvas.stroke(shade(rope, 0.7), 0.9, ((x, y + radius), (x + rng.normal(0, 3), y + rng.uniform(1.5, 3) * radius)))


def _skyline(canvas: Canvas, rng: np.random.Generator, horizon: float, haze: Colour) -> None:
    canvas.surface(0, Material.STONE)
    for left in np.arange(rng.uniform(-10, 10), SIZE[1], rng.uniform(12, 26)):
        colour = mix(palette(rng, 1)[0], haze, rng.uniform(0.35, 0.7))
        canvas.rectangle(colour, left, horizon - rng.uniform(8, 42), left + rng.uniform(8, 17), horizon)


def _bush(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.FOLIAGE)
    colour = _LEAVES[rng.integers(len(_LEAVES))]
    for tone in (0.75, 0.9, 1.05, 1.25):
        shift, lift = rng.normal(0, 6 * size), rng.uniform(2, 8) * size
        canvas.disc(shade(colour, tone), x + shift, y - lift, rng.uniform(5, 9) * size, rng.uniform(4, 7) * size)


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.WOOD)
    tall = rng.uniform(20, 36) * size
    canvas.fill(_BARK, ((x - 2 * size, y), (x - size, y - tall), (x + size, y - tall), (x + 2 * size, y)))
    canvas.surface(0, Material.FOLIAGE)
    colour = _LEAVES[rng.integers(len(_LEAVES))]
    if rng.random() < 0.4:  # a fir
        for k in range(3):
            half, low = (11 - 2.5 * k) * size, y - tall * (0.3 + 0.3 * k)
            canvas.fill(shade(colour, 0.8 + 0.15 * k), ((x - half, low), (x, low - 0.5 * tall), (x + half, low)))
    else:
        for tone in (0.75, 0.9, 1.0, 1.2):
            dx, dy = rng.normal(0, 5 * size, 2)
            canvas.disc(shade(colour, tone), x + dx, y - tall + dy, rng.uniform(5, 9) * size)


def _rock(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.STONE)
    grey = as_colour(np.array((140, 134, 126)) * rng.uniform(0.6, 1.2) + rng.normal(0, 6, 3))
    turn = np.linspace(np.pi, 2 * np.pi, 7)
    radius = size * rng.uniform(7, 12, 7)
    edge = np.stack([x + radius * np.cos(turn), y + 0.8 * radius * np.sin(turn)], axis=1)
    canvas.fill(grey, edge)
    canvas.fill(shade(grey, 1.2), np.concatenate([edge[2:5], [(x, y - 2 * size)]]))


def _crate(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """A striped box."""
    canvas.surface(0, Material.WOOD)
    light, dark = palette(rng, 2)
    half, tall = rng.uniform(5, 11) * size, rng.uniform(7, 16) * size
    canvas.rectangle(light, x - half, y - tall, x + half, y)
    for share in np.arange(0.15, 0.95, rng.uniform(0.22, 0.4)):
        canvas.rectangle(dark, x - half, y - tall * share, x + half, y - tall * (share - 0.1))


def _post(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """A pole, often with a sign."""
    canvas.surface(0, Material.PAINT)
    colour, sign, ink = palette(rng, 3)
    tall, lean = rng.uniform(28, 60) * size, rng.normal(0, 2)
    canvas.stroke(shade(colour, 0.8), rng.uniform(1.5, 3.2), ((x, y), (x + lean, y - tall)))
    if rng.random() < 0.6:
        half = rng.uniform(4, 8) * size
        corner = ((0, -half), (half, 0), (0, half), (-half, 0))
        canvas.fill(sign, np.array(corner) * rng.uniform(0.8, 1.3) + (x + lean, y - tall))
        canvas.fill(ink, np.array(corner) * 0.45 + (x + lean, y - tall))


def _ball(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.CLOTH)
    colour, other = palette(rng, 2)
    radius = rng.uniform(4, 8) * size
    canvas.disc(colour, x, y - radius, radius)
    canvas.disc(other, x - 0.2 * radius, y - 1.2 * radius, 0.5 * radius, radius * 0.8)


def _shard(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """An irregular patch of any colour: a tent, a tarpaulin, a heap."""
    canvas.surface(0, Material(int(rng.integers(len(Material)))))
    colour, seam = palette(rng, 2)
    turn = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
    radius = size * rng.uniform(6, 17, turn.size)
    edge = np.stack([x + radius * np.cos(turn), y - 8 * size + radius * np.sin(turn)], axis=1)
    canvas.fill(colour, edge)
    canvas.stroke(seam, 1.4, edge[:3])


def _fence(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.WOOD)
    (colour,) = palette(rng, 1)
    colour = mix(colour, (150, 120, 92), 0.6)
    count, gap, tall = rng.integers(3, 8), rng.uniform(5, 8) * size, rng.uniform(9, 15) * size
    posts = [((x + k * gap, y), (x + k * gap, y - tall)) for k in range(count)]
    rails = [((x - 3, y - tall * f), (x + count * gap - 2, y - tall * f)) for f in (0.35, 0.75)]
    canvas.stroke(shade(colour, 0.8), 1.6 * size, *rails)
    canvas.stroke(colour, 2.4 * size, *posts)


def _grass(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    canvas.surface(0, Material.FOLIAGE)
    colour = _LEAVES[rng.integers(len(_LEAVES))]
    for _ in range(7):
        root, lean, tall = x + rng.normal(0, 6), rng.normal(0, 5), rng.uniform(9, 20) * size
        blade = ((root - 1.4, y), (root + lean, y - tall), (root + 1.4, y))
        canvas.fill(shade(colour, rng.uniform(0.7, 1.3)), blade)


_THINGS = (_bush, _tree, _tree, _rock, _crate, _post, _ball, _shard, _shard, _fence)
_OBSTACLES = (_bush, _rock, _post, _grass, _crate, _ball)
