"""Light and camera: surface grain, shading, shadows, exposure, blur and sensor noise.

The gain of a pixel is ``1 + sum_k amplitude[k, material] * field_k``, with fields of noise at four scales; the
light multiplies it, gamma and sensor follow.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.world.canvas import Material
from visual_summaries.masks.world.catalogue import SIZE

_BANK = 384
_GRAIN: dict[Material, tuple[float, float, float, float]] = {
    # grain of 1, of 3 and of 9 pixels, streaks
    Material.SMOOTH: (0.008, 0.012, 0.030, 0.0),
    Material.PAINT: (0.020, 0.030, 0.040, 0.010),
    Material.STONE: (0.060, 0.060, 0.050, 0.0),
    Material.FOLIAGE: (0.100, 0.110, 0.060, 0.0),
    Material.WOOD: (0.020, 0.020, 0.040, 0.085),
    Material.CLOTH: (0.020, 0.055, 0.050, 0.0),
}


@cache
def _bank() -> NDArray[np.float32]:
    """Noise at four scales, float32 (4, B, B), zero mean, unit variance; always the same."""
    rng = np.random.default_rng(20180)
    fields = []
    for sigma_x, sigma_y in ((0.0, 0.0), (1.5, 1.5), (4.5, 4.5), (5.0, 0.6)):
        field = rng.standard_normal((_BANK, _BANK)).astype(np.float32)
        if sigma_x:
            field = cv2.GaussianBlur(field, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
        fields.append((field - field.mean()) / field.std())
    return np.stack(fields)


@cache
def _amplitudes() -> NDArray[np.float32]:
    """Amplitude of each field on each material, float32 (4, materials)."""
    return np.array([_GRAIN[material] for material in Material], np.float32).T


def expose(
    image: NDArray[np.uint8], materials: NDArray[np.uint8], object_mask: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Makes a photograph of a flatly coloured picture: grain, light, exposure, blur and noise.

    Args:
        image: uint8 (H, W, 3).
        materials: uint8 (H, W), values of :class:`Material`.
        object_mask: bool (H, W), the pixels of the object, which is shaded as a whole.
        rng: Source of randomness.

    Returns:
        uint8 (H, W, 3).
    """
    gain = np.ones(SIZE, np.float32)
    for field, amplitude in zip(_bank(), _amplitudes(), strict=True):
        gain += amplitude[materials] * _crop(field, rng)
    gain *= _light(rng)
    rows = np.linspace(1.10, 0.86, SIZE[0], dtype=np.float32)[:, None]
    gain = np.where(object_mask, gain * rows, gain)

    tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
    linear = np.clip(image * (gain[:, :, None] * tint / 255), 0, 1)
    picture = cv2.GaussianBlur(cv2.pow(linear, rng.uniform(0.8, 1.25)), (0, 0), rng.uniform(0.3, 0.65))
    noise = np.stack([_crop(_bank()[0], rng) for _ in range(3)], axis=2)
    developed: NDArray[np.uint8] = np.clip(255 * picture + rng.uniform(1.5, 6) * noise + 0.5, 0, 255).astype(np.uint8)
    return developed


def _crop(field: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A random crop of a noise field, of the size of a picture."""
    y, x = rng.integers(0, _BANK - SIZE[0]), rng.integers(0, _BANK - SIZE[1])
    return field[y : y + SIZE[0], x : x + SIZE[1]]


def _light(rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness of the light: a gradient over the picture and sometimes a soft shadow; float32 (H, W)."""
    height, width = SIZE
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.22)
    light = rng.uniform(0.85, 1.12) * (1 + slope * (np.cos(angle) * x + np.sin(angle) * y))
    if rng.random() < 0.5:
        turn, offset, sharp = rng.uniform(0, 2 * np.pi), rng.uniform(-0.7, 0.7), rng.uniform(4, 14)
        side = np.cos(turn) * x + np.sin(turn) * y - offset
        light = light * (1 - rng.uniform(0.1, 0.35) / (1 + np.exp(-sharp * side)))
    return np.asarray(light, np.float32)
