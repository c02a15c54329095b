"""Images that stand on both sides: in what a model was made from, and in what it is measured on.

The same file is found by its hash. A copy that was resized or compressed anew is found by a difference hash: the
picture as 9 x 9 grey values, and for each neighbouring pair, along rows and along columns, which one is brighter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visual_summaries.masks.errors import UserError

SIDE = 9
"""Grey values along each side of a picture for its hash."""

BITS = 2 * (SIDE - 1) * SIDE
"""Of a hash, 144."""

NEAR = 14
"""Bits in which a near-duplicate may differ: 99.7 % of copies of half to 1.4 times the size, compressed anew, do in no
more, and of 2.2 million pairs of different photographs the nearest does in 20 (docs/decisions.md)."""

SHOWN = 5
"""Pairs that an error names."""


@dataclass(frozen=True)
class Prints:
    """What images are told apart by.

    Attributes:
        names: N names, for messages.
        sha256: N hashes of the files' bytes.
        dhash: bool (N, 144), see `dhash`.
    """

    names: Sequence[str]
    sha256: Sequence[str]
    dhash: NDArray[np.bool_]


def dhash(picture: Image.Image) -> NDArray[np.bool_]:
    """The difference hash of a picture, bool (144,)."""
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.int16)
    return np.concatenate([(np.diff(values, axis=1) > 0).ravel(), (np.diff(values, axis=0) > 0).ravel()])


def duplicates(one: Prints, other: Prints) -> list[tuple[int, int]]:
    """Pairs of images of two sets that are the same, or nearly: of each of the second set, the nearest of the first."""
    if not one.names or not other.names:
        return []
    place = {value: k for k, value in enumerate(one.sha256)}
    first, second = (2.0 * each.dhash - 1 for each in (one, other))
    away = (first.shape[1] - second @ first.T) / 2  # (other, one), bits that differ
    found = []
    for k, value in enumerate(other.sha256):
        nearest = place.get(value, int(away[k].argmin()))
        if value in place or away[k, nearest] <= NEAR:
            found.append((nearest, k))
    return found


def check_apart(training: Prints, evaluation: Prints, what: str, advice: str) -> None:
    """Refuses an evaluation on images that were seen before.

    Args:
        training: What must not be evaluated on.
        evaluation: What shall be.
        what: What the first ones are, for the message, for instance "used in training".
        advice: What to do about it.

    Raises:
        UserError: An image is in both, or nearly the same; names the first pairs.
    """
    found = duplicates(training, evaluation)
    if found:
        pairs = "; ".join(f"{evaluation.names[k]} is {training.names[i]}" for i, k in found[:SHOWN])
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        count = f"{len(found)} image{'s' if len(found) > 1 else ''} of the evaluation"
        raise UserError(f"{count} {'are' if len(found) > 1 else 'is'} {what}: {pairs}{more}: {advice}")
