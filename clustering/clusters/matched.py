"""What clusters are made of: parts, the input that owns each, their sparse similarity, and which inputs were matched.

Where a part lies in its input is carried along and looked at by nobody here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.affinity import DENSE_PARTS
from visual_summaries.clustering.matching.pairs import adjacency
from visual_summaries.clustering.options import AffinityOptions


@dataclass(frozen=True)
class Candidates:
    """The B boxes of all images that may become members of a summary; the P parts are among them.

    Attributes:
        similarity: float32 (B, P), to the parts.
        image: int64 (B,), index of the image that holds a box; rising.
        boxes: float32 (B, 4) xyxy in pixels of the frame.
        region: int32 (B,), number of the region that holds most of the box.
    """

    similarity: csr_array
    image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    region: NDArray[np.int32]


@dataclass(frozen=True)
class Matched:
    """The P parts of all images that clustering sees, and the boxes that summaries are completed with.

    Attributes:
        candidates: These boxes.
        parts: int64 (P,), the parts among them; rising.
        pairs: int64 (n, 2), the pairs of images that were matched; None for all.
    """

    candidates: Candidates
    parts: NDArray[np.int64]
    pairs: NDArray[np.int64] | None = None

    @cached_property
    def matrix(self) -> NDArray[np.float32] | csr_array:
        """float32 (P, P) similarities; sparse where not all pairs of images were matched, or parts are many."""
        chosen = self.candidates.similarity[self.parts]
        if self.pairs is None and len(self.parts) <= DENSE_PARTS:
            dense: NDArray[np.float32] = chosen.toarray()
            return dense
        return chosen

    @property
    def image(self) -> NDArray[np.int64]:
        """int64 (P,), index of the image a part belongs to."""
        return self.candidates.image[self.parts]

    @property
    def boxes(self) -> NDArray[np.float32]:
        """float32 (P, 4) xyxy in pixels of the frame."""
        return self.candidates.boxes[self.parts]

    def among(self, parts: list[int]) -> NDArray[np.float32]:
        """Similarities of some parts of different images, float32 (K, K); NaN where images were not matched."""
        if isinstance(self.matrix, np.ndarray):
            return self.matrix[np.ix_(parts, parts)]
        block: NDArray[np.float32] = self.matrix[parts][:, parts].toarray()
        images = self.image[parts]
        if self.pairs is not None:
            block[~self.known(images, images)] = np.nan
        return block

    def affinity(self, options: AffinityOptions) -> AffinityOptions:
        """The options for these similarities: another preference where not all pairs of images were matched."""
        return options if self.pairs is None else replace(options, preference=options.nearest_preference)

    def known(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some images, by their indices, were matched with which others, bool (K, L)."""
        if self._adjacent is None:
            elsewhere: NDArray[np.bool_] = some[:, None] != others
            return elsewhere
        return np.asarray(self._adjacent[some][:, others].toarray(), dtype=np.bool_)

    @cached_property
    def _adjacent(self) -> csr_array | None:
        """Which images were matched with which, int8 (N, N); None for all."""
        if self.pairs is None:
            return None
        return adjacency(
            self.pairs, 1 + max(int(found.max(initial=-1)) for found in (self.pairs, self.candidates.image))
        )
