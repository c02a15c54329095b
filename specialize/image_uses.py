"""``images.csv`` of a model folder: the images that a model was made from, and the use of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.leakage import BITS, ImageHashes
from visual_summaries.specialize.splits import Splits
from visual_summaries.summaries.files import Count, read_csv, write_csv
from visual_summaries.summaries.folders import inside


@dataclass(frozen=True)
class ImageUse:
    """A row: an image and its use (see `specialize.splits.Splits`)."""

    path: str
    sha256: str
    phash: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{BITS // 4}}}$")]
    label: Count
    role: Literal["summary", "train", "tuning", "negative", "others_tuning", "others_evaluation"]


def write_uses(folder: Path, splits: Splits) -> None:
    """Writes ``images.csv`` of a model folder."""
    rows = [
        ImageUse(name, sha, np.packbits(bits).tobytes().hex(), int(label), role)  # type: ignore[arg-type]
        for role, features in vars(splits).items()
        for name, sha, bits, label in zip(features.names, features.sha256, features.phash, features.labels, strict=True)
    ]
    write_csv(folder / "images.csv", ImageUse, rows)


def read_uses(folder: Path, count: int) -> list[ImageUse]:
    """The images that a model was made from.

    Args:
        folder: The model folder.
        count: Number of classes of its network.

    Raises:
        UserError: ``images.csv`` is missing or damaged.
    """
    file = inside(folder, "images.csv")
    uses = read_csv(file, ImageUse)
    if any(use.label >= count for use in uses):
        raise UserError(f"{file} is damaged: the network has {count} classes: specialise again")
    return uses


def hashes_of(uses: list[ImageUse], roles: tuple[str, ...]) -> ImageHashes:
    """The hashes of the images of some roles, to find duplicates."""
    chosen = [use for use in uses if use.role in roles]
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(use.phash), np.uint8)).astype(np.bool_) for use in chosen]
    return ImageHashes([use.path for use in chosen], [use.sha256 for use in chosen], np.array(bits))
