"""Features of a set of labelled photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.specialize.leakage import ImageHashes


@dataclass(frozen=True)
class FeatureSet:
    """Photographs with their features.

    Attributes:
        names: N paths, as recorded (see `masks.inputs.ids.recorded_path`).
        sha256: N hashes of the files.
        labels: int64 (N,).
        phash: bool (N, 144), perceptual hashes of the frames (see `specialize.leakage.phash`).
        vectors: float32 (N, M) (see `specialize.features.Extracted`).
        logits: float32 (N, K).
    """

    names: list[str]
    sha256: list[str]
    labels: NDArray[np.int64]
    phash: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def hashes(self) -> ImageHashes:
        """The hashes of the images, to find duplicates."""
        return ImageHashes(self.names, self.sha256, self.phash)

    def take(self, rows: NDArray[np.int64]) -> FeatureSet:
        """Some of the photographs."""
        return FeatureSet(
            [self.names[k] for k in rows],
            [self.sha256[k] for k in rows],
            self.labels[rows],
            self.phash[rows],
            self.vectors[rows],
            self.logits[rows],
        )


def concatenated(sets: Sequence[FeatureSet]) -> FeatureSet:
    """Several sets as one."""
    return FeatureSet(
        [name for one in sets for name in one.names],
        [value for one in sets for value in one.sha256],
        np.concatenate([one.labels for one in sets]),
        np.concatenate([one.phash for one in sets]),
        np.concatenate([one.vectors for one in sets]),
        np.concatenate([one.logits for one in sets]),
    )


def empty_like(features: FeatureSet) -> FeatureSet:
    """A set of no photographs."""
    return features.take(np.zeros(0, np.int64))
