"""The first part of a page: which summaries the network relies on, how much it loses without them, and the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visual_summaries.summaries.pages.wording import percent
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Box, Member, Summary

CROPS = 7
"""Members shown in a row."""

MARGIN = 0.1
"""Added to each side of a part's box, as a fraction of its longer side."""


@dataclass(frozen=True)
class Crop:
    """A part, cut out of its photograph by the page.

    Attributes:
        member: The part.
        style: CSS that shows only this part of the photograph; empty if the size of the frame is not recorded: then the
            whole picture of the part is shown.
    """

    member: Member
    style: str


@dataclass(frozen=True)
class Row:
    """A summary in the list of evidence.

    Attributes:
        summary: The summary.
        crops: Its first members.
        more: How many further members there are.
        bar: Length of the bar, per cent of the scale.
        low: Lower end of the interval, per cent of the scale.
        high: Upper end.
        control: Where the control's tick stands; None without a control.
    """

    summary: Summary
    crops: Sequence[Crop]
    more: int
    bar: float
    low: float
    high: float
    control: float | None


@dataclass(frozen=True)
class Evidence:
    """The rows of a page, by falling importance.

    Attributes:
        relied_on: Kept summaries that matter.
        recurring: Kept summaries whose loss is not above the control.
        unmeasured: Kept summaries whose importance was not measured.
        pruned: Clusters that matter though they were pruned.
        images: How many images the class has.
        joint: Mean loss of the class's probability without all kept summaries together; None if not measured.
        mask: Likewise without the whole binary mask.
        level: Of the intervals, in words.
    """

    relied_on: Sequence[Row]
    recurring: Sequence[Row]
    unmeasured: Sequence[Row]
    pruned: Sequence[Row]
    images: int
    joint: float | None
    mask: float | None
    level: str

    @property
    def measured(self) -> bool:
        """Whether there is a kept summary whose importance is known."""
        return bool(self.relied_on or self.recurring)


def by_importance(summaries: Sequence[Summary]) -> list[Summary]:
    """Summaries by falling importance; those that were not measured last, in their order."""
    return sorted(summaries, key=lambda one: (one.importance is None, -(one.importance or 0.0)))


def evidence_of(run: Run) -> Evidence:
    """The rows of the page of a run."""
    ordered = by_importance([one for one in run.summaries if one.members])
    kept = [one for one in ordered if one.kept]
    pruned = [one for one in ordered if not one.kept and one.matters]
    scale = max([0.05, *(one.scores["high"] for one in (*kept, *pruned) if one.matters is not None)])
    size = run.size
    together = run.completeness

    def rows(summaries: Sequence[Summary]) -> list[Row]:
        return [_row(one, scale, size) for one in summaries]

    return Evidence(
        relied_on=rows([one for one in kept if one.matters]),
        recurring=rows([one for one in kept if one.matters is False]),
        unmeasured=rows([one for one in kept if one.matters is None]),
        pruned=rows(pruned),
        images=len(run.ids),
        joint=together.get("kept summaries together"),
        mask=together.get("whole mask"),
        level=percent(run.level),
    )


def _row(summary: Summary, scale: float, size: tuple[int, int] | None) -> Row:
    shown = summary.members[:CROPS]

    def share(name: str) -> float:
        return round(100 * min(1.0, max(0.0, summary.scores.get(name, 0.0) / scale)), 2)

    return Row(
        summary=summary,
        crops=[Crop(member, crop_style(member.box, size)) for member in shown],
        more=len(summary.members) - len(shown),
        bar=share("importance"),
        low=share("low"),
        high=share("high"),
        control=share("control") if "control" in summary.scores else None,
    )


def crop_style(box: Box, size: tuple[int, int] | None) -> str:
    """CSS that shows a square around a box of a picture in a square window: the box, a margin, and nothing else.

    Args:
        box: xyxy in pixels of the frame.
        size: (H, W) of the frame; None where it is not known.

    Examples:
        >>> crop_style((0.0, 0.0, 10.0, 10.0), (40, 40))
        'width:333.33%;left:0.0%;top:0.0%'
    """
    if size is None:
        return ""
    height, width = size
    x0, y0, x1, y1 = box
    side = min(max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN), width, height)
    left = min(max((x0 + x1 - side) / 2, 0.0), width - side)
    top = min(max((y0 + y1 - side) / 2, 0.0), height - side)
    return f"width:{100 * width / side:.2f}%;left:{-100 * left / side + 0.0:.1f}%;top:{-100 * top / side + 0.0:.1f}%"
