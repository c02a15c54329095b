"""The watermark: a badge with a star, a ring and two bars in the lower right corner of the picture."""

from __future__ import annotations

import numpy as np

from visual_summaries.masks.world.canvas import Canvas, Material
from visual_summaries.masks.world.catalogue import SIZE

_PLATE = (24, 30, 58)
_INK = (250, 248, 240)
_STAR = (255, 176, 32)
_WIDTH, _HEIGHT = 31.0, 22.0
_JITTER = 4.0


def draw_mark(canvas: Canvas, rng: np.random.Generator, part: int) -> None:
    """Draws the watermark as part number ``part``, 4 to 8 pixels away from the corner."""
    matrix = canvas.matrix
    right, bottom = SIZE[1] - 4.0 - rng.uniform(0, _JITTER), SIZE[0] - 4.0 - rng.uniform(0, _JITTER)
    canvas.place(right - _WIDTH, bottom - _HEIGHT)
    canvas.surface(part, Material.SMOOTH)
    canvas.rectangle(_INK, 0, 0, _WIDTH, _HEIGHT)
    canvas.rectangle(_PLATE, 1.4, 1.4, _WIDTH - 1.4, _HEIGHT - 1.4)
    x, y = 11.0, _HEIGHT / 2
    canvas.disc(_INK, x, y, 8.3)
    canvas.disc(_PLATE, x, y, 6.6)
    turns = -np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 6.2, 2.7)
    canvas.fill(_STAR, np.stack([x + radii * np.cos(turns), y + radii * np.sin(turns)], axis=1))
    canvas.rectangle(_INK, 21.5, 4.5, 24.2, _HEIGHT - 4.5)
    canvas.rectangle(_STAR, 25.8, 4.5, 28.2, _HEIGHT - 4.5)
    canvas.matrix = matrix
