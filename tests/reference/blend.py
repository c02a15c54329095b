"""The blend of section 4.4, one image and one class at a time, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence


def softmax(values: Sequence[float]) -> list[float]:
    """exp(v) / sum."""
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def blend(
    logits: Sequence[float],
    decisions: Sequence[float],
    owner: Sequence[int],
    slope: Sequence[float],
    offset: Sequence[float],
    classes: Sequence[int],
    normalisation: str,
    weight: float,
) -> list[float]:
    """Probabilities of one image after blending."""
    network = softmax(logits)
    scores = []
    for place in range(len(classes)):
        own = [slope[s] * decisions[s] + offset[s] for s in range(len(decisions)) if owner[s] == place]
        scores.append(max(own) if own else 0.0)
    share = [0.0] * len(logits)
    if normalisation == "platt_filled":
        share = list(network)
    for place, index in enumerate(classes):
        value = scores[place]
        if normalisation == "clipped":
            value = max(value, 0.0)
        elif normalisation == "softmax":
            value = math.exp(value)
        elif normalisation.startswith("platt"):
            value = 1 / (1 + math.exp(-value))
        elif normalisation == "uniform":
            value = 1.0
        share[index] = value
    total = sum(share)
    if total != 0:
        share = [value / total for value in share]
    return [(1 - weight) * p + weight * q for p, q in zip(network, share, strict=True)]
