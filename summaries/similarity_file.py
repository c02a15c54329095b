"""``work/similarity.npz``: the candidates of a run, which of them are parts, their similarities and their boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import write_npz

SCHEMA = {
    "image": Array("iu", ("candidates",), 0, "images"),
    "boxes": Array("f", ("candidates", 4)),
    "region": Array("iu", ("candidates",), 0),
    "parts": Array("iu", ("parts",), 0, "candidates"),
    "data": Array("f", ("stored",), 0),
    "indices": Array("iu", ("stored",), 0, "parts"),
    "indptr": Array("iu", ("rows",), 0),
    "pairs": Array("iu", ("pairs", 2), 0, "images", optional=True),
}
"""Of ``work/similarity.npz``."""

AGAIN = "`visual-summaries cluster` makes it again"


def write_matched(path: Path, found: Matched[PartBoxes]) -> None:
    """Writes candidates, parts, similarities and boxes."""
    arrays: dict[str, NDArray[Any]] = {
        "image": found.owner,
        "boxes": found.where.corners,
        "region": found.where.region,
        "parts": found.parts,
        "data": found.similarity.data,
        "indices": found.similarity.indices,
        "indptr": found.similarity.indptr,
    }
    if found.pairs is not None:
        arrays["pairs"] = found.pairs
    write_npz(path, compress=True, **arrays)


def read_matched(path: Path, images: int = 1 << 24) -> Matched[PartBoxes]:
    """Reads what :func:`write_matched` wrote.

    Args:
        path: The file.
        images: How many images the run has.

    Raises:
        UserError: If the file is missing or damaged.
    """
    data = read_arrays(path, SCHEMA, images=images)
    owner, parts, indptr = data["image"].astype(np.int64), data["parts"].astype(np.int64), data["indptr"]
    ends = (0, len(data["data"]))
    if len(indptr) != len(owner) + 1 or (indptr[0], indptr[-1]) != ends or (np.diff(indptr.astype(np.int64)) < 0).any():
        raise UserError(f"{path} is damaged: rows of similarities do not fit: {AGAIN}")
    if (np.diff(owner) < 0).any() or (np.diff(parts) <= 0).any():
        raise UserError(f"{path} is damaged: images or parts are not in order: {AGAIN}")
    return Matched(
        similarity=csr_array((data["data"], data["indices"], indptr), shape=(len(owner), len(parts))),
        owner=owner,
        parts=parts,
        where=PartBoxes(data["boxes"].astype(np.float32), data["region"].astype(np.int32)),
        pairs=data.get("pairs"),
    )
