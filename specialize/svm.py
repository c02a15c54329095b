"""A linear SVM for each summary of each class (paper section 4.4).

Positives are the images of the summary. Negatives are the images of other classes, and those of the class's other
summaries, its siblings; an image that belongs to several summaries is a sibling of none of them. There are few images
and the vectors are long, so the Gram matrix is computed once and the dual problem is solved (scikit-learn's SVC with a
precomputed kernel).
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
from visual_summaries.specialize.windows import WindowPooling

Vectors = NDArray[np.float32]

_CHUNK = 32
"""Images whose windows are in memory at once."""


class OneSidedError(ValueError):
    """An SVM has no positive, or no negative."""


@dataclass(frozen=True)
class Group:
    """The positives of one SVM.

    Attributes:
        owner: Position of its class among the specialised ones.
        rows: int64 (n,), rows of the matrix of vectors.
        images: int64 (n,), the number of the image that each row shows; an image has the same number in all groups.
    """

    owner: int
    rows: NDArray[np.int64]
    images: NDArray[np.int64]


@dataclass(frozen=True)
class Svms:
    """Linear SVMs.

    Attributes:
        owner: int64 (S,), position of each one's class among the specialised ones.
        weights: float32 (S, D).
        intercepts: float32 (S,).
        pooling: How an image's vector becomes descriptors of windows, for SVMs of windows; None for SVMs of images.
    """

    owner: NDArray[np.int64]
    weights: Vectors
    intercepts: Vectors
    pooling: WindowPooling | None = None

    def decisions(self, vectors: Vectors) -> Vectors:
        """Decision values, float32 (N, S), of images with vectors (N, M)."""
        weights, intercepts = torch.from_numpy(self.weights), torch.from_numpy(self.intercepts)
        found = [np.zeros((0, len(self.owner)), np.float32)]
        for start in range(0, len(vectors), _CHUNK):
            chunk = torch.from_numpy(np.ascontiguousarray(vectors[start : start + _CHUNK], dtype=np.float32))
            found.append(decide(chunk, weights, intercepts, self.pooling).numpy())
        return np.concatenate(found)


def decide(vectors: Tensor, weights: Tensor, intercepts: Tensor, pooling: WindowPooling | None) -> Tensor:
    """Decision values of linear SVMs.

    Args:
        vectors: (N, M), of images.
        weights: (S, D).
        intercepts: (S,).
        pooling: For SVMs of windows; the decision value of an image is then that of its best window.

    Returns:
        (N, S).

    Examples:
        >>> images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> decide(images, torch.tensor([[2.0, -1.0]]), torch.tensor([0.5]), None).tolist()
        [[2.5], [-0.5]]
    """
    if pooling is None:
        return vectors[:, : weights.shape[1]] @ weights.T + intercepts
    return (pooling.pool_windows(vectors) @ weights.T).amax(dim=1) + intercepts


def negatives(
    groups: Sequence[Group],
    index: int,
    off_class: Sequence[NDArray[np.int64]] | Mapping[int, NDArray[np.int64]],
    options: SvmOptions,
) -> NDArray[np.int64]:
    """The rows that are negatives of one group, sorted.

    Args:
        groups: All groups.
        index: Index of the group.
        off_class: The rows of images of other classes, by the position of the class; the group's class is enough.
        options: Which images are negatives.

    Examples:
        >>> groups = [Group(0, np.array([0, 1]), np.array([0, 1])), Group(0, np.array([2]), np.array([2]))]
        >>> negatives(groups, 0, [np.array([3, 4])], SvmOptions()).tolist()
        [2, 3, 4]
    """
    own = groups[index]
    rows = [off_class[own.owner]] if options.others else []
    if options.siblings:
        rows += [
            group.rows[~np.isin(group.images, own.images)]
            for k, group in enumerate(groups)
            if k != index and group.owner == own.owner
        ]
    return np.unique(np.concatenate([*rows, np.zeros(0, np.int64)]))


def gram_of(vectors: Vectors) -> NDArray[np.float64]:
    """The Gram matrix (N, N) of vectors (N, D).

    Examples:
        >>> gram_of(np.array([[1, 0], [0.6, 0.8]], np.float32)).round(2).tolist()
        [[1.0, 0.6], [0.6, 1.0]]
    """
    wide = vectors.astype(np.float64)
    product: NDArray[np.float64] = wide @ wide.T
    return product


def train(
    vectors: Vectors,
    groups: Sequence[Group],
    off_class: Sequence[NDArray[np.int64]],
    cost: float,
    *,
    options: SvmOptions,
    gram: NDArray[np.float64] | None = None,
) -> Svms:
    """Trains one SVM a group.

    Args:
        vectors: (N, D) of length 1.
        groups: The positives.
        off_class: For each class, the rows of images of other classes.
        cost: C of the SVMs, > 0.
        options: Which images are negatives.
        gram: Of the vectors, see `gram_of`; computed if it is not given.

    Raises:
        OneSidedError: A group has no positive, or no negative.
    """
    gram = gram_of(vectors) if gram is None else gram
    found = [
        solve(vectors, group.rows, negatives(groups, index, off_class, options), cost, options, gram)
        for index, group in enumerate(groups)
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
        options: Whether positives and negatives have equal total weight.
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
