"""A linear SVM for each summary of each class (paper section 4.4).

Positive are the images of the summary, negative the images of other classes and those of the class's other summaries,
its siblings. An image that belongs to several summaries is no sibling of any of them. With few images and long
vectors the matrix of all inner products, computed once, is the fastest way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import SVC
from torch import Tensor

from visual_summaries.specialize.options import SvmOptions
from visual_summaries.specialize.windows import Places

Vectors = NDArray[np.float32]

_CHUNK = 32
"""Images whose windows are held at once."""


class OneSidedError(ValueError):
    """There is nothing to tell apart: an SVM has no positive, or no negative."""


@dataclass(frozen=True)
class Group:
    """The positives of one SVM.

    Attributes:
        owner: Place of its class among the specialised ones.
        rows: int64 (n,), rows of the matrix of vectors.
        images: int64 (n,), the image that each row shows; an image has one number in all groups.
    """

    owner: int
    rows: NDArray[np.int64]
    images: NDArray[np.int64]


@dataclass(frozen=True)
class Svms:
    """Linear SVMs.

    Attributes:
        owner: int64 (S,), place of each one's class among the specialised ones.
        weights: float32 (S, D).
        intercepts: float32 (S,).
        places: How images become places, of which the best decides; None for SVMs of whole images.
    """

    owner: NDArray[np.int64]
    weights: Vectors
    intercepts: Vectors
    places: Places | None = None

    def decisions(self, vectors: Vectors) -> Vectors:
        """Signed distances to the margins, float32 (N, S), of images with vectors (N, M)."""
        weights, intercepts = torch.from_numpy(self.weights), torch.from_numpy(self.intercepts)
        found = [np.zeros((0, len(self.owner)), np.float32)]
        for start in range(0, len(vectors), _CHUNK):
            chunk = torch.from_numpy(np.ascontiguousarray(vectors[start : start + _CHUNK], dtype=np.float32))
            found.append(decide(chunk, weights, intercepts, self.places).numpy())
        return np.concatenate(found)


def decide(vectors: Tensor, weights: Tensor, intercepts: Tensor, places: Places | None) -> Tensor:
    """Decisions (N, S) of linear SVMs for images with vectors (N, M); with places, those of the best window."""
    if places is None:
        return vectors[:, : weights.shape[1]] @ weights.T + intercepts
    return (places.everywhere(vectors) @ weights.T).amax(dim=1) + intercepts


def negatives(
    groups: Sequence[Group],
    place: int,
    strangers: Sequence[NDArray[np.int64]] | Mapping[int, NDArray[np.int64]],
    options: SvmOptions,
) -> NDArray[np.int64]:
    """The rows that are negative for one group, sorted.

    Args:
        groups: All groups.
        place: Which of them.
        strangers: For the group's class at least, the rows of what is not of it.
        options: What is negative.
    """
    own = groups[place]
    rows = [strangers[own.owner]] if options.others else []
    if options.siblings:
        rows += [
            group.rows[~np.isin(group.images, own.images)]
            for k, group in enumerate(groups)
            if k != place and group.owner == own.owner
        ]
    return np.unique(np.concatenate([*rows, np.zeros(0, np.int64)]))


def gram_of(vectors: Vectors) -> NDArray[np.float64]:
    """All inner products (N, N), for `train`."""
    wide = vectors.astype(np.float64)
    product: NDArray[np.float64] = wide @ wide.T
    return product


def train(
    vectors: Vectors,
    groups: Sequence[Group],
    strangers: Sequence[NDArray[np.int64]],
    cost: float,
    *,
    options: SvmOptions,
    gram: NDArray[np.float64] | None = None,
) -> Svms:
    """Trains one SVM a group.

    Args:
        vectors: (N, D) of length 1.
        groups: The positives.
        strangers: For each class, the rows of images that are not of it.
        cost: C of the SVMs, > 0.
        options: What is negative.
        gram: Of the vectors, see `gram_of`; computed where it is not given.

    Raises:
        OneSidedError: A group has no positive, or no negative.
    """
    gram = gram_of(vectors) if gram is None else gram
    found = [
        solve(vectors, group.rows, negatives(groups, place, strangers, options), cost, options, gram)
        for place, group in enumerate(groups)
    ]
    weights, intercepts = (np.array(values, dtype=np.float32) for values in zip(*found, strict=True))
    return Svms(np.array([group.owner for group in groups], dtype=np.int64), weights, intercepts)


def solve(
    vectors: Vectors,
    positive: NDArray[np.int64],
    negative: NDArray[np.int64],
    cost: float,
    options: SvmOptions,
    gram: NDArray[np.float64] | NDArray[np.float32],
) -> tuple[NDArray[np.float64], float]:
    """Weights (D,) and intercept of one SVM.

    Args:
        vectors: (N, D).
        positive: Rows.
        negative: Rows.
        cost: C.
        options: Whether both sides weigh the same.
        gram: Of the vectors, see `gram_of`.

    Raises:
        OneSidedError: There is no positive, or no negative.
    """
    if not len(positive) or not len(negative):
        raise OneSidedError(f"positive, negative: an SVM of {len(positive)} positives and {len(negative)} negatives")
    rows = np.concatenate([positive, negative])
    truth = np.concatenate([np.ones(len(positive)), -np.ones(len(negative))])
    machine = SVC(C=cost, kernel="precomputed", class_weight="balanced" if options.balanced else None)
    machine.fit(gram[np.ix_(rows, rows)], truth)
    weights = machine.dual_coef_[0] @ vectors[rows[machine.support_]].astype(np.float64)
    return weights, float(machine.intercept_[0])
