"""``work/similarity.npz``: the parts that are clustered, more boxes of each image, and their similarities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.matched import Candidates, Matched
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


def write_matched(path: Path, found: Matched) -> None:
    """Writes boxes, parts and similarities."""
    boxes, similarity = found.candidates, found.candidates.similarity
    arrays: dict[str, NDArray[Any]] = {
        "image": boxes.image,
        "boxes": boxes.boxes,
        "region": boxes.region,
        "parts": found.parts,
        "data": similarity.data,
        "indices": similarity.indices,
        "indptr": similarity.indptr,
    }
    if found.pairs is not None:
        arrays["pairs"] = found.pairs
    write_npz(path, compress=True, **arrays)


def read_matched(path: Path, images: int = 1 << 24) -> Matched:
    """Reads what :func:`write_matched` wrote.

    Args:
        path: The file.
        images: How many images there are.

    Raises:
        UserError: If the file is missing or damaged.
    """
    data = read_arrays(path, SCHEMA, images=images)
    image, parts, indptr = data["image"].astype(np.int64), data["parts"].astype(np.int64), data["indptr"]
    ends = (0, len(data["data"]))
    if len(indptr) != len(image) + 1 or (indptr[0], indptr[-1]) != ends or (np.diff(indptr.astype(np.int64)) < 0).any():
        raise UserError(f"{path} is damaged: rows of similarities do not fit: {AGAIN}")
    if (np.diff(image) < 0).any() or (np.diff(parts) <= 0).any():
        raise UserError(f"{path} is damaged: images or parts are not in order: {AGAIN}")
    similarity = csr_array((data["data"], data["indices"], indptr), shape=(len(image), len(parts)))
    return Matched(Candidates(similarity, image, data["boxes"], data["region"]), parts, data.get("pairs"))
