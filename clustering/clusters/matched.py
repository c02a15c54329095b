"""What clusters are made of: a sparse similarity of parts, the input that owns each part, and the matched pairs.

An input is an image, or later a clip. Where a part lies in its input is a type parameter, for instance
`clustering.parts.part_boxes.PartBoxes`. It is stored beside the similarities, and no function of this room reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.affinity import DENSE_PARTS
from visual_summaries.clustering.matching.pairs import adjacency
from visual_summaries.clustering.options import AffinityOptions

Where = TypeVar("Where")


@dataclass(frozen=True)
class Matched(Generic[Where]):
    """B candidates of all inputs and the P parts among them.

    Parts are clustered. The other candidates are considered when clusters are completed.

    Attributes:
        similarity: float32 (B, P), of candidates to parts, >= 0.
        owner: int64 (B,), index of the input that owns each candidate; rising.
        parts: int64 (P,), the parts among the candidates; rising.
        where: Where the B candidates lie in their inputs.
        pairs: int64 (n, 2), the pairs of inputs that were matched, one < other; None for all.
    """

    similarity: csr_array
    owner: NDArray[np.int64]
    parts: NDArray[np.int64]
    where: Where
    pairs: NDArray[np.int64] | None = None

    @cached_property
    def matrix(self) -> NDArray[np.float32] | csr_array:
        """float32 (P, P) similarities; sparse if not all pairs of inputs were matched, or if there are many parts."""
        chosen = self.similarity[self.parts]
        if self.pairs is None and len(self.parts) <= DENSE_PARTS:
            dense: NDArray[np.float32] = chosen.toarray()
            return dense
        return chosen

    @property
    def part_owner(self) -> NDArray[np.int64]:
        """int64 (P,), index of the input that owns each part."""
        return self.owner[self.parts]

    def among(self, parts: list[int]) -> NDArray[np.float32]:
        """Similarities of some parts of different inputs, float32 (K, K); NaN where the inputs were not matched."""
        if isinstance(self.matrix, np.ndarray):
            return self.matrix[np.ix_(parts, parts)]
        block: NDArray[np.float32] = self.matrix[parts][:, parts].toarray()
        owners = self.part_owner[parts]
        if self.pairs is not None:
            block[~self.known(owners, owners)] = np.nan
        return block

    def affinity(self, options: AffinityOptions) -> AffinityOptions:
        """The options for these similarities: another preference if not all pairs of inputs were matched."""
        return options if self.pairs is None else replace(options, preference=options.nearest_preference)

    def known(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some inputs, by their indices, were matched with which others, bool (K, L)."""
        if self._adjacent is None:
            different: NDArray[np.bool_] = some[:, None] != others
            return different
        return np.asarray(self._adjacent[some][:, others].toarray(), dtype=np.bool_)

    @cached_property
    def _adjacent(self) -> csr_array | None:
        """Which inputs were matched with which, int8 (N, N); None for all."""
        if self.pairs is None:
            return None
        return adjacency(self.pairs, 1 + max(int(found.max(initial=-1)) for found in (self.pairs, self.owner)))
