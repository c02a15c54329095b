"""PF-WILLOW, the benchmark of proposal flow (Ham et al., CVPR 2016): its files, and its measure PCK.

The benchmark has a folder for each class, with images and their keypoints: NAME.png and NAME.mat with `pts_coord`,
float (2, 10), x and y in pixels of the image. All ordered pairs of different images of a class are used.

PCK, the percentage of correct keypoints: a keypoint of A moved by the flow is correct when it lies closer to B's than
alpha * max(width, height) of the bounding box of B's keypoints, strictly, without any padding; mean over keypoints,
then over pairs, then over classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.reading import is_image_name, read_image

ALPHAS = (0.05, 0.10, 0.15)
"""Thresholds of PCK, fractions of the longer side of the object's box."""


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with keypoints.

    Attributes:
        name: CLASS/NAME.
        pixels: uint8 RGB (H, W, 3).
        keypoints: float64 (K, 2) xy in pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    keypoints: NDArray[np.float64]

    @cached_property
    def content(self) -> str:
        """A hash of the pixels; the same for an image that occurs in several classes."""
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Pair:
    """An ordered pair of images of one class."""

    of: str
    a: AnnotatedImage
    b: AnnotatedImage


def read_benchmark(folder: Path) -> dict[str, list[AnnotatedImage]]:
    """The images of each class, classes and images in sorted order.

    Raises:
        UserError: The folder is not the benchmark, or an image or its keypoints cannot be used.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give the folder of PF-WILLOW, which has a folder for each class")
    classes = {}
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = sorted(path for path in child.iterdir() if path.is_file() and is_image_name(path))
        images = [_read(child.name, path) for path in files]
        if len(images) > 1:
            classes[child.name] = images
    if not classes:
        raise UserError(f"{folder} has no class folder with two images: give the folder of PF-WILLOW")
    counts = {len(image.keypoints) for images in classes.values() for image in images}
    if len(counts) > 1:
        raise UserError(f"the images in {folder} have {sorted(counts)} keypoints: all must have the same number")
    return classes


def _read(of: str, path: Path) -> AnnotatedImage:
    annotation = path.with_suffix(".mat")
    if not annotation.is_file():
        raise UserError(f"{path} has no keypoints: {annotation.name} is missing")
    try:
        photograph = read_image(path, reduce=False)  # its keypoints are in its own pixels
    except UnusableImageError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    from scipy import io  # here, because it is slow to import

    try:
        points = np.asarray(io.loadmat(annotation, variable_names=["pts_coord"])["pts_coord"], dtype=np.float64)
    except Exception as error:  # a damaged file can raise any error in the reader
        raise UserError(f"{annotation} has no keypoints, pts_coord: {error}") from None
    if points.ndim != 2 or points.shape[0] != 2 or points.shape[1] < 2 or not np.isfinite(points).all():
        raise UserError(f"{annotation}: pts_coord is {points.shape}, not 2 x K finite numbers with K > 1")
    return AnnotatedImage(f"{of}/{path.stem}", np.asarray(photograph.pixels), points.T)


def ordered_pairs(classes: Mapping[str, Sequence[AnnotatedImage]]) -> list[Pair]:
    """All ordered pairs of different images of each class."""
    return [Pair(of, a, b) for of, images in classes.items() for a, b in permutations(images, 2)]


def errors(moved: NDArray[np.float64], keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances (K,) of moved points (K, 2) to B's keypoints, relative to the longer side of B's keypoint box.

    Examples:
        >>> errors(np.array([[0.0, 0.0], [10.0, 1.0]]), np.array([[0.0, 0.0], [10.0, 0.0]])).tolist()
        [0.0, 0.1]
    """
    longer = float((keypoints.max(axis=0) - keypoints.min(axis=0)).max())
    distance: NDArray[np.float64] = np.linalg.norm(moved - keypoints, axis=1) / longer
    return distance


def pck(found: Mapping[str, Sequence[NDArray[np.float64]]], alpha: float) -> dict[str, float]:
    """Fraction of correct keypoints of each class: mean over keypoints, then over pairs.

    Args:
        found: Per class, `errors` of each pair.
        alpha: Threshold, > 0.

    Examples:
        >>> pck({"car": [np.array([0.02, 0.3]), np.array([0.02, 0.04])]}, 0.1)
        {'car': 0.75}
    """
    return {of: float(np.mean([np.mean(one < alpha) for one in pairs])) for of, pairs in found.items()}
