"""What a specialised network gains on its classes and harms on the others, beside controls at the same harm limit.

Gain is the change of top-1 accuracy on images of the specialised classes, harm its loss on images of other classes,
both over all classes of the network and in points. Intervals are those of a bootstrap over images, 95 %, paired: a
resample holds the same images before and after, and for both of two methods that are compared. Each method has the
weight that was chosen for it on held-out training images under one harm limit; since its harm on new images comes out
a little different, methods are compared along their whole curves too: for every harm up to a limit, the largest gain of
any weight whose measured harm is no larger, and the mean of that over the harms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.blend import Blend, blended, class_scores
from visual_summaries.specialize.tuning import Held, Method, decide_all, right_along

SAMPLES = 2000
"""Bootstrap samples."""

STEPS = 100
"""Weights along a curve, besides 0."""

EQUAL_HARMS = tuple(np.linspace(0, 1.5, 16).round(2).tolist())
"""Harms, points, at which curves are compared."""

PAPER_GAIN = 1.08
"""Points of top-1 over 1000 classes with 18 of them specialised, AlexNet (paper section 4.4)."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None where nothing was measured."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A row of ``boost.json``: what a method gains and harms, in points of top-1."""

    method: str
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    harm: float | None
    harm_low: float | None
    harm_high: float | None
    weight: float | None


@dataclass(frozen=True)
class Comparison:
    """What the summaries gain more than another method, in points of top-1, each with its paired interval.

    Attributes:
        against: The other method.
        gain: Difference of gains, each at the weight that was chosen for it.
        harm: Difference of harms there.
        equal_harm: Difference of the mean gains at equal measured harm, over `EQUAL_HARMS`; None without images of
            other classes.
    """

    against: str
    gain: Estimate
    harm: Estimate
    equal_harm: Estimate


@dataclass(frozen=True)
class Curve:
    """The largest gain that a method reaches with a weight that harms no more, for each harm, in points."""

    method: str
    harm: list[float]
    gain: list[float]


@dataclass(frozen=True)
class Changed:
    """An image whose class changed.

    Attributes:
        image: Its place.
        before: The network's class.
        after: The class now.
        label: The true one.
        summary: Place of the SVM that decided: the best of the class it went to, or of the one it left.
        away: Whether that SVM turned the image away rather than claimed it.
    """

    image: int
    before: int
    after: int
    label: int
    summary: int | None
    away: bool


@dataclass(frozen=True)
class ClassRow:
    """Accuracy of one class, or of several together, as shares: top-1 and top-5, before and after."""

    label: int | None
    images: int
    top1_before: float
    top1_after: float
    top5_before: float
    top5_after: float


@dataclass(frozen=True)
class Evaluation:
    """All that is found; see the classes of its parts."""

    rows: list[Row]
    further: list[Row]
    comparisons: list[Comparison]
    curves: list[Curve]
    classes: list[ClassRow]
    specialised: ClassRow | None
    others: ClassRow | None
    overall: dict[str, Any]
    corrected: list[Changed]
    broken: list[Changed]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain data."""
        return asdict(self)


def evaluate(
    methods: Sequence[Method],
    held: Held,
    *,
    order: Sequence[str],
    further: Sequence[str] = (),
    seed: int = 0,
) -> Evaluation:
    """Measures methods on images that none of them has seen.

    Args:
        methods: That of the summaries first. Draws of one control are called ``name:0``, ``name:1`` and so on.
        held: The images.
        order: Names of the rows.
        further: Names of rows that are reported apart.
        seed: Of the bootstrap.
    """
    before = held.logits.argmax(axis=1) == held.labels
    samples = _resamples(held.other, seed)
    names = [name for name in (*order, *further) if any(_name(method) == name for method in methods)]
    changes: dict[str, NDArray[np.float64]] = {}
    curves: dict[str, list[NDArray[np.float64]]] = {}  # of each draw
    decisions = decide_all(methods, held.vectors)
    for name in names:
        own = [(one.blend, values) for one, values in zip(methods, decisions, strict=True) if _name(one) == name]
        chosen = [right_along(blend, values, held, np.array([blend.weight]))[0] for blend, values in own]
        along = [right_along(blend, values, held, blend.strengths(STEPS)) for blend, values in own]
        changes[name] = np.mean([_change(right, before) for right in chosen], axis=0)
        curves[name] = [_change(right, before) for right in along]
    weights = {_name(method): (method.blend.weight if _name(method) == method.name else None) for method in methods}
    rows = {name: _row(name, changes[name], weights[name], held.other, samples) for name in names}
    first = methods[0]
    logits, values = torch.from_numpy(held.logits.astype(float)), torch.from_numpy(decisions[0].astype(float))
    after = blended(logits, values, first.blend)
    return Evaluation(
        rows=[rows[name] for name in names if name in order],
        further=[rows[name] for name in names if name in further],
        comparisons=[_compare(first.name, name, changes, curves, held.other, samples) for name in names[1:]],
        curves=[_curve(name, curves[name], held.other) for name in names],
        classes=[
            _class_row(int(index), held.labels == index, logits, after, held)
            for index in first.blend.classes
            if (held.labels == index).any()
        ],
        specialised=_class_row(None, ~held.other, logits, after, held) if (~held.other).any() else None,
        others=_class_row(None, held.other, logits, after, held) if held.other.any() else None,
        overall=_overall(first, changes[first.name], held, samples),
        **_changed(first.blend, logits, values, held),
    )


