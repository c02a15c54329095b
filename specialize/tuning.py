"""Model selection: C, the normalisation and the weight are chosen on held-out training images under a harm limit.

Of all combinations whose harm to the tuning photographs of other classes is within the limit, the one with the largest
gain on held-out images of the specialised classes is chosen; of equal ones the one with the least harm, then the least
weight. Images of the evaluation are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.blend import Blend, blended, calibrate, class_scores, plain_blend
from visual_summaries.specialize.feature_set import FeatureSet
from visual_summaries.specialize.options import TuningOptions
from visual_summaries.specialize.svm import Svms


@dataclass(frozen=True)
class HeldOut:
    """Features and labels of images that no SVM is trained on: for tuning, or for the evaluation.

    Attributes:
        vectors: float32 (N, M) (see `specialize.features.Extracted`).
        logits: float32 (N, K).
        labels: int64 (N,), the true class among K.
        other: bool (N,), whether the class is not a specialised one.
        windows: float16 (N, W, D), descriptors of windows, if they are computed beforehand.
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    other: NDArray[np.bool_]
    windows: NDArray[np.float16] | None = None


def held_out_of(features: FeatureSet, classes: NDArray[np.int64]) -> HeldOut:
    """A feature set for tuning or evaluation.

    Args:
        features: The images.
        classes: int64 (C,), the specialised classes.
    """
    return HeldOut(features.vectors, features.logits, features.labels, ~np.isin(features.labels, classes))


@dataclass(frozen=True)
class Method:
    """A way to change a network's logits: SVMs and a blend, or a control without SVMs.

    Attributes:
        name: Its name.
        svms: None for a control without SVMs.
        blend: With the chosen weight.
        cost: C of the SVMs; None without SVMs.
    """

    name: str
    svms: Svms | None
    blend: Blend
    cost: float | None = None


def decide_all(methods: Sequence[Method], vectors: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Decision values (N, S) of the SVMs of each method, S = 0 without SVMs, for images with vectors (N, M).

    Windows are described once for all methods.
    """
    found = [np.zeros((len(vectors), 0), np.float32) for _ in methods]
    for of_windows in (False, True):
        chosen = [k for k, one in enumerate(methods) if one.svms and (one.svms.pooling is not None) == of_windows]
        svms = [one for k in chosen if (one := methods[k].svms)]
        if svms:
            owner, weights, intercepts = (
                np.concatenate([getattr(one, name) for one in svms]) for name in ("owner", "weights", "intercepts")
            )
            values = Svms(owner, weights, intercepts, svms[0].pooling).decisions(vectors)
            ends = np.cumsum([len(one.owner) for one in svms])[:-1]
            for k, own in zip(chosen, np.split(values, ends, axis=1), strict=True):
                found[k] = own
    return found


def right_along(
    blend: Blend, decisions: NDArray[np.float32], held: HeldOut, strengths: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each image is classified correctly with each weight, bool (T, N), given the decision values (N, S)."""
    logits, values = torch.from_numpy(held.logits.astype(np.float64)), torch.from_numpy(decisions.astype(np.float64))
    labels = torch.from_numpy(held.labels)
    rows = [blended(logits, values, blend.at(float(weight))).argmax(dim=1) == labels for weight in strengths]
    return torch.stack(rows).numpy()


def points(right: NDArray[np.bool_], before: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Gain on the specialised classes and harm to the others, in points of top-1; 0 without images of a kind.

    Args:
        right: bool (N,), whether each image is classified correctly by the specialised network.
        before: bool (N,), likewise by the network.
        other: bool (N,), whether the image is of another class than the specialised ones.

    Examples:
        >>> right, before = np.array([True, True, False, True]), np.array([False, True, True, True])
        >>> points(right, before, other=np.array([False, False, True, True]))
        (50.0, 50.0)
    """
    change = 100.0 * (right.astype(float) - before.astype(float))
    gain = float(change[~other].mean()) if (~other).any() else 0.0
    return gain, float(-change[other].mean()) if other.any() else 0.0


def choose_weight(tried: Iterable[tuple[Method, NDArray[np.float32]]], held: HeldOut, options: TuningOptions) -> Method:
    """The best candidate with its best weight (see the module's docstring).

    Args:
        tried: Candidates with their decision values (N, S), at least one; of equal ones the first is chosen.
        held: Held-out images; without images of other classes there is no limit.
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
    assert best is not None  # a weight of 0 does no harm
    return best[1]


def candidates(
    name: str, trainer: Callable[[float], Svms], classes: NDArray[np.int64], held: HeldOut, options: TuningOptions
) -> Iterator[tuple[Method, NDArray[np.float32]]]:
    """Methods with every C and every normalisation, calibrated on held-out images, with their decision values there.

    Args:
        name: Their name.
        trainer: Trains the SVMs with a given C.
        classes: int64 (C,), indices of the specialised classes.
        held: Held-out images.
        options: The values to try.
    """
    for cost in options.costs:
        svms = trainer(cost)
        decisions = svms.decisions(held.vectors) if svms.pooling is None else best_windows(svms, held)
        for normalisation in options.normalisations:
            blend = plain_blend(classes, svms.owner, normalisation)
            if normalisation.startswith("platt"):
                blend = calibrated(blend, decisions, held.labels)
            yield Method(name, svms, blend, cost), decisions


def best_windows(svms: Svms, held: HeldOut) -> NDArray[np.float32]:
    """Decision values (N, S) of SVMs of windows, from the descriptors of windows of held-out images."""
    assert held.windows is not None
    best = [(one.astype(np.float32) @ svms.weights.T).max(axis=0) for one in held.windows]
    found: NDArray[np.float32] = np.array(best, dtype=np.float32) + svms.intercepts
    return found


def calibrated(blend: Blend, decisions: NDArray[np.float32], labels: NDArray[np.int64]) -> Blend:
    """The blend with Platt scaling, one slope and offset for each class, fitted to the class's scores."""
    scores = class_scores(torch.from_numpy(decisions.astype(np.float64)), blend)[0].numpy()
    fits = [calibrate(scores[:, position], labels == index) for position, index in enumerate(blend.classes)]
    slope, offset = (np.array(values)[blend.owner] for values in zip(*fits, strict=True))
    return Blend(blend.classes, blend.owner, slope, offset, blend.normalisation, blend.weight)
