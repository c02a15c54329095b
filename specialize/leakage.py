"""Train/test duplicates: images of an evaluation that a model was made from.

The same file is found by its hash. A copy that was resized or compressed again is found by a perceptual hash of the
frame: which of its 12 x 12 lowest frequencies (discrete cosine transform of 48 x 48 grey values) are above their
median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visual_summaries.masks.errors import UserError

SIDE = 12
"""Frequencies along each side of an image for its hash."""

BITS = SIDE * SIDE
"""Of a hash, 144."""

NEAR = 14
"""Largest Hamming distance of near-duplicates, bits. 99.7 % of copies of half to 1.4 times the size, recompressed, lie
within it; of 3.1 million pairs of different photographs the nearest has 18 (docs/decisions.md)."""

SHOWN = 5
"""Pairs that an error names."""


@dataclass(frozen=True)
class ImageHashes:
    """Hashes of images, to find duplicates.

    Attributes:
        names: N names, for messages.
        sha256: N hashes of the files' bytes.
        phash: bool (N, 144), see `phash`.
    """

    names: Sequence[str]
    sha256: Sequence[str]
    phash: NDArray[np.bool_]


def phash(picture: Image.Image) -> NDArray[np.bool_]:
    """The perceptual hash of an image, bool (144,).

    Examples:
        >>> gradient = Image.linear_gradient("L")
        >>> int((phash(gradient) != phash(gradient.resize((100, 100)))).sum()) <= NEAR
        True
    """
    bits: NDArray[np.bool_] = imagehash.phash(picture, hash_size=SIDE).hash.ravel()
    return bits


def duplicates(one: ImageHashes, other: ImageHashes) -> list[tuple[int, int]]:
    """Duplicates and near-duplicates between two sets of images.

    Returns:
        (index in the first set, index in the second): for each duplicate in the second set, the nearest of the first.
    """
    if not one.names or not other.names:
        return []
    index_of = {value: k for k, value in enumerate(one.sha256)}
    first, second = (2.0 * each.phash - 1 for each in (one, other))
    distance = (first.shape[1] - second @ first.T) / 2  # (other, one), Hamming
    found = []
    for k, value in enumerate(other.sha256):
        nearest = index_of.get(value, int(distance[k].argmin()))
        if value in index_of or distance[k, nearest] <= NEAR:
            found.append((nearest, k))
    return found


def check_no_duplicates(training: ImageHashes, evaluation: ImageHashes, what: str, advice: str) -> None:
    """Refuses an evaluation on images of the training set.

    Args:
        training: Images that must not be evaluated on.
        evaluation: Images of the evaluation.
        what: What the former are, for the message, for instance "used in training".
        advice: What the user can do.

    Raises:
        UserError: There are duplicates or near-duplicates; names the first pairs.
    """
    found = duplicates(training, evaluation)
    if found:
        pairs = "; ".join(f"{evaluation.names[k]} is {training.names[i]}" for i, k in found[:SHOWN])
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        count = f"{len(found)} image{'s' if len(found) > 1 else ''} of the evaluation"
        raise UserError(f"{count} {'are' if len(found) > 1 else 'is'} {what}: {pairs}{more}: {advice}")
