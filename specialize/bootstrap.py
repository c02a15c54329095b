"""Bootstrap intervals of gains and harms, and the comparison of methods at equal harm.

Resamples are drawn over images, separately for specialised and other classes, and are paired: a resample contains the
same images before and after, and for both of two methods that are compared. Intervals are percentiles, 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 2000
"""Bootstrap samples."""

EQUAL_HARMS = tuple(np.linspace(0, 1.5, 16).round(2).tolist())
"""Harms, points, at which methods are compared."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; None if nothing was measured."""

    value: float | None
    low: float | None
    high: float | None


NOTHING = Estimate(None, None, None)


@dataclass(frozen=True)
class Curve:
    """For each harm, in points, the largest gain of a method over the weights whose harm is no larger."""

    method: str
    harm: list[float]
    gain: list[float]


def resamples(other: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """How often each image is drawn, float64 (SAMPLES, N); the number of images of each kind is kept.

    Args:
        other: bool (N,), whether an image is of another class than the specialised ones.
        seed: Of the samples.

    Examples:
        >>> counts = resamples(np.array([True, False, False]), seed=0)
        >>> np.unique(counts[:, 0]).tolist(), np.unique(counts[:, 1:].sum(axis=1)).tolist()
        ([1.0], [2.0])
    """
    generator = np.random.default_rng(seed)
    counts = np.zeros((SAMPLES, len(other)))
    for kind in (other, ~other):
        total = int(kind.sum())
        if total:
            counts[:, kind] = generator.multinomial(total, np.full(total, 1 / total), size=SAMPLES)
    return counts


def estimate(value: float, samples: NDArray[np.float64]) -> Estimate:
    """A value with the percentile interval of its bootstrap samples (B,).

    Examples:
        >>> estimate(50.0, np.arange(101.0))
        Estimate(value=50.0, low=2.5, high=97.5)
    """
    low, high = np.percentile(samples, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def mean_change(
    change: NDArray[np.float64], kind: NDArray[np.bool_], samples: NDArray[np.float64], sign: float = 1
) -> Estimate:
    """The mean change over the images of a kind.

    Args:
        change: (N,), of each image.
        kind: bool (N,).
        samples: See `resamples`.
        sign: Factor of the result: -1 turns a change into harm.
    """
    if not kind.any():
        return NOTHING
    drawn = samples[:, kind] @ change[kind] / kind.sum()
    return estimate(sign * float(change[kind].mean()) + 0.0, sign * drawn + 0.0)


def gain_at_equal_harm(
    change: NDArray[np.float64], other: NDArray[np.bool_], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean over `EQUAL_HARMS` of the largest gain of a weight whose harm is no larger.

    Args:
        change: (T, N), of each image under each weight; the first weight changes nothing.
        other: bool (N,).
        counts: (B, N), how often an image is drawn in each resample.

    Returns:
        float64 (B,).

    Examples:
        >>> change = np.array([[0.0, 0.0], [100.0, -100.0]])  # the second weight gains on one image, harms the other
        >>> gain_at_equal_harm(change, np.array([False, True]), np.ones((1, 2))).tolist()
        [0.0]
    """
    gain = counts[:, ~other] @ change[:, ~other].T / (~other).sum()  # (B, T)
    harm = -counts[:, other] @ change[:, other].T / other.sum()
    best = [np.where(harm <= limit + _ROUNDING, gain, -np.inf).max(axis=1) for limit in EQUAL_HARMS]
    return np.asarray(np.mean(best, axis=0), dtype=np.float64)


def compare_at_equal_harm(
    one: Sequence[NDArray[np.float64]],
    another: Sequence[NDArray[np.float64]],
    other: NDArray[np.bool_],
    samples: NDArray[np.float64],
) -> Estimate:
    """Difference of the gains at equal harm of two methods, each a mean over its draws.

    Args:
        one: Changes (T, N) of each draw of the first method, see `gain_at_equal_harm`.
        another: Likewise of the second.
        other: bool (N,).
        samples: See `resamples`.
    """
    if other.all() or not other.any():
        return NOTHING

    def mean(draws: Sequence[NDArray[np.float64]], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.mean([gain_at_equal_harm(change, other, counts) for change in draws], axis=0))

    whole = np.ones((1, len(other)))
    value, drawn = (mean(one, counts) - mean(another, counts) for counts in (whole, samples))
    return estimate(float(value[0]), drawn)


def curve(name: str, draws: Sequence[NDArray[np.float64]], other: NDArray[np.bool_]) -> Curve:
    """The curve of a method, a mean over its draws, changes (T, N) each."""

    def average(change: NDArray[np.float64], kind: NDArray[np.bool_]) -> NDArray[np.float64]:
        return change[:, kind].mean(axis=1) if kind.any() else np.zeros(len(change))

    pairs = [(-average(change, other), average(change, ~other)) for change in draws]
    levels = np.unique(np.concatenate([harm for harm, _ in pairs]).clip(0))
    gains = [[gain[harm <= level + _ROUNDING].max() for level in levels] for harm, gain in pairs]
    return Curve(name, levels.tolist(), np.mean(gains, axis=0).tolist())
