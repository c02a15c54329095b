"""Probabilistic Hough matching, pair by pair from the formula; float64."""

import math

import numpy as np

from .lom_jacobi import offset


def gaussian(distance):
    """Weight of a bin `distance` bins away: a Gaussian of one bin, cut at three, of sum one."""
    if abs(distance) > 3:
        return 0.0
    return math.exp(-(distance**2) / 2) / sum(math.exp(-(step**2) / 2) for step in range(-3, 4))


def phm(scores, boxes_a, boxes_b, offset_bin=8.0, scale_bin=0.3):
    """New scores (Ma, Mb); boxes in pixels of a frame whose shorter side is 224."""
    scores = np.asarray(scores, dtype=np.float64)
    result = np.zeros_like(scores)
    total = scores.sum()
    if total <= 0:
        return result
    bins, votes = {}, {}
    for i, a in enumerate(boxes_a):
        for j, b in enumerate(boxes_b):
            widths = (offset_bin, offset_bin, scale_bin)
            bins[i, j] = tuple(round(value / width) for value, width in zip(offset(a, b), widths, strict=True))
            votes[bins[i, j]] = votes.get(bins[i, j], 0.0) + scores[i, j]
    for (i, j), here in bins.items():
        share = 0.0
        for there, vote in votes.items():
            share += vote * math.prod(gaussian(one - other) for one, other in zip(here, there, strict=True))
        result[i, j] = scores[i, j] * share / total
    return result
