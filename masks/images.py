"""A folder of images: which files are images, what is wrong with the others, and the frame a network sees.

A folder becomes records in sorted order, each with a stable id, its hash and its size. Whatever cannot be used is
recorded with its reason, never dropped. Any mode becomes 8-bit RGB: EXIF orientation is applied, transparency is
put on white (what a viewer shows), 16-bit values keep their upper 8 bits.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from masks.errors import UserError

MIN_SIDE = 32
"""Images with a shorter side than this many pixels are recorded as skipped: no part can be seen in them."""

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class UnusableImageError(ValueError):
    """A file that cannot be used as an image; the message is the reason that is recorded."""


@dataclass(frozen=True)
class ImageFile:
    """A file of the class folder, before it is read.

    Attributes:
        id: The file's name without its suffix; with the suffix where two files would share an id.
        path: The file.
    """

    id: str
    path: Path


@dataclass(frozen=True)
class Photograph:
    """A file that was read.

    Attributes:
        pixels: RGB, orientation applied.
        sha256: Hash of the file's bytes.
    """

    pixels: Image.Image
    sha256: str


@dataclass(frozen=True)
class Frame:
    """How a photograph becomes what the network sees: resize, then centre crop.

    Attributes:
        size: (H, W) of the frame in pixels.
        resize: Length of the photograph's shorter side before the crop, in pixels, at least that of the frame; for a
            frame that is not square, the photograph covers ``size`` enlarged until its shorter side has this length.
            A pair (H, W) resizes both sides to it without regard to the aspect; None does so with ``size``, and
            crops nothing.
        interpolation: nearest, bilinear, bicubic or lanczos, antialiased.

    Raises:
        ValueError: If a resized photograph would not cover the frame.
    """

    size: tuple[int, int]
    resize: int | tuple[int, int] | None
    interpolation: str

    def __post_init__(self) -> None:
        height, width = self._cover()
        if min(self.size) < 1 or height < self.size[0] or width < self.size[1]:
            raise ValueError(f"resize: {self.resize} does not cover a frame of {self.size[0]} x {self.size[1]} pixels")

    def _cover(self) -> tuple[int, int]:
        """(H, W) that a resized photograph covers."""
        if self.resize is None:
            return self.size
        if isinstance(self.resize, tuple):
            return self.resize
        height, width = (side * self.resize // max(1, min(self.size)) for side in self.size)
        return height, width

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        rows, columns = self._cover()
        if not isinstance(self.resize, int):
            return columns, rows
        # the other side is cut to whole pixels, as torchvision and timm do
        if width * rows <= height * columns:
            return columns, int(columns * height / width)
        return int(rows * width / height), rows

    def cut(self, photograph: Image.Image, *, nearest: bool = False) -> npt.NDArray[np.uint8]:
        """The frame of a photograph.

        Args:
            photograph: Any mode; RGB gives (H, W, 3), a mask of mode L gives (H, W).
            nearest: Take the nearest pixel instead of interpolating, for masks.

        Returns:
            uint8, (H, W, 3) or (H, W).
        """
        height, width = self.size
        resized = self._resized(*photograph.size)
        if photograph.size != resized:
            kind = Image.Resampling.NEAREST if nearest else INTERPOLATIONS[self.interpolation]
            photograph = photograph.resize(resized, kind)
        left = round((photograph.width - width) / 2)
        top = round((photograph.height - height) / 2)
        return np.asarray(photograph.crop((left, top, left + width, top + height)))

    def to_photograph(self, boxes: npt.NDArray[np.float32], photograph: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Boxes of the frame in the pixels of the photograph.

        Args:
            boxes: (K, 4) xyxy in pixels of the frame.
            photograph: (H, W) of the photograph, orientation applied.

        Returns:
            (K, 4) float32 xyxy in pixels of the photograph.
        """
        height, width = photograph
        resized_width, resized_height = self._resized(width, height)
        left = round((resized_width - self.size[1]) / 2)
        top = round((resized_height - self.size[0]) / 2)
        shift = np.array([left, top, left, top], np.float32)
        x, y = width / resized_width, height / resized_height
        return ((boxes + shift) * np.array([x, y, x, y], np.float32)).astype(np.float32)


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is one of an image."""
    return path.suffix.lower() in Image.registered_extensions()


def class_folders(folder: Path) -> list[Path]:
    """The class folders of a root: a folder with no image directly in it.

    Returns:
        The subfolders in sorted order, or an empty list where the folder itself is a class folder.

    Raises:
        UserError: If the folder is not there or is not a folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give a folder of images of one class")
    children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    if any(child.is_file() and is_image_name(child) for child in children):
        return []
    return [child for child in children if child.is_dir()]


def list_images(folder: Path) -> list[ImageFile]:
    """All visible files of a folder, sorted by name, each with an id of its own.

    Raises:
        UserError: If the folder is not there, or holds no file at all.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give a folder of images of one class")
    paths = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not paths:
        raise UserError(f"{folder} is empty: give a folder of images of one class")
    taken: set[str] = set()
    files = []
    for path in paths:
        name = path.stem if path.stem.casefold() not in taken else path.name
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        files.append(ImageFile(name, path))
    return files


def read_image(path: Path) -> Photograph:
    """Reads one file.

    Raises:
        UnusableImageError: If the file is no image, is truncated, empty or too small; the message is the reason.
    """
    if not is_image_name(path):
        raise UnusableImageError(f"not an image file (suffix {path.suffix or 'missing'})")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnusableImageError(f"unreadable: {error.strerror or error}") from None
    if not data:
        raise UnusableImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            image.load()
            pixels = to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnusableImageError("unreadable: not an image, or damaged at its start") from None
    except UnusableImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        kind = "truncated" if "truncated" in reason.lower() else "unreadable"
        raise UnusableImageError(f"{kind}: {reason}") from None
    if min(pixels.size) < MIN_SIDE:
        raise UnusableImageError(f"too small: {pixels.width}x{pixels.height}, at least {MIN_SIDE} pixels a side")
    return Photograph(pixels, hashlib.sha256(data).hexdigest())


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency on white, 16 bits cut to the upper 8.

    Raises:
        UnusableImageError: For floating-point pixels, whose range nobody knows.
    """
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise UnusableImageError("32-bit pixels outside 0..65535: convert the file to 8 or 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnusableImageError("floating-point pixels: convert the file to 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def read_all(files: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, Photograph | UnusableImageError]]:
    """Reads files one after the other; a file that cannot be used comes with its reason."""
    for file in files:
        try:
            yield file, read_image(file.path)
        except UnusableImageError as error:
            yield file, error
