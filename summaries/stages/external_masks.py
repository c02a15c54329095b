"""Masks made elsewhere, read from a folder of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.reading import read_image
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.store import ImageRow


def read_mask(folder: Path, row: ImageRow, classifier: Classifier) -> npt.NDArray[np.float32]:
    """Reads a mask made elsewhere, DIR/ID.npz or DIR/ID.png, white = salient.

    Args:
        folder: DIR.
        row: Of the image.
        classifier: Its frame is used.

    Returns:
        (H, W) in [0, 1], in the frame. A mask of the photograph's size is cut as the frame is cut from it.

    Raises:
        UserError: If the mask is missing, has another size, or has values outside [0, 1].
    """
    arrays_path, picture_path = folder / f"{row.id}.npz", folder / f"{row.id}.png"
    if arrays_path.is_file():
        values: npt.NDArray[np.float32] = _one_array(arrays_path).astype(np.float32)
    elif picture_path.is_file():
        values = _one_picture(picture_path)
    else:
        raise UserError(f"`masks`: {folder} has neither {row.id}.npz nor {row.id}.png")
    if values.ndim != 2 or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise UserError(f"`masks`: the mask of {row.id} is no (H, W) array in [0, 1]")
    if values.shape == classifier.frame.size:
        return values
    if values.shape == (row.height, row.width):
        grey = Image.fromarray((values * 255).round().astype(np.uint8))
        return classifier.frame.cut(grey, nearest=True).astype(np.float32) / np.float32(255)
    raise UserError(
        f"`masks`: the mask of {row.id} is {values.shape[0]}x{values.shape[1]}, the frame is "
        f"{classifier.frame.size[0]}x{classifier.frame.size[1]} and the photograph {row.height}x{row.width}"
    )


def _one_array(path: Path) -> npt.NDArray[Any]:
    """The array ``crisp`` of a file, or ``mask``, or the first one, without dimensions of length 1.

    Raises:
        UserError: If the file holds no array.
    """
    arrays = read_arrays(path, {"*": Array("fiub", None)})
    name = next((name for name in ("crisp", "mask", *arrays) if name in arrays), None)
    if name is None:
        raise UserError(f"`masks`: {path} holds no array of numbers")
    return arrays[name].squeeze()


def _one_picture(path: Path) -> npt.NDArray[np.float32]:
    """A mask that is a picture of any bit depth, (H, W) in [0, 1].

    Raises:
        UserError: If it cannot be read.
    """
    try:
        pixels = read_image(path, reduce=False).pixels
    except UnusableImageError as error:
        raise UserError(f"`masks`: {path} cannot be used: {error}") from None
    return np.asarray(pixels.convert("L"), dtype=np.float32) / np.float32(255)