def _name(method: Method) -> str:
    """A method's name without the number of its draw."""
    return method.name.split(":")[0]


def _change(right: NDArray[np.bool_], before: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each image adds to accuracy: 100 where it is corrected, -100 where it is broken; (..., N)."""
    change: NDArray[np.float64] = 100.0 * (right.astype(np.float64) - before)
    return change


def _resamples(other: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """How often each image is drawn, float64 (SAMPLES, N); as many of either kind as there are."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((SAMPLES, len(other)))
    for kind in (other, ~other):
        total = int(kind.sum())
        if total:
            counts[:, kind] = generator.multinomial(total, np.full(total, 1 / total), size=SAMPLES)
    return counts


def _estimate(value: float, samples: NDArray[np.float64]) -> Estimate:
    low, high = np.percentile(samples, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _mean(
    change: NDArray[np.float64], kind: NDArray[np.bool_], samples: NDArray[np.float64], sign: float = 1
) -> Estimate:
    """The mean change over the images of a kind."""
    if not kind.any():
        return Estimate(None, None, None)
    drawn = samples[:, kind] @ change[kind] / kind.sum()
    return _estimate(sign * float(change[kind].mean()) + 0.0, sign * drawn + 0.0)


def _row(
    name: str,
    change: NDArray[np.float64],
    weight: float | None,
    other: NDArray[np.bool_],
    samples: NDArray[np.float64],
) -> Row:
    gain, harm = _mean(change, ~other, samples), _mean(change, other, samples, -1)
    return Row(name, gain.value, gain.low, gain.high, harm.value, harm.low, harm.high, weight)


def _compare(
    first: str,
    name: str,
    changes: dict[str, NDArray[np.float64]],
    curves: dict[str, list[NDArray[np.float64]]],
    other: NDArray[np.bool_],
    samples: NDArray[np.float64],
) -> Comparison:
    difference = changes[first] - changes[name]
    equal = Estimate(None, None, None)
    if other.any() and (~other).any():
        whole = np.ones((1, len(other)))
        value, drawn = (
            _mean_at_equal_harm(curves[first], other, counts) - _mean_at_equal_harm(curves[name], other, counts)
            for counts in (whole, samples)
        )
        equal = _estimate(float(value[0]), drawn)
    return Comparison(name, _mean(difference, ~other, samples), _mean(difference, other, samples, -1), equal)


def gain_at_equal_harm(
    change: NDArray[np.float64], other: NDArray[np.bool_], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean over `EQUAL_HARMS` of the largest gain of a weight that harms no more.

    Args:
        change: (T, N), of each image under each weight; the first weight changes nothing.
        other: bool (N,).
        counts: (B, N), how often an image is drawn in each resample.

    Returns:
        float64 (B,).
    """
    gain = counts[:, ~other] @ change[:, ~other].T / (~other).sum()  # (B, T)
    harm = -counts[:, other] @ change[:, other].T / other.sum()
    best = [np.where(harm <= limit + 1e-9, gain, -np.inf).max(axis=1) for limit in EQUAL_HARMS]
    return np.asarray(np.mean(best, axis=0), dtype=np.float64)


def _mean_at_equal_harm(
    draws: Sequence[NDArray[np.float64]], other: NDArray[np.bool_], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.mean([gain_at_equal_harm(change, other, counts) for change in draws], axis=0))


def _curve(name: str, draws: Sequence[NDArray[np.float64]], other: NDArray[np.bool_]) -> Curve:
    """The largest gain for each harm, a mean over draws."""

    def average(change: NDArray[np.float64], kind: NDArray[np.bool_]) -> NDArray[np.float64]:
        return change[:, kind].mean(axis=1) if kind.any() else np.zeros(len(change))

    figures = [(-average(change, other), average(change, ~other)) for change in draws]
    levels = np.unique(np.concatenate([harm for harm, _ in figures]).clip(0))
    gains = [[gain[harm <= level + 1e-9].max() for level in levels] for harm, gain in figures]
    return Curve(name, levels.tolist(), np.mean(gains, axis=0).tolist())


def _class_row(
    label: int | None, kind: NDArray[np.bool_], before: torch.Tensor, after: torch.Tensor, held: Held
) -> ClassRow:
    labels = torch.from_numpy(held.labels[kind])[:, None]
    before, after = (logits[torch.from_numpy(kind)] for logits in (before, after))

    def top(values: torch.Tensor, count: int) -> float:
        found = values.topk(min(count, values.shape[1]), dim=1).indices
        return float((found == labels).any(dim=1).double().mean())

    return ClassRow(label, int(kind.sum()), top(before, 1), top(after, 1), top(before, 5), top(after, 5))


def _overall(method: Method, change: NDArray[np.float64], held: Held, samples: NDArray[np.float64]) -> dict[str, Any]:
    """The change over all classes of the network, each as frequent as any other, as on ImageNet's validation set."""
    classes = held.logits.shape[1]
    share = len(method.blend.classes) / classes
    gain = _mean(change, ~held.other, samples)
    found = gain if share == 1 else Estimate(None, None, None)
    if held.other.any() and gain.value is not None:
        harm = float(-change[held.other].mean())
        drawn_gain = samples[:, ~held.other] @ change[~held.other] / (~held.other).sum()
        drawn_harm = -samples[:, held.other] @ change[held.other] / held.other.sum()
        found = _estimate(share * gain.value - (1 - share) * harm, share * drawn_gain - (1 - share) * drawn_harm)
    return {
        "classes": classes,
        "share": share,
        **asdict(found),
        "from_gain": None if gain.value is None else share * gain.value,
        "paper": PAPER_GAIN,
        "others": int(held.other.sum()),
    }


def _changed(blend: Blend, logits: torch.Tensor, decisions: torch.Tensor, held: Held) -> dict[str, list[Changed]]:
    """Images that were corrected and that were broken, with the SVM that decided."""
    before, after = logits.argmax(dim=1), blended(logits, decisions, blend).argmax(dim=1)
    places = class_scores(decisions, blend)[1].numpy()
    owner = {int(index): place for place, index in enumerate(blend.classes)}
    found: dict[str, list[Changed]] = {"corrected": [], "broken": []}
    for image in np.flatnonzero((before != after).numpy()):
        old, new, label = int(before[image]), int(after[image]), int(held.labels[image])
        away = new not in owner
        claimed = owner.get(old if away else new)
        summary = None if claimed is None else int(places[image, claimed])
        if label in (old, new):
            kind = "corrected" if new == label else "broken"
            found[kind].append(Changed(int(image), old, new, label, summary, away))
    return found


def table(evaluation: Evaluation) -> list[str]:
    """The figures as lines of text."""

    def text(value: float | None, low: float | None, high: float | None) -> str:
        return f"{'-':>22}" if value is None else f"{value:+7.2f} [{low:+6.2f}, {high:+6.2f}]"

    lines = [f"{'method':<22}{'gain':>7}{'':16}{'harm':>7}{'':16}{'at equal harm, summaries':>26}"]
    against = {one.against: one.equal_harm for one in evaluation.comparisons}
    for row in (*evaluation.rows, *evaluation.further):
        gain, harm = text(row.gain, row.gain_low, row.gain_high), text(row.harm, row.harm_low, row.harm_high)
        equal = against.get(row.method)
        more = "" if equal is None else text(equal.value, equal.low, equal.high)
        lines.append(f"{row.method:<22}{gain} {harm} {more}".rstrip())
    overall = evaluation.overall
    if overall["value"] is not None:
        lines.append(
            f"over all {overall['classes']} classes: {overall['value']:+.2f} points "
            f"[{overall['low']:+.2f}, {overall['high']:+.2f}]"
        )
    return lines
