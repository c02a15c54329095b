"""The frame: the part of a photograph that a network gets.

`masks.inputs.folders` lists the files of a folder, `masks.inputs.reading` reads a file as a photograph; both can be
imported from here, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from visual_summaries.masks.errors import UnusableImageError
from visual_summaries.masks.inputs.folders import ImageFile, class_folders, list_images
from visual_summaries.masks.inputs.reading import Photograph, is_image_name, read_image

__all__ = [
    "INTERPOLATIONS",
    "Frame",
    "ImageFile",
    "Photograph",
    "UnusableImageError",
    "class_folders",
    "is_image_name",
    "list_images",
    "read_image",
]

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


MUCH_LARGER = 16
"""If resizing would give more than this many times the frame's pixels, only the crop is computed. A panorama of 8 to 1
has about 10 times as many."""


@dataclass(frozen=True)
class Frame:
    """How a photograph becomes the network's input: resize, then centre crop.

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

    def cut(
        self, photograph: Image.Image, *, size: tuple[int, int] | None = None, nearest: bool = False
    ) -> npt.NDArray[np.uint8]:
        """The frame of a photograph.

        Args:
            photograph: Any mode; RGB gives (H, W, 3), a mask of mode L gives (H, W).
            size: (width, height) of the full photograph, where the given one was reduced; by default its own.
            nearest: Take the nearest pixel instead of interpolating, for masks.

        Returns:
            uint8, (H, W, 3) or (H, W).

        Examples:
            >>> photograph = Image.new("RGB", (300, 200), "red")
            >>> Frame((100, 100), 128, "bilinear").cut(photograph).shape
            (100, 100, 3)
        """
        height, width = self.size
        resized = self._resized(*(size or photograph.size))
        kind = Image.Resampling.NEAREST if nearest else INTERPOLATIONS[self.interpolation]
        left = round((resized[0] - width) / 2)
        top = round((resized[1] - height) / 2)
        if resized[0] * resized[1] > MUCH_LARGER * width * height:
            # only the crop is computed; Pillow then rounds in another order: values differ by a step, on noise by more
            x, y = photograph.width / resized[0], photograph.height / resized[1]
            box = (left * x, top * y, (left + width) * x, (top + height) * y)
            return np.asarray(photograph.resize((width, height), kind, box=box))
        if photograph.size != resized:
            photograph = photograph.resize(resized, kind)
        return np.asarray(photograph.crop((left, top, left + width, top + height)))

    def to_photograph(self, boxes: npt.NDArray[np.float32], photograph: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Boxes of the frame in the pixels of the photograph.

        Args:
            boxes: (K, 4) xyxy in pixels of the frame.
            photograph: (H, W) of the photograph, orientation applied.

        Returns:
            (K, 4) float32 xyxy in pixels of the photograph.

        Examples:
            >>> frame = Frame((100, 100), 100, "bilinear")  # of 400 x 200 pixels the middle 200 x 200, halved
            >>> frame.to_photograph(np.array([[0, 0, 100, 100]], np.float32), (200, 400)).tolist()
            [[100.0, 0.0, 300.0, 200.0]]
        """
        height, width = photograph
        resized_width, resized_height = self._resized(width, height)
        left = round((resized_width - self.size[1]) / 2)
        top = round((resized_height - self.size[0]) / 2)
        shift = np.array([left, top, left, top], np.float32)
        x, y = width / resized_width, height / resized_height
        return ((boxes + shift) * np.array([x, y, x, y], np.float32)).astype(np.float32)
