"""Importance of a summary: how much probability the class loses when the summary's parts are removed.

For a summary with parts in images 1..n,

    importance = mean_i [ p_c(x_i) - p_c(x_i without its part) ]

and likewise for the log odds of the class. `masks.perturbation.removal` removes a part. The interval is a percentile
bootstrap over the members. The **control** is the same mean with the part's outline moved elsewhere in its image, on
the mask and off it: the effect of removing any region of this size and shape. A summary **matters** if the lower end of
its interval is above its control and above zero.

The effects of single parts do not add up: of two windows, the network may need only one. So the stage also removes all
parts of all kept summaries of an image together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.summaries.files import Count, Finite, Share
from visual_summaries.summaries.semantics.options import ImportanceOptions
from visual_summaries.summaries.summary import above_control

_TRIES = 60
"""How many random places are tried, to find those on the mask and those off it."""

_OVERLAP = 0.1
"""A moved outline shares at most this fraction of its pixels with the part's own outline."""


@dataclass(frozen=True)
class Removal:
    """The effect of removing one part from its image.

    Attributes:
        summary: Number of the cluster.
        part: Row of the part in ``parts.csv``.
        image: Id of the image.
        p0: Probability of the class in the image.
        p: Probability without the part.
        log_odds: Loss of the class's log odds.
        on_mask: Mean of p0 - p with the outline moved to another place on the mask; None if there is no such place.
        off_mask: The same off the mask.
    """

    summary: Count
    part: Count
    image: str
    p0: Share
    p: Share
    log_odds: Finite
    on_mask: Finite | None
    off_mask: Finite | None


@dataclass(frozen=True)
class Importance:
    """The importance of a summary.

    Attributes:
        summary: Number of the cluster.
        importance: Mean of p0 - p over its members, in [-1, 1].
        low: Lower end of the bootstrap interval.
        high: Upper end.
        control: Mean of p0 - p with the outlines moved elsewhere, on the mask and off it; None if no place was found.
        log_odds: Mean loss of log odds.
        frequency: Fraction of the class's images in which the summary has a member, in [0, 1].
        matters: Whether `low` is above `control` and above 0.
    """

    summary: int
    importance: float
    low: float
    high: float
    control: float | None
    log_odds: float
    frequency: float
    matters: bool


def places_elsewhere(
    outline: NDArray[np.bool_], mask: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """An outline moved to other places in its image.

    Args:
        outline: bool (H, W), at least one pixel.
        mask: The image's binary mask, bool (H, W).
        count: How many places on the mask, and off it.
        rng: Draws the places.

    Returns:
        Outlines of which at least half the pixels lie on the mask, and outlines of which at most a tenth do; at most
        `count` of each, fewer where the image has no such places. None overlaps with the outline by more than a tenth.
    """
    rows, columns = np.flatnonzero(outline.any(axis=1)), np.flatnonzero(outline.any(axis=0))
    shape = outline[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = outline.shape
    area = int(shape.sum())
    on: list[NDArray[np.bool_]] = []
    off: list[NDArray[np.bool_]] = []
    for _ in range(_TRIES if count else 0):
        y = int(rng.integers(0, height - shape.shape[0] + 1))
        x = int(rng.integers(0, width - shape.shape[1] + 1))
        window = slice(y, y + shape.shape[0]), slice(x, x + shape.shape[1])
        if (outline[window] & shape).sum() > _OVERLAP * area:
            continue
        salient = (mask[window] & shape).sum() / area
        places = on if salient >= 0.5 else off if salient <= _OVERLAP else None
        if places is not None and len(places) < count:
            moved = np.zeros_like(outline)
            moved[window] = shape
            places.append(moved)
        if len(on) == len(off) == count:
            break
    return on, off


def importance_of(removals: Sequence[Removal], images: int, options: ImportanceOptions, seed: int) -> Importance:
    """The importance of one summary.

    Args:
        removals: Of its members, at least one.
        images: How many images the class has.
        options: Resamples and level of the interval.
        seed: Of the resamples.
    """
    losses = np.array([one.p0 - one.p for one in removals])
    elsewhere = [
        float(np.mean(known))
        for one in removals
        if (known := [value for value in (one.on_mask, one.off_mask) if value is not None])
    ]
    control = float(np.mean(elsewhere)) if elsewhere else None
    low, high = interval(losses, options, seed)
    mean = float(losses.mean())
    return Importance(
        summary=removals[0].summary,
        importance=mean,
        low=low,
        high=high,
        control=control,
        log_odds=float(np.mean([one.log_odds for one in removals])),
        frequency=len({one.image for one in removals}) / images,
        matters=above_control(low, control),
    )


def interval(values: NDArray[np.float64], options: ImportanceOptions, seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean.

    Examples:
        >>> interval(np.array([0.5, 0.5, 0.5]), ImportanceOptions(), 0)
        (0.5, 0.5)
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (options.resamples, len(values)))
    tail = (1 - options.level) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)
