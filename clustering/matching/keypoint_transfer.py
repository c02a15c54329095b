"""Keypoint transfer: the position in image B of a point of image A, from the matching of boxes.

Box i of A and its best match j in B define a map from A to B, an anisotropic scaling and a translation. A box that
contains the point p votes for v_i = (p - corner_i) * size_j / size_i + corner_j. Three rules combine these votes:

* **best**: the vote of the match with the highest score (the rule of the literature);
* **mode**: the mode of the votes of the 80 matches with the highest scores, by a mean shift from the vote with the
  highest density; votes are weighted by score / area^(1/4), because small boxes are more precise;
* **dense**: the density of these votes times the cosine, cubed, of the network's features at p and at each position of
  B (mean over maps, negative ones 0); the centre of mass of the product around its maximum.

`nearest` uses the features only, for comparison.

A point that is in no matched box keeps its position relative to the frame. Lengths are in pixels of a frame whose
shorter side is 224 (see `clustering.matching.proposal_flow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.clustering.descriptors.deep import sample
from visual_summaries.clustering.matching.proposal_flow import FRAME_SIDE, Features
from visual_summaries.masks.options import Options, Range

_STEP = 4
_SHIFTS = 30


@dataclass(frozen=True)
class TransferOptions(Options):
    """How votes are combined. Measured on 180 pairs of six classes of PF-WILLOW with deep descriptors.

    Attributes:
        votes: Matches that vote for a point, >= 1.
        area_power: Votes are weighted by area^-power, >= 0.
        mode_width: Standard deviation of the mode's Gaussian, pixels at a shorter side of 224, > 0.
        density_width: Standard deviation of a vote in the dense rule, in the same unit, > 0; 10 to 14 are equally good,
            24 is 2 points worse.
        cosine_power: Power of the cosines in the dense rule, > 0; 2 to 4 are equally good.
        peak_width: Standard deviation of the window of the centre of mass, in the same unit, > 0; 12 to 20 are equally
            good.
    """

    votes: Annotated[int, Range(ge=1)] = 80
    area_power: Annotated[float, Range(ge=0)] = 0.25
    mode_width: Annotated[float, Range(gt=0)] = 18.0
    density_width: Annotated[float, Range(gt=0)] = 12.0
    cosine_power: Annotated[float, Range(gt=0)] = 3.0
    peak_width: Annotated[float, Range(gt=0)] = 16.0


@dataclass(frozen=True)
class Votes:
    """The votes for one point.

    Attributes:
        places: float64 (V, 2) xy in pixels of B's frame, highest score first.
        scores: float64 (V,), > 0, falling.
        weights: float64 (V,), scores by area^-power.
    """

    places: NDArray[np.float64]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]


def cast_votes(
    scores: NDArray[np.float32],
    a: Features,
    b: Features,
    points: NDArray[np.float64],
    options: TransferOptions | None = None,
) -> list[Votes]:
    """The votes for each point: of the matches with the highest scores, among the boxes that contain it.

    Args:
        scores: float32 (Ma, Mb) from A to B (see `clustering.matching.proposal_flow.match`).
        a: Features of A; its boxes and frame are used.
        b: Features of B; the same.
        points: float64 (K, 2) xy in pixels of A's frame.
        options: `votes` and `area_power` are used.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> inside, outside = cast_votes(np.ones((1, 1), np.float32), a, b, np.array([[10.0, 10.0], [200.0, 200.0]]))
        >>> inside.places.tolist(), outside.places.tolist()  # the box is moved by 50 and is twice as high
        ([[60.0, 20.0]], [])
    """
    options = options or TransferOptions()
    if not scores.size:
        nothing = np.zeros(0)
        return [Votes(np.zeros((0, 2)), nothing, nothing) for _ in points]
    best_match = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), best_match].astype(np.float64)
    low, high = a.boxes[:, :2].astype(np.float64), a.boxes[:, 2:].astype(np.float64)
    target = b.boxes[best_match].astype(np.float64)
    stretch = (target[:, 2:] - target[:, :2]) / (high - low)
    weights = best * (high - low).prod(axis=1) ** -options.area_power
    found = []
    for point in points:
        around = ((low <= point) & (point <= high)).all(axis=1) & (best > 0)
        voters = np.flatnonzero(around)
        voters = voters[np.argsort(-best[voters], kind="stable")[: options.votes]]
        places = (point - low[voters]) * stretch[voters] + target[voters, :2]
        found.append(Votes(places, best[voters], weights[voters]))
    return found


def best(votes: Sequence[Votes], points: NDArray[np.float64], a: Features, b: Features) -> NDArray[np.float64]:
    """Transfers points (K, 2) by the vote with the highest score.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> points = np.array([[10.0, 10.0], [200.0, 200.0]])
        >>> best(cast_votes(np.ones((1, 1), np.float32), a, b, points), points, a, b).tolist()
        [[60.0, 20.0], [200.0, 200.0]]
    """
    moved = unmoved(points, a, b)
    for index, one in enumerate(votes):
        if len(one.places):
            moved[index] = one.places[0]
    return moved


def mode(
    votes: Sequence[Votes],
    points: NDArray[np.float64],
    a: Features,
    b: Features,
    options: TransferOptions | None = None,
) -> NDArray[np.float64]:
    """Transfers points (K, 2) to the mode of their votes; `mode_width` is used.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> points = np.array([[10.0, 10.0]])
        >>> two_against_one = Votes(np.array([[0.0, 0.0], [90.0, 90.0], [90.0, 90.0]]), np.ones(3), np.ones(3))
        >>> np.round(mode([two_against_one], points, a, b)).tolist()
        [[90.0, 90.0]]
    """
    options = options or TransferOptions()
    width = options.mode_width * min(b.frame) / FRAME_SIDE
    moved = unmoved(points, a, b)
    for index, one in enumerate(votes):
        if len(one.places):
            moved[index] = _mean_shift(one, width)
    return moved


def _mean_shift(votes: Votes, width: float) -> NDArray[np.float64]:
    """The mode (2,) that a mean shift finds from the vote with the highest density."""
    apart = ((votes.places[:, None] - votes.places[None]) ** 2).sum(axis=2)
    at: NDArray[np.float64] = votes.places[(np.exp(-apart / (2 * width**2)) @ votes.weights).argmax()]
    for _ in range(_SHIFTS):
        pull = votes.weights * np.exp(-((votes.places - at) ** 2).sum(axis=1) / (2 * width**2))
        at = pull @ votes.places / pull.sum()
    return at


def dense(
    votes: Sequence[Votes],
    points: NDArray[np.float64],
    a: Features,
    b: Features,
    cosines: NDArray[np.float32],
    options: TransferOptions | None = None,
) -> NDArray[np.float64]:
    """Transfers points by votes and features together.

    Args:
        votes: See `cast_votes`.
        points: float64 (K, 2) xy in pixels of A's frame.
        a: Features of A; its frame is used.
        b: Features of B; the same.
        cosines: float32 (K, rows, columns) (see `mean_cosines`).
        options: `density_width`, `cosine_power` and `peak_width` are used.

    Returns:
        float64 (K, 2) xy in pixels of B's frame. If all cosines near the votes of a point are
        0, the votes alone are used.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> points = np.array([[10.0, 10.0]])
        >>> votes = cast_votes(np.ones((1, 1), np.float32), a, b, points)
        >>> alike = np.ones((1, 56, 56), np.float32)  # the features say nothing
        >>> bool(abs(dense(votes, points, a, b, alike) - [60.0, 20.0]).max() < 4)  # a step of the grid
        True
    """
    options = options or TransferOptions()
    unit = min(b.frame) / FRAME_SIDE
    xs, ys = _grid(b.frame)
    moved = unmoved(points, a, b)
    for index, one in enumerate(votes):
        if len(one.places):
            density = _density(one, xs, ys, options.density_width * unit)
            product = density * np.maximum(cosines[index], 0.0) ** options.cosine_power
            moved[index] = _peak(product if product.any() else density, xs, ys, options.peak_width * unit)
    return moved


def nearest(
    points: NDArray[np.float64],
    a: Features,
    b: Features,
    cosines: NDArray[np.float32],
    options: TransferOptions | None = None,
) -> NDArray[np.float64]:
    """Transfers points to the most similar features of B, without votes; arguments as for `dense`.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> cosines = np.zeros((1, 56, 56), np.float32)
        >>> cosines[0, 10, 20] = 1.0
        >>> nearest(np.array([[10.0, 10.0]]), a, b, cosines).tolist()  # the middle of that cell of 4 x 4 pixels
        [[82.0, 42.0]]
    """
    options = options or TransferOptions()
    xs, ys = _grid(b.frame)
    moved = unmoved(points, a, b)
    for index, one in enumerate(cosines):
        heights = np.maximum(one, 0.0).astype(np.float64) ** options.cosine_power
        if heights.any():
            moved[index] = _peak(heights, xs, ys, options.peak_width * min(b.frame) / FRAME_SIDE)
    return moved


def _grid(frame: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The grid of the dense rule on a frame (H, W): x of its columns, y of its rows, pixels."""
    return np.arange(_STEP / 2, frame[1], _STEP), np.arange(_STEP / 2, frame[0], _STEP)


