"""Intermediate files under ``work/``: features of images and similarities of tiles, each in a folder.

An intermediate file that is missing or damaged is not an error: it is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.matching.proposal_flow import Features
from visual_summaries.clustering.matching.tiles import Tile
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import write_npz
from visual_summaries.summaries.progress import say

FEATURES = {
    "descriptors": Array("f", ("boxes", "numbers")),
    "mirrored": Array("f", ("boxes", "numbers"), optional=True),
    "boxes": Array("f", ("boxes", 4)),
    "size": Array("iu", (2,), 1),
}
TILE = {"found": Array("u", ("bytes",)), "values": Array("f", ("values",), 0)}


def read_again(path: Path, schema: Mapping[str, Array], **sides: int) -> dict[str, NDArray[Any]] | None:
    """Arrays of an intermediate file; None if it is missing or damaged, and must be made again."""
    try:
        return read_arrays(path, schema, **sides)
    except UserError as error:
        if path.exists():
            say(f"  {error}: it is made again")
        return None


@dataclass(frozen=True)
class FeatureFolder:
    """Features of images, one file an image, named by the image's index.

    It is picklable and holds only a path, so that features can be read in another process or on another machine.

    Attributes:
        folder: Absolute path of the folder.
    """

    folder: Path

    def __call__(self, index: int) -> Features:
        """Reads the features of an image.

        Raises:
            UserError: If the file is missing or damaged.
        """
        arrays = read_arrays(self.path(index), FEATURES)
        height, width = arrays["size"].tolist()
        return Features(arrays["descriptors"], arrays["boxes"], (height, width), arrays.get("mirrored"))

    def write(self, index: int, features: Features) -> None:
        """Writes the features of an image."""
        arrays = {"descriptors": features.descriptors, "boxes": features.boxes, "size": np.array(features.frame)}
        if features.mirrored is not None:
            arrays["mirrored"] = features.mirrored
        write_npz(self.path(index), compress=False, **arrays)

    def path(self, index: int) -> Path:
        """The file of an image."""
        return self.folder / f"{index}.npz"


class TileFolder:
    """Similarities of pairs of images in a folder, one file a tile (see `clustering.matching.tiles.Store`).

    Attributes:
        folder: The folder.
        new: Numbers of the tiles that did not exist before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.new: set[int] = set()

    def __contains__(self, number: object, /) -> bool:
        return read_again(self._file(number), TILE) is not None

    def __getitem__(self, number: int, /) -> Tile:
        return Tile(**read_arrays(self._file(number), TILE))

    def __setitem__(self, number: int, tile: Tile, /) -> None:
        write_npz(self._file(number), compress=False, found=tile.found, values=tile.values)
        self.new.add(number)

    def _file(self, number: object) -> Path:
        return self.folder / f"{number}.npz"
