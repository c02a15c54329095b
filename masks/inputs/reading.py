"""Reads one file as a photograph; every fault of a file becomes a reason that is recorded.

Only usual formats of photographs are read, so that no file reaches a decoder that starts another program. The size in
the file's header is checked before anything is decoded. The EXIF orientation is read separately, so that other damage
in the EXIF data does not matter. Very large photographs are reduced during or after decoding; the recorded size is that
of the file.
"""

from __future__ import annotations

import errno
import hashlib
import io
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from visual_summaries.masks.errors import UnusableImageError
from visual_summaries.masks.inputs.orientation import read_orientation, turned
from visual_summaries.masks.inputs.rgb import count_bits, has_wide_colours, is_dark, swap_bytes, to_rgb

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")
"""Usual formats of photographs, all decoded in this process; AVIF if Pillow was built with it."""

MIN_SIDE = 32
"""Smallest side of an image in pixels; smaller images are skipped, because no part is visible in them."""

MAX_ASPECT = 100
"""Largest ratio of the longer to the shorter side. The widest panoramas have about 20."""

MAX_PIXELS = 1 << 28
"""Largest photograph, 268 million pixels: 1 GiB when decoded. The largest sensors of telephones have 200 million."""

HEAVY = {"WEBP": 1 << 27, "AVIF": 1 << 27, "JPEG2000": 100 << 20}
"""Lower limits in pixels for formats whose decoders need 12 to 20 bytes a pixel: 2 GiB at most."""

LARGE = 1 << 26
"""Photographs of more pixels (67 million, 256 MiB decoded) are reduced by 2, 4 or 8 on each side."""

MAX_BYTES = 1 << 31
"""Largest file: room for an uncompressed picture of :data:`MAX_PIXELS` with 16 bits per colour."""

MAX_SCANS = 1000
"""Most scans of a progressive JPEG. Photographs have about ten; each costs a pass over all pixels."""

_guard = threading.RLock()