def look_everywhere(maps: Sequence[Tensor], frame: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Unit vectors of an image's maps on the grid of the dense rule, for `mean_cosines`.

    Args:
        maps: Feature maps (C, h, w) (see `clustering.descriptors.deep.DeepEncoder.maps`).
        frame: (H, W) of the image, pixels.

    Returns:
        float32 (rows, columns, C) for each map, a grid point every 4 pixels.

    Examples:
        >>> import torch
        >>> [one.shape for one in look_everywhere([torch.ones(8, 14, 14)], (112, 224))]
        [(28, 56, 8)]
    """
    grid = np.stack(np.meshgrid(*_grid(frame)), axis=-1)  # (rows, columns, 2)
    return [sample(one, grid, frame) for one in maps]


def mean_cosines(
    maps_a: Sequence[Tensor],
    points: NDArray[np.float64],
    frame_a: tuple[int, int],
    everywhere_b: Sequence[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Cosines of A's features at points with B's features on the grid, mean over maps.

    Args:
        maps_a: Feature maps (C, h, w) of A.
        points: float64 (K, 2) xy in pixels of A's frame.
        frame_a: (H, W) of A, pixels.
        everywhere_b: See `look_everywhere`.

    Returns:
        float32 (K, rows, columns) in [-1, 1].

    Examples:
        >>> import torch
        >>> maps = [torch.ones(8, 14, 14)]
        >>> cosines = mean_cosines(maps, np.array([[10.0, 10.0]]), (64, 64), look_everywhere(maps, (64, 64)))
        >>> cosines.shape, float(cosines.round(3).min())
        ((1, 16, 16), 1.0)
    """
    total = np.zeros((len(points), *everywhere_b[0].shape[:2]), dtype=np.float32)
    for of_a, there in zip(maps_a, everywhere_b, strict=True):
        products = sample(of_a, points, frame_a) @ there.reshape(-1, there.shape[2]).T
        total += products.reshape(total.shape)
    total /= np.float32(len(maps_a))
    return total


def unmoved(points: NDArray[np.float64], a: Features, b: Features) -> NDArray[np.float64]:
    """Points of A's frame at the same relative position in B's frame.

    Examples:
        >>> a = Features(np.zeros((1, 1)), np.array([[0, 0, 100, 100]], np.float32), (224, 224))
        >>> b = Features(np.zeros((1, 1)), np.array([[50, 0, 150, 200]], np.float32), (224, 224))
        >>> smaller = Features(b.descriptors, b.boxes, (112, 224))
        >>> unmoved(np.array([[10.0, 20.0]]), a, smaller).tolist()
        [[10.0, 10.0]]
    """
    there: NDArray[np.float64] = points * (np.array(b.frame[::-1]) / np.array(a.frame[::-1]))
    return there


def _density(votes: Votes, xs: NDArray[np.float64], ys: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Sum of Gaussians around the votes on a grid, (len(ys), len(xs))."""
    along_x, along_y = (
        np.exp(-((line[:, None] - votes.places[:, axis]) ** 2) / (2 * width**2)) for axis, line in enumerate((xs, ys))
    )
    summed: NDArray[np.float64] = (along_y * votes.weights) @ along_x.T
    return summed


def _peak(
    heights: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Centre of mass of heights on a grid, in a Gaussian window around the maximum, (2,) xy."""
    row, column = np.unravel_index(heights.argmax(), heights.shape)
    window = np.exp(-((xs - xs[column]) ** 2 + (ys[:, None] - ys[row]) ** 2) / (2 * width**2))
    mass = heights * window
    centre: NDArray[np.float64] = np.array([mass.sum(axis=0) @ xs, mass.sum(axis=1) @ ys]) / mass.sum()
    return centre
