"""The results of an evaluation of a specialised network, as written to ``boost.json`` and printed as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from visual_summaries.specialize.bootstrap import Curve, Estimate


@dataclass(frozen=True)
class GainRow:
    """Gain and harm of a method with their 95 % intervals, in points of top-1.

    ``weight`` is the chosen one; None for a mean over several draws.
    """

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
    """The summaries minus another method, in points of top-1, with paired intervals.

    Attributes:
        against: The other method.
        gain: Difference of gains, each at its chosen weight.
        harm: Difference of harms there.
        equal_harm: Difference of the mean gains at equal measured harm, over `specialize.bootstrap.EQUAL_HARMS`; None
            without images of other classes.
    """

    against: str
    gain: Estimate
    harm: Estimate
    equal_harm: Estimate


@dataclass(frozen=True)
class Changed:
    """An image whose predicted class changed.

    Attributes:
        image: Its index.
        before: The class predicted by the network.
        after: The class predicted by the specialised network.
        label: The true class.
        summary: Index of the SVM that decided: the best SVM of the class after, or else of the class before.
        away: Whether the class after is not a specialised one.
    """

    image: int
    before: int
    after: int
    label: int
    summary: int | None
    away: bool


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy on one class, or on several together (``label`` None): top-1 and top-5, before and after, in [0, 1]."""

    label: int | None
    images: int
    top1_before: float
    top1_after: float
    top5_before: float
    top5_after: float


@dataclass(frozen=True)
class BoostResults:
    """All results; ``further`` are the rows of methods reported apart, ``overall`` the change over all classes."""

    rows: list[GainRow]
    further: list[GainRow]
    comparisons: list[Comparison]
    curves: list[Curve]
    classes: list[ClassAccuracy]
    specialised: ClassAccuracy | None
    others: ClassAccuracy | None
    overall: dict[str, Any]
    corrected: list[Changed]
    broken: list[Changed]

    def to_json(self) -> dict[str, Any]:
        """The results as plain data."""
        return asdict(self)


def table(results: BoostResults) -> list[str]:
    """The results as lines of text."""

    def text(value: float | None, low: float | None, high: float | None) -> str:
        return f"{'-':>22}" if value is None else f"{value:+7.2f} [{low:+6.2f}, {high:+6.2f}]"

    lines = [f"{'method':<22}{'gain':>7}{'':16}{'harm':>7}{'':16}{'summaries, at equal harm':>26}"]
    against = {one.against: one.equal_harm for one in results.comparisons}
    for row in (*results.rows, *results.further):
        gain, harm = text(row.gain, row.gain_low, row.gain_high), text(row.harm, row.harm_low, row.harm_high)
        equal = against.get(row.method)
        more = "" if equal is None else text(equal.value, equal.low, equal.high)
        lines.append(f"{row.method:<22}{gain} {harm} {more}".rstrip())
    overall = results.overall
    if overall["value"] is not None:
        lines.append(
            f"over all {overall['classes']} classes: {overall['value']:+.2f} points "
            f"[{overall['low']:+.2f}, {overall['high']:+.2f}]"
        )
    return lines
