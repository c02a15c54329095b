"""The EXIF orientation of a photograph.

Only this tag is read, from the first directory of the EXIF data. Damage in other tags, which is common, then affects
neither the picture nor its orientation. Without EXIF, the orientation in an XMP packet is used, as in Pillow.
"""

from __future__ import annotations

import re
import struct

from PIL import Image, TiffImagePlugin

TAG = 274
"""Number of the orientation in EXIF and TIFF (CIPA DC-008, table 4)."""

TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes a photograph of each orientation upright."""

INTEGERS = {1: "B", 3: "H", 4: "I"}
"""TIFF field types of unsigned integers, as format letters of `struct`."""


def read_orientation(image: Image.Image) -> int:
    """Orientation of a loaded image, 1 to 8; 1 if none can be read."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        found = image.tag_v2.get(TAG)
    else:
        found = find_orientation(_exif(image))
        if found is None:
            found = _in_xmp(image)
    return found if isinstance(found, int) and found in TRANSPOSES else 1


def find_orientation(exif: bytes) -> int | None:
    r"""The orientation in the first directory of an EXIF block, which is a small TIFF file.

    Args:
        exif: With or without ``Exif\0\0`` at its start.

    Returns:
        The value, or None if the tag is missing or not readable.

    Examples:
        >>> find_orientation(b"II*\0" + struct.pack("<IHHHIHH", 8, 1, TAG, 3, 1, 6, 0))
        6
    """
    data = re.sub(b"^(Exif\x00\x00){1,2}", b"", exif)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        return None
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    if start + 2 > len(data):
        return None
    count = struct.unpack_from(f"{order}H", data, start)[0]
    for place in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, place)
        if tag == TAG and kind in INTEGERS and values == 1:
            return int(struct.unpack_from(order + INTEGERS[kind], data, place + 8)[0])
    return None


def turned(pixels: Image.Image, orientation: int) -> Image.Image:
    """The upright photograph."""
    return pixels.transpose(TRANSPOSES[orientation]) if orientation in TRANSPOSES else pixels


def _exif(image: Image.Image) -> bytes:
    found = image.info.get("exif")
    if isinstance(found, bytes):
        return found
    text = image.info.get("Raw profile type exif")  # EXIF in a PNG of older programs, hexadecimal
    if isinstance(text, str):
        digits = re.sub(r"[^0-9a-fA-F]", "", "".join(text.split("\n")[3:]))
        return bytes.fromhex(digits[: len(digits) // 2 * 2])
    return b""


def _in_xmp(image: Image.Image) -> int | None:
    packet = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or b""
    text = packet.encode(errors="replace") if isinstance(packet, str) else packet
    match = re.search(rb'tiff:Orientation(?:="|>)([0-9])', text) if isinstance(text, bytes) else None
    return int(match[1]) if match else None
