"""Gain of a specialised network on its classes and harm to the other classes, beside controls.

Gain is the change of top-1 accuracy on images of the specialised classes, harm the loss of it on images of other
classes, both over all classes of the network and in points. Every method has the weight that was chosen for it on
held-out training images under one harm limit. On new images the harms of two methods are then not quite equal, so
methods are also compared along all their weights (see `specialize.bootstrap.gain_at_equal_harm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.blend import Blend, blended, class_scores
from visual_summaries.specialize.boost_results import BoostResults, Changed, ClassAccuracy, Comparison, GainRow
from visual_summaries.specialize.bootstrap import (
    NOTHING,
    compare_at_equal_harm,
    curve,
    estimate,
    mean_change,
    resamples,
)
from visual_summaries.specialize.tuning import HeldOut, Method, decide_all, right_along

STEPS = 100
"""Weights along a curve, besides 0."""

PAPER_GAIN = 1.08
"""Points of top-1 over 1000 classes with 18 of them specialised, AlexNet (paper section 4.4)."""


def evaluate(
    methods: Sequence[Method],
    images: HeldOut,
    *,
    order: Sequence[str],
    further: Sequence[str] = (),
    seed: int = 0,
) -> BoostResults:
    """Measures methods on images that none of them was trained or tuned on.

    Args:
        methods: The method of the summaries first. Draws of one control are called ``name:0``, ``name:1`` and so on.
        images: The images.
        order: Names of the rows.
        further: Names of rows that are reported apart.
        seed: Of the bootstrap.
    """
    before = images.logits.argmax(axis=1) == images.labels
    samples = resamples(images.other, seed)
    names = [name for name in (*order, *further) if any(_name(method) == name for method in methods)]
    changes: dict[str, NDArray[np.float64]] = {}
    draws: dict[str, list[NDArray[np.float64]]] = {}  # of each draw, along all weights
    decisions = decide_all(methods, images.vectors)
    for name in names:
        own = [(one.blend, values) for one, values in zip(methods, decisions, strict=True) if _name(one) == name]
        chosen = [right_along(blend, values, images, np.array([blend.weight]))[0] for blend, values in own]
        along = [right_along(blend, values, images, blend.strengths(STEPS)) for blend, values in own]
        changes[name] = np.mean([_change(right, before) for right in chosen], axis=0)
        draws[name] = [_change(right, before) for right in along]
    weights = {_name(method): (method.blend.weight if _name(method) == method.name else None) for method in methods}
    rows = {name: _row(name, changes[name], weights[name], images.other, samples) for name in names}
    first = methods[0]
    logits, values = torch.from_numpy(images.logits.astype(float)), torch.from_numpy(decisions[0].astype(float))
    after = blended(logits, values, first.blend)
    return BoostResults(
        rows=[rows[name] for name in names if name in order],
        further=[rows[name] for name in names if name in further],
        comparisons=[_compare(first.name, name, changes, draws, images.other, samples) for name in names[1:]],
        curves=[curve(name, draws[name], images.other) for name in names],
        classes=[
            _accuracy(int(index), images.labels == index, logits, after, images)
            for index in first.blend.classes
            if (images.labels == index).any()
        ],
        specialised=_accuracy(None, ~images.other, logits, after, images) if (~images.other).any() else None,
        others=_accuracy(None, images.other, logits, after, images) if images.other.any() else None,
        overall=_overall(first, changes[first.name], images, samples),
        **_changed(first.blend, logits, values, images),
    )


def _name(method: Method) -> str:
    """A method's name without the number of its draw."""
    return method.name.split(":")[0]


def _change(right: NDArray[np.bool_], before: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The contribution of each image to the change of accuracy: 100 if it is corrected, -100 if broken; (..., N)."""
    change: NDArray[np.float64] = 100.0 * (right.astype(np.float64) - before)
    return change


def _row(
    name: str,
    change: NDArray[np.float64],
    weight: float | None,
    other: NDArray[np.bool_],
    samples: NDArray[np.float64],
) -> GainRow:
    gain, harm = mean_change(change, ~other, samples), mean_change(change, other, samples, -1)
    return GainRow(name, gain.value, gain.low, gain.high, harm.value, harm.low, harm.high, weight)


def _compare(
    first: str,
    name: str,
    changes: dict[str, NDArray[np.float64]],
    draws: dict[str, list[NDArray[np.float64]]],
    other: NDArray[np.bool_],
    samples: NDArray[np.float64],
) -> Comparison:
    difference = changes[first] - changes[name]
    return Comparison(
        name,
        mean_change(difference, ~other, samples),
        mean_change(difference, other, samples, -1),
        compare_at_equal_harm(draws[first], draws[name], other, samples),
    )


def _accuracy(
    label: int | None, kind: NDArray[np.bool_], before: torch.Tensor, after: torch.Tensor, images: HeldOut
) -> ClassAccuracy:
    labels = torch.from_numpy(images.labels[kind])[:, None]
    before, after = (logits[torch.from_numpy(kind)] for logits in (before, after))

    def top(values: torch.Tensor, count: int) -> float:
        found = values.topk(min(count, values.shape[1]), dim=1).indices
        return float((found == labels).any(dim=1).double().mean())

    return ClassAccuracy(label, int(kind.sum()), top(before, 1), top(after, 1), top(before, 5), top(after, 5))


def _overall(
    method: Method, change: NDArray[np.float64], images: HeldOut, samples: NDArray[np.float64]
) -> dict[str, Any]:
    """The change over all classes of the network, all equally frequent, as in ImageNet's validation set."""
    classes = images.logits.shape[1]
    fraction = len(method.blend.classes) / classes
    gain = mean_change(change, ~images.other, samples)
    found = gain if fraction == 1 else NOTHING
    if images.other.any() and gain.value is not None:
        harm = float(-change[images.other].mean())
        drawn_gain = samples[:, ~images.other] @ change[~images.other] / (~images.other).sum()
        drawn_harm = -samples[:, images.other] @ change[images.other] / images.other.sum()
        found = estimate(
            fraction * gain.value - (1 - fraction) * harm, fraction * drawn_gain - (1 - fraction) * drawn_harm
        )
    return {
        "classes": classes,
        "share": fraction,
        **asdict(found),
        "from_gain": None if gain.value is None else fraction * gain.value,
        "paper": PAPER_GAIN,
        "others": int(images.other.sum()),
    }


def _changed(blend: Blend, logits: torch.Tensor, decisions: torch.Tensor, images: HeldOut) -> dict[str, list[Changed]]:
    """The corrected and the broken images, with the SVM that decided."""
    before, after = logits.argmax(dim=1), blended(logits, decisions, blend).argmax(dim=1)
    deciding = class_scores(decisions, blend)[1].numpy()
    owner = {int(index): position for position, index in enumerate(blend.classes)}
    found: dict[str, list[Changed]] = {"corrected": [], "broken": []}
    for image in np.flatnonzero((before != after).numpy()):
        old, new, label = int(before[image]), int(after[image]), int(images.labels[image])
        away = new not in owner
        changed = owner.get(old if away else new)
        summary = None if changed is None else int(deciding[image, changed])
        if label in (old, new):
            kind = "corrected" if new == label else "broken"
            found[kind].append(Changed(int(image), old, new, label, summary, away))
    return found