@dataclass(frozen=True)
class Photograph:
    """A file that was read.

    Attributes:
        pixels: RGB, orientation applied; smaller than ``size`` for a very large photograph.
        sha256: Hash of the file's bytes.
        size: (width, height) of the photograph in pixels, orientation applied.
        note: A conversion of its values that should be recorded; mostly empty.
    """

    pixels: Image.Image
    sha256: str
    size: tuple[int, int]
    note: str = ""

    def hash_pixels(self) -> str:
        """Hash of the size and of the decoded pixels: the same for the same picture in different files."""
        found = hashlib.sha256(repr(self.size).encode())
        width, height = self.pixels.size
        rows = max(1, (1 << 22) // width)
        for top in range(0, height, rows):
            found.update(self.pixels.crop((0, top, width, min(top + rows, height))).tobytes())
        return found.hexdigest()


@cache
def readable() -> tuple[str, ...]:
    """The formats that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def is_image_name(path: Path) -> bool:
    """Whether a file has the suffix of a supported format.

    Examples:
        >>> is_image_name(Path("church.JPG")), is_image_name(Path("notes.txt"))
        (True, False)
    """
    return Image.registered_extensions().get(path.suffix.lower()) in FORMATS


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        UnusableImageError: As :func:`read_bytes`.
    """
    with _opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UnusableImageError: If it is a broken link, not a plain file, empty, too large or cannot be read.
    """
    with _opened(path) as stream:
        return stream.read()


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnusableImageError("no plain file")  # opening a pipe would wait for its writer
        if found.st_size == 0:
            raise UnusableImageError("empty file")
        if found.st_size > MAX_BYTES:
            raise UnusableImageError(f"too large a file: {found.st_size} bytes, at most {MAX_BYTES}")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
            raise UnusableImageError("broken link: it leads to no file") from None
        raise UnusableImageError(f"unreadable: {error.strerror or error}") from None


def read_image(path: Path, *, reduce: bool = True) -> Photograph:
    """Reads one file.

    Args:
        path: The file.
        reduce: Whether a photograph of more than :data:`LARGE` pixels is reduced.

    Raises:
        UnusableImageError: If the file is not an image, is damaged, empty, too small or too large; the message is the
            reason.

    Examples:
        >>> frame = classifier.frame.cut(read_image(Path("church/1.jpg")).pixels)  # doctest: +SKIP
    """
    if not is_image_name(path):
        raise UnusableImageError(f"not an image file (suffix {path.suffix or 'missing'})")
    data = read_bytes(path)
    pixels, size, note = decode(data, reduce=reduce)
    return Photograph(pixels, hashlib.sha256(data).hexdigest(), size, note)


def decode(data: bytes, *, reduce: bool = True) -> tuple[Image.Image, tuple[int, int], str]:
    """Decodes the bytes of a file.

    Returns:
        RGB pixels with the orientation applied, (width, height) of the full photograph, and a note on its values.

    Raises:
        UnusableImageError: For any error of a decoder; the message is the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(data, reduce)
    except UnusableImageError:
        raise
    except UnidentifiedImageError:
        raise UnusableImageError("unreadable: not an image, or damaged at its start") from None
    except Image.DecompressionBombError:
        raise UnusableImageError(f"too large: at most {MAX_PIXELS} pixels") from None
    except Exception as error:  # a decoder may raise anything on damaged data
        reason = str(error) or type(error).__name__
        kind = "truncated" if "truncated" in reason.lower() else "unreadable"
        raise UnusableImageError(f"{kind}: {reason}") from None


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Reads the header of a file in one of :data:`FORMATS`; other formats are not tried."""
    with _guard:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow's limit is twice as many
        try:
            return Image.open(io.BytesIO(data), formats=readable())
        finally:
            Image.MAX_IMAGE_PIXELS = before


def check_size(size: tuple[int, int], name: str) -> None:
    """Checks the size that a header gives.

    Raises:
        UnusableImageError: If it is too small, too large for its format, or too elongated.
    """
    width, height = size
    shorter, longer = sorted(size)
    if shorter < MIN_SIDE:
        raise UnusableImageError(f"too small: {width}x{height}, at least {MIN_SIDE} pixels a side")
    most = HEAVY.get(name, MAX_PIXELS)
    if width * height > most:
        raise UnusableImageError(f"too large: {width}x{height}, at most {most} pixels")
    if longer > MAX_ASPECT * shorter:
        raise UnusableImageError(f"too elongated: {width}x{height}, at most {MAX_ASPECT} to 1")


def _decode(data: bytes, reduce: bool) -> tuple[Image.Image, tuple[int, int], str]:
    image = open_image(data)
    full = image.size
    check_size(full, image.format or "")
    if image.info.get("progressive") and data.count(b"\xff\xda") > MAX_SCANS:
        raise UnusableImageError(f"more than {MAX_SCANS} scans: save it as an ordinary JPEG")
    factor = 1
    while reduce and full[0] * full[1] > LARGE * factor * factor:
        factor *= 2
    if factor > 1 and image.draft(None, (full[0] // factor, full[1] // factor)) is not None:
        factor = 1  # the JPEG decoder reduces the picture while decoding
    wide = has_wide_colours(image)
    _load(image)
    orientation = read_orientation(image)
    upper: Image.Image = image
    if isinstance(image, TiffImagePlugin.TiffImageFile) and orientation > 4:
        upper, full = image.copy(), (full[1], full[0])  # Pillow gives the size of a TIFF after rotation
    lower = _lower_bytes(data) if wide and is_dark(upper) else None
    bits, note = 16, ""
    if lower is not None or upper.mode.startswith("I"):
        bits = count_bits(upper, lower)
        note = "" if bits == 16 else f"values of {bits} bits in a file of 16, scaled by their range"
    pixels = turned(to_rgb(upper, bits=bits, lower=lower, factor=factor), orientation)
    return pixels, (full[1], full[0]) if orientation > 4 else full, note


def _lower_bytes(data: bytes) -> Image.Image:
    image = open_image(data)
    swap_bytes(image)
    _load(image)
    return image.copy()


def _load(image: ImageFile.ImageFile) -> None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Pillow would rotate a TIFF here, and read and write all its tags for it
        image.load_end = lambda: None  # type: ignore[method-assign]
    image.load()
