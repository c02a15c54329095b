"""Statistics of HOG on natural images, and whitening with them (Hariharan et al., ECCV 2012).

Natural images are stationary: the mean of a HOG cell does not depend on its position, and the covariance of two cells
depends only on their offset. So the statistics are one mean of 31 channels and one 31 x 31 matrix per offset, from
which the covariance S of a template of any size is assembled:

    S[(u, p), (v, q)] = gamma(v - u)[p, q],   gamma(d)[p, q] = E[x_p(u) x_q(u + d)] - mu_p mu_q

S is regularised, S + lambda I, because an estimate that is assembled this way need not be positive definite, and
factorised, S + lambda I = L L^T; L^-1 (d - mu) is the whitened descriptor.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

CELLS = 8
"""Cells along each side of a proposal's descriptor."""

CHANNELS = 31
"""Channels of a HOG cell."""

REGULARISER = 0.01
"""lambda, in squared units of HOG, as usual in the literature. Keypoint transfer on PF-WILLOW (share within 0.10;
see `clustering.matching.proposal_flow`) is flat around it: 0.509 with 0.01, 0.513 with 0.03."""


@dataclass(frozen=True)
class HogStatistics:
    """Mean and stationary covariance of HOG cells.

    Attributes:
        mean: float64 (31,).
        covariance: float64 (8, 15, 31, 31); entry [dy, dx + 7] is gamma of the offset (dy, dx), 0 <= dy <= 7,
            -7 <= dx <= 7. gamma(-d) is gamma(d) transposed.
        photos: Number of photographs.
        cells: Number of cells, over all scales.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    photos: int
    cells: int


@dataclass(frozen=True)
class Whitening:
    """The whitening of a descriptor d: z = inverse_factor @ (d - mean).

    Attributes:
        mean: float32 (1984,), the mean repeated over the 8 x 8 cells.
        inverse_factor: float32 (1984, 1984), lower triangular L^-1.
    """

    mean: NDArray[np.float32]
    inverse_factor: NDArray[np.float32]


def estimate_statistics(photos: Iterable[Iterable[NDArray[np.float32]]]) -> HogStatistics:
    """Estimates the statistics from HOG maps, in one pass, in float64.

    Args:
        photos: For each photograph its HOG maps at some scales, each float32 (rows, columns, 31).

    Raises:
        ValueError: No map is larger than 8 x 8 cells.

    Examples:
        >>> maps = [np.ones((10, 10, CHANNELS), np.float32)]  # one photograph at one scale
        >>> statistics = estimate_statistics([maps])
        >>> statistics.cells, float(statistics.mean[0]), float(abs(statistics.covariance).max())
        (100, 1.0, 0.0)
    """
    reach = CELLS - 1
    total = np.zeros(CHANNELS)
    products = np.zeros((CELLS, 2 * reach + 1, CHANNELS, CHANNELS))
    pairs = np.zeros((CELLS, 2 * reach + 1, 1, 1))
    cells = photo_count = 0
    for maps in photos:
        photo_count += 1
        for cell_map in maps:
            rows, columns = cell_map.shape[:2]
            if min(rows, columns) <= reach:
                continue
            total += cell_map.sum(axis=(0, 1), dtype=np.float64)
            cells += rows * columns
            for dy in range(CELLS):
                for dx in range(-reach, reach + 1):
                    one = cell_map[: rows - dy, max(0, -dx) : columns - max(0, dx)].reshape(-1, CHANNELS)
                    other = cell_map[dy:, max(0, dx) : columns + min(0, dx)].reshape(-1, CHANNELS)
                    products[dy, dx + reach] += one.T @ other
                    pairs[dy, dx + reach] += len(one)
    if not cells:
        raise ValueError(f"photos: no HOG map has more than {reach} x {reach} cells; take larger photographs")
    mean = total / cells
    return HogStatistics(mean, products / pairs - np.outer(mean, mean), photo_count, cells)


def assemble(statistics: HogStatistics) -> NDArray[np.float64]:
    """The covariance S of an 8 x 8 x 31 template, float64 (1984, 1984), symmetric, not regularised.

    Examples:
        >>> covariance = np.zeros((CELLS, 2 * CELLS - 1, CHANNELS, CHANNELS))
        >>> covariance[0, CELLS - 1] = np.eye(CHANNELS)  # variances of 1, and no covariance between cells
        >>> found = assemble(HogStatistics(np.zeros(CHANNELS), covariance, photos=1, cells=1))
        >>> np.array_equal(found, np.eye(CELLS * CELLS * CHANNELS))
        True
    """
    size = CELLS * CELLS
    covariance = np.empty((size, CHANNELS, size, CHANNELS))
    for u in range(size):
        for v in range(u, size):
            dy, dx = v // CELLS - u // CELLS, v % CELLS - u % CELLS
            gamma = statistics.covariance[dy, dx + CELLS - 1]
            if u == v:
                gamma = (gamma + gamma.T) / 2
            covariance[u, :, v] = gamma
            covariance[v, :, u] = gamma.T
    return covariance.reshape(size * CHANNELS, size * CHANNELS)


def whitening(statistics: HogStatistics, regulariser: float = REGULARISER) -> Whitening:
    """Factorises the regularised covariance.

    Args:
        statistics: Mean and stationary covariance.
        regulariser: lambda > 0, added to the diagonal.

    Raises:
        ValueError: The regularised covariance is not positive definite.

    Examples:
        >>> covariance = np.zeros((CELLS, 2 * CELLS - 1, CHANNELS, CHANNELS))
        >>> covariance[0, CELLS - 1] = 3 * np.eye(CHANNELS)
        >>> found = whitening(HogStatistics(np.ones(CHANNELS), covariance, 1, 1), regulariser=1.0)
        >>> float(found.inverse_factor[0, 0]), float(found.mean[0])  # 1 / sqrt(3 + 1), and the mean
        (0.5, 1.0)
    """
    covariance = assemble(statistics)
    covariance[np.diag_indices_from(covariance)] += regulariser
    try:
        factor = linalg.cholesky(covariance, lower=True)
    except linalg.LinAlgError as error:
        raise ValueError(f"regulariser: {regulariser} leaves the covariance indefinite; take more") from error
    inverse = linalg.solve_triangular(factor, np.eye(len(factor)), lower=True)
    mean = np.tile(statistics.mean, CELLS * CELLS)
    return Whitening(mean.astype(np.float32), inverse.astype(np.float32))


@cache
def packaged_statistics() -> HogStatistics:
    """The statistics that come with the package (see `scripts/estimate_hog_statistics.py`).

    Examples:
        >>> packaged_statistics().mean.shape
        (31,)
    """
    source = resources.files("visual_summaries.clustering") / "data" / "hog_statistics.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return HogStatistics(
            data["mean"].astype(np.float64),
            data["covariance"].astype(np.float64),
            int(data["photos"]),
            int(data["cells"]),
        )


@cache
def packaged_whitening() -> Whitening:
    """The whitening made from the package's statistics; computed once a process, in about a second.

    Examples:
        >>> packaged_whitening().inverse_factor.shape
        (1984, 1984)
    """
    return whitening(packaged_statistics())
