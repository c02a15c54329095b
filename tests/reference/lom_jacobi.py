"""One pass of local offset matching that reads unmodified scores, box by box from the formula; float64."""

import math

import numpy as np


def place(box):
    x0, y0, x1, y1 = (float(value) for value in box)
    return (x0 + x1) / 2, (y0 + y1) / 2, math.log(math.sqrt((x1 - x0) * (y1 - y0)))


def share_area(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width > 0 and height > 0


def offset(box_a, box_b):
    return tuple(b - a for a, b in zip(place(box_a), place(box_b), strict=True))


def geometry(scores, boxes_a, boxes_b, i, median, spatial_weight=0.05, scale_weight=0.3):
    """Row i of the factors that multiply the scores; `median` is given (n, 3) offsets and (n,) scores."""
    voters = [k for k in range(len(boxes_a)) if share_area(boxes_a[i], boxes_a[k]) and max(scores[k]) > 0]
    total = sum(max(row) for row in scores)
    if not voters:
        return np.zeros(len(boxes_b))
    offsets = np.array([offset(boxes_a[k], boxes_b[int(np.argmax(scores[k]))]) for k in voters])
    local = median(offsets)
    support = sum(max(scores[k]) for k in voters) / total
    factors = []
    for box in boxes_b:
        dx, dy, ds = np.array(offset(boxes_a[i], box)) - local
        factors.append(math.exp(-spatial_weight * math.hypot(dx, dy) - scale_weight * abs(ds)) * support)
    return np.array(factors)


def lom(scores, boxes_a, boxes_b, **weights):
    """New scores (Ma, Mb); boxes in pixels of a frame whose shorter side is 224."""
    scores = np.asarray(scores, dtype=np.float64)
    result = np.zeros_like(scores)
    if not scores.size:
        return result
    for i in range(len(boxes_a)):
        factors = geometry(scores, boxes_a, boxes_b, i, lambda o: np.median(o, axis=0), **weights)
        result[i] = scores[i] * factors
    return result
