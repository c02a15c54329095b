"""``work/similarity.npz``: the parts that stay, and their similarities, dense or sparse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from clustering.affinity import DENSE_PARTS
from summaries.store import read_npz, write_npz


@dataclass(frozen=True)
class Matched:
    """The P parts of all images that clustering sees.

    Attributes:
        matrix: float32 (P, P) similarities; sparse where not all pairs of images were matched, or parts are many.
        image: int64 (P,), index of the image a part belongs to.
        boxes: float32 (P, 4) xyxy in pixels of the frame.
        region: int32 (P,), number of the region that holds most of the part.
        pairs: int64 (n, 2), the pairs of images that were matched; None for all.
    """

    matrix: NDArray[np.float32] | csr_array
    image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    region: NDArray[np.int32]
    pairs: NDArray[np.int64] | None = None

    def among(self, parts: list[int]) -> NDArray[np.float32]:
        """Similarities of some parts of different images, float32 (K, K); NaN where images were not matched."""
        if isinstance(self.matrix, np.ndarray):
            return self.matrix[np.ix_(parts, parts)]
        block: NDArray[np.float32] = self.matrix[parts][:, parts].toarray()
        if self.pairs is not None:
            images = self.image[parts]
            codes = np.minimum(images[:, None], images) << 32 | np.maximum(images[:, None], images)
            block[~np.isin(codes, self.pairs[:, 0] << 32 | self.pairs[:, 1])] = np.nan
        return block


def write_matched(path: Path, found: Matched) -> None:
    """Writes the parts and their similarities, which are made dense where that is cheap."""
    arrays: dict[str, NDArray[Any]] = {"image": found.image, "boxes": found.boxes, "region": found.region}
    if found.pairs is not None:
        arrays["pairs"] = found.pairs
    if found.pairs is None and len(found.image) <= DENSE_PARTS:
        arrays["matrix"] = found.matrix if isinstance(found.matrix, np.ndarray) else found.matrix.toarray()
    else:
        sparse = csr_array(found.matrix)
        arrays |= {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr}
    write_npz(path, compress=True, **arrays)


def read_matched(path: Path) -> Matched:
    """Reads what :func:`write_matched` wrote.

    Raises:
        UserError: If the file is missing or damaged.
    """
    data = read_npz(path)
    image = data["image"].astype(np.int64)
    matrix = data.get("matrix")
    if matrix is None:
        matrix = csr_array((data["data"], data["indices"], data["indptr"]), shape=(len(image), len(image)))
    return Matched(matrix, image, data["boxes"], data["region"], data.get("pairs"))
