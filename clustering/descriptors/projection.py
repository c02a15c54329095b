"""Projection of deep descriptors on fewer dimensions.

Matching uses only inner products of descriptors, and computing them takes most of the time for a pair of images. The
best approximation of all inner products in k dimensions is the projection on the first k right singular vectors of the
descriptors, here of a sample of them. Measured on 24 churches, lite0 (3888 dimensions), compared with all dimensions:
fraction of the sum of squares, rank correlation of the boxes' best scores, and fraction of boxes with the same best
match:

    =======  =====  =====  =====
    numbers  sum    ranks  same
    =======  =====  =====  =====
    256      0.80   0.987  0.71
    **512**  0.91   0.995  0.86
    1024     0.97   0.998  0.94
    =======  =====  =====  =====
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

IMAGES = 32
"""Most images from which a basis is computed."""
SAMPLE = 4000
"""About the number of descriptors in the sample: the same number from each image, or all that the image has."""


def learn(
    counts: Sequence[int], describe: Callable[[int], NDArray[np.float32]], numbers: int, *, seed: int
) -> NDArray[np.float32]:
    """Computes a basis from descriptors of some of the images that have boxes, evenly spaced.

    Args:
        counts: Number of boxes of each image; at least one image has one.
        describe: Gives the descriptors (M, D) of an image by its index.
        numbers: Dimensions of the projection.
        seed: Of all random choices.

    Returns:
        See `basis`.

    Examples:
        >>> images = [np.eye(3, 6, dtype=np.float32), np.zeros((0, 6), np.float32)]  # the second has no boxes
        >>> learn([3, 0], images.__getitem__, 2, seed=0).shape
        (6, 2)
    """
    chosen = spread(counts)
    generator = np.random.default_rng(seed)
    drawn = []
    for index in chosen:
        descriptors = describe(index)
        some = generator.permutation(len(descriptors))[: SAMPLE // len(chosen)]
        drawn.append(descriptors[np.sort(some)])
    return basis(np.concatenate(drawn), numbers, seed=seed)


def spread(counts: Sequence[int]) -> list[int]:
    """At most `IMAGES` images that have boxes, evenly spaced; counts as for `learn`.

    Examples:
        >>> spread([3, 0, 5])  # the second image has no boxes
        [0, 2]
        >>> len(spread([1] * 100))
        32
    """
    filled = [index for index, count in enumerate(counts) if count]
    places = np.linspace(0, len(filled) - 1, min(len(filled), IMAGES))
    return sorted({filled[round(place)] for place in places})


def basis(descriptors: NDArray[np.float32], numbers: int, *, seed: int) -> NDArray[np.float32]:
    """The directions on which descriptors are projected.

    Args:
        descriptors: (n, D), a sample.
        numbers: k, dimensions of the projection; at most n and D are returned.
        seed: Of the randomised decomposition (Halko et al., 2011).

    Returns:
        float32 (D, k), orthonormal columns; z_a . z_b is about (z_a B) . (z_b B).

    Examples:
        >>> plane = np.array([[1, 0, 0], [0, 2, 0], [1, 1, 0]], np.float32)  # descriptors in two of three dimensions
        >>> directions = basis(plane, 2, seed=0)
        >>> short = plane @ directions
        >>> np.allclose(short @ short.T, plane @ plane.T, atol=1e-5)
        True
    """
    with threadpool_limits(limits=1):  # sums must not depend on the number of threads
        _, _, directions = randomized_svd(descriptors, min(numbers, *descriptors.shape), n_iter=3, random_state=seed)
    return np.ascontiguousarray(directions.T.astype(np.float32))
