"""Local offset matching in its faithful form: rows are overwritten while looping, medians are reweighted.

Row i is refined from the scores as rows 0..i-1 have left them, so the result depends on the boxes' order. The
local offset is the geometric median per coordinate by 20 rounds of iteratively reweighted least squares.
"""

import numpy as np

from .lom_jacobi import geometry


def reweighted_median(values, rounds=20, floor=1e-9):
    """Per-coordinate median of (n, 3) values by reweighting: weights 1 / distance from the last estimate."""
    estimate = values.mean(axis=0)
    for _ in range(rounds):
        weights = 1 / np.maximum(np.abs(values - estimate), floor)
        estimate = (weights * values).sum(axis=0) / weights.sum(axis=0)
    return estimate


def lom(scores, boxes_a, boxes_b):
    """New scores (Ma, Mb); boxes in pixels of a frame whose shorter side is 224."""
    scores = np.array(scores, dtype=np.float64)
    for i in range(len(boxes_a)):
        scores[i] *= geometry(scores, boxes_a, boxes_b, i, reweighted_median)
    return scores
