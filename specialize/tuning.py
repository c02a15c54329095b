"""What is chosen, and on what: C, the normalisation and the weight, on held-out training images under a harm limit.

Of all combinations the one is taken that gains most on held-out images of the specialised classes and harms
the tuning photographs of other classes no more than the limit; of equals the one that harms least, then the one
with the least weight. Nothing that is reported is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.blend import Blend, blended, calibrate, class_scores, plain_blend
from visual_summaries.specialize.options import TuningOptions
from visual_summaries.specialize.svm import Svms


@dataclass(frozen=True)
class Held:
    """Images that something is chosen or measured on.

    Attributes:
        vectors: float32 (N, D), of length 1.
        logits: float32 (N, K).
        labels: int64 (N,), the true class among K.
        other: bool (N,), whether the class is not a specialised one.
        windows: float16 (N, W, D), of SVMs that see places; None where nobody asked for them.
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    other: NDArray[np.bool_]
    windows: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class Method:
    """A way to change a network's logits: SVMs and a blend, or a control without SVMs.

    Attributes:
        name: What it is called.
        svms: None for a control without any.
        blend: With the weight that was chosen.
        cost: C of the SVMs; None without.
    """

    name: str
    svms: Svms | None
    blend: Blend
    cost: float | None = None


def decide_all(methods: Sequence[Method], vectors: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Decisions (N, S) of the SVMs of each method, S = 0 without any, for images with vectors (N, M).

    Windows are described once for all methods.
    """
    found = [np.zeros((len(vectors), 0), np.float32) for _ in methods]
    for placed in (False, True):
        chosen = [k for k, one in enumerate(methods) if one.svms and (one.svms.places is not None) == placed]
        machines = [svms for k in chosen if (svms := methods[k].svms)]
        if machines:
            owner, weights, intercepts = (
                np.concatenate([getattr(one, part) for one in machines]) for part in ("owner", "weights", "intercepts")
            )
            values = Svms(owner, weights, intercepts, machines[0].places).decisions(vectors)
            ends = np.cumsum([len(one.owner) for one in machines])[:-1]
            for k, own in zip(chosen, np.split(values, ends, axis=1), strict=True):
                found[k] = own
    return found


def right_along(
    blend: Blend, decisions: NDArray[np.float32], held: Held, strengths: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each image is right under each weight, bool (T, N), given the decisions (N, S)."""
    logits, values = torch.from_numpy(held.logits.astype(np.float64)), torch.from_numpy(decisions.astype(np.float64))
    labels = torch.from_numpy(held.labels)
    rows = [blended(logits, values, blend.at(float(weight))).argmax(dim=1) == labels for weight in strengths]
    return torch.stack(rows).numpy()


def points(right: NDArray[np.bool_], before: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Gain on the specialised classes and harm on the others, in points of top-1; 0 where there is no image."""
    change = 100.0 * (right.astype(float) - before.astype(float))
    gain = float(change[~other].mean()) if (~other).any() else 0.0
    return gain, float(-change[other].mean()) if other.any() else 0.0


def choose_weight(tried: Iterable[tuple[Method, NDArray[np.float32]]], held: Held, options: TuningOptions) -> Method:
    """The best of some methods with its best weight (see the module's docstring).

    Args:
        tried: Candidates with their decisions (N, S), at least one; of equals the first is taken.
        held: Held-out images; without any of another class there is no limit to keep.
        options: The limit and the weights.
    """
    before = held.logits.argmax(axis=1) == held.labels
    best: tuple[tuple[float, float, float], Method] | None = None
    for method, decisions in tried:
        strengths = method.blend.strengths(options.steps)
        along = right_along(method.blend, decisions, held, strengths)
        for weight, right in zip(strengths, along, strict=True):
            gain, harm = points(right, before, held.other)
            value = (gain, -harm, -float(weight))
            if harm <= options.harm_limit + 1e-9 and (best is None or value > best[0]):
                chosen = replace(method, blend=method.blend.at(float(weight)))
                best = value, chosen
    assert best is not None  # a weight of 0 harms nothing
    return best[1]


def candidates(
    name: str, machines: Callable[[float], Svms], classes: NDArray[np.int64], held: Held, options: TuningOptions
) -> Iterator[tuple[Method, NDArray[np.float32]]]:
    """Methods with every C and every normalisation, calibrated on held-out images, with their decisions there.

    Args:
        name: What they are called.
        machines: Gives the SVMs of a C.
        classes: int64 (C,), indices of the specialised classes.
        held: Held-out images.
        options: What to try.
    """
    for cost in options.costs:
        svms = machines(cost)
        decisions = svms.decisions(held.vectors) if svms.places is None else best_windows(svms, held)
        for normalisation in options.normalisations:
            blend = plain_blend(classes, svms.owner, normalisation)
            if normalisation.startswith("platt"):
                blend = calibrated(blend, decisions, held.labels)
            yield Method(name, svms, blend, cost), decisions


def best_windows(svms: Svms, held: Held) -> NDArray[np.float32]:
    """Decisions (N, S) of SVMs that see places, from the windows of held images, which were described before."""
    assert held.windows is not None
    best = [(one.astype(np.float32) @ svms.weights.T).max(axis=0) for one in held.windows]
    found: NDArray[np.float32] = np.array(best, dtype=np.float32) + svms.intercepts
    return found


def calibrated(blend: Blend, decisions: NDArray[np.float32], labels: NDArray[np.int64]) -> Blend:
    """The blend with slopes and offsets after Platt, one pair for each class, fitted to the class's scores."""
    scores = class_scores(torch.from_numpy(decisions.astype(np.float64)), blend)[0].numpy()
    fits = [calibrate(scores[:, place], labels == index) for place, index in enumerate(blend.classes)]
    slope, offset = (np.array(values)[blend.owner] for values in zip(*fits, strict=True))
    return Blend(blend.classes, blend.owner, slope, offset, blend.normalisation, blend.weight)
