"""Converts a decoded picture of any mode to 8-bit RGB, in strips, without a second copy of a large picture.

Transparent pictures are put on white, as viewers show them. Values of 16 bits are divided by the power of two that
makes the largest value fit into 8 bits. A picture that uses all 16 bits keeps the upper 8; one with 12 bits in 16,
from a scanner or a microscope, does not become almost black. The divisor is the same for all strips.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from visual_summaries.masks.errors import UnusableImageError

STRIP = 1 << 22
"""Pixels in a strip."""

SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
"""Opposite byte orders: Pillow keeps the upper byte of a 16-bit value, with the opposite order the lower one."""


def to_rgb(image: Image.Image, *, bits: int = 16, lower: Image.Image | None = None, factor: int = 1) -> Image.Image:
    """A loaded picture as RGB.

    Args:
        image: Any mode.
        bits: How many bits of 16-bit values are in use, 8 to 16 (see :func:`count_bits`).
        lower: The lower bytes of an RGB or RGBA picture of 16 bits (``image`` holds the upper ones); else None.
        factor: Both sides are divided by it, averaging squares of pixels.

    Raises:
        UnusableImageError: For floating-point pixels, whose range is unknown.

    Examples:
        >>> to_rgb(Image.new("LA", (2, 2), (0, 0))).getpixel((0, 0))  # transparent
        (255, 255, 255)
    """
    if image.mode == "F":
        raise UnusableImageError("floating-point pixels: convert the file to 8 or 16 bits")
    if image.mode == "RGB" and lower is None and "transparency" not in image.info:
        return image.reduce(factor) if factor > 1 else image
    width, height = image.size
    found = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for box in strips(image.size, factor):
        strip = image.crop(box)
        if lower is not None:
            strip = _merged(strip, lower.crop(box), bits)
        elif image.mode.startswith("I"):
            strip = Image.fromarray((np.asarray(strip) >> (bits - 8)).astype(np.uint8))
        strip = _on_white(strip)
        found.paste(strip.reduce(factor) if factor > 1 else strip, (0, box[1] // factor))
    return found


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _merged(upper: Image.Image, lower: Image.Image, bits: int) -> Image.Image:
    """The values of 16-bit colours scaled to 8 bits; of the transparency the upper byte is kept."""
    values = np.asarray(upper).astype(np.uint16)
    colours = (values[..., :3] << 8 | np.asarray(lower)[..., :3]) >> (bits - 8)
    values[..., :3] = colours
    return Image.fromarray(values.astype(np.uint8), upper.mode)


def strips(size: tuple[int, int], factor: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of the strips of a picture, from top to bottom; all but the last have a multiple of ``factor`` rows."""
    width, height = size
    rows = factor * max(1, STRIP // (width * factor))
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def has_wide_colours(image: ImageFile.ImageFile) -> bool:
    """Whether a picture that is not yet loaded has 16-bit colours, of which Pillow keeps only the upper byte."""
    modes = [_raw_mode(tile) for tile in image.tile]
    return image.mode in ("RGB", "RGBA") and bool(modes) and all(mode[-4:] in SWAPPED for mode in modes)


def is_dark(upper: Image.Image) -> bool:
    """Whether the upper bytes of 16-bit colours leave their highest bit unused."""
    return all(not (np.asarray(upper.crop(box))[..., :3] > 127).any() for box in strips(upper.size, 1))


def swap_bytes(image: ImageFile.ImageFile) -> None:
    """Makes Pillow keep the lower bytes of 16-bit colours in place of the upper ones, before loading."""
    tiles = []
    for tile in image.tile:
        mode = _raw_mode(tile)[:-4] + SWAPPED[_raw_mode(tile)[-4:]]
        tiles.append(tile._replace(args=(mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode))
    image.tile = tiles


def _raw_mode(tile: Any) -> str:
    """The raw mode, that is byte layout, of a tile; empty if its decoder has none that can be changed."""
    found = tile.args if isinstance(tile.args, str) else tile.args[0] if isinstance(tile.args, tuple) else ""
    return found if isinstance(found, str) and found.startswith("RGB") else ""


def count_bits(image: Image.Image, lower: Image.Image | None = None) -> int:
    """The number of bits that the values of a 16-bit picture use, at least 8.

    Raises:
        UnusableImageError: For values below 0 or above 65535.

    Examples:
        >>> count_bits(Image.fromarray(np.array([[0, 4095]], np.uint16)))
        12
    """
    largest = 0
    for box in strips(image.size, 1):
        values = np.asarray(image.crop(box))
        if lower is not None:
            values = values[..., :3].astype(np.uint16) << 8 | np.asarray(lower.crop(box))[..., :3]
        if values.min() < 0 or values.max() > 65535:
            raise UnusableImageError("32-bit pixels outside 0..65535: convert the file to 8 or 16 bits")
        largest = max(largest, int(values.max()))
    return max(8, largest.bit_length())
