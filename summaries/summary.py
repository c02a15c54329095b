"""A visual summary: parts of many images of one class that match, and how similar they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from visual_summaries.masks.inputs.ids import check_id
from visual_summaries.summaries.files import Count, Finite, Share

Box = tuple[Finite, Finite, Finite, Finite]


@dataclass(frozen=True)
class Member:
    """One part in a summary.

    Attributes:
        part: Row of the part in ``parts.csv``.
        image: Id of the image that holds the part.
        box: xyxy in pixels of the frame, half open.
        similarity: Similarity to the exemplar, higher is more alike; 1 for the exemplar itself.
        ssim: Median SSIM to the other members after alignment, in [-1, 1]; None where there is no other, and beyond
            the first fifty members that matched best.
    """

    part: Count
    image: str
    box: Box
    similarity: Share
    ssim: Finite | None

    def __post_init__(self) -> None:
        check_id(self.image)


@dataclass(frozen=True)
class Summary:
    """A cluster of parts, at most one per image, with the result of pruning (paper section 3.2).

    Attributes:
        summary: Number of the cluster in ``parts.csv``; summaries are numbered from 0, largest first.
        name: What it shows; empty until it is named.
        exemplar: The part that represents the cluster.
        members: The exemplar first, then by falling similarity.
        median_ssim: Median SSIM over all pairs of members that were compared; None for a cluster of one.
        kept: Whether the cluster passed pruning.
        reason: Why it was pruned; empty if it is kept.
        scores: Further figures by name, for instance ``mean_similarity``.
        dropped: Parts that were removed from the cluster, with the reason.
    """

    summary: Count
    name: str
    exemplar: Count
    members: tuple[Member, ...]
    median_ssim: Finite | None
    kept: bool
    reason: str
    scores: dict[str, Finite] = field(default_factory=dict)
    dropped: tuple[dict[str, Any], ...] = ()

    @property
    def importance(self) -> float | None:
        """Mean loss of the class's probability without the parts, in [-1, 1]; None where it was not measured."""
        return self.scores["importance"] if self.measured else None

    @property
    def measured(self) -> bool:
        """Whether the importance is known, with its interval."""
        return self.scores.keys() >= {"importance", "low", "high"}

    @property
    def matters(self) -> bool | None:
        """Whether the interval of the loss lies above its control and above zero; None if not measured."""
        if not self.measured:
            return None
        return above_control(self.scores["low"], self.scores.get("control"))

    def to_json(self) -> dict[str, Any]:
        """The summary as plain lists and dictionaries."""
        return asdict(self)


def above_control(low: float, control: float | None) -> bool:
    """Whether an interval of losses lies above the loss of the control, and above zero.

    Examples:
        >>> above_control(0.2, 0.05), above_control(0.2, 0.3), above_control(-0.01, None)
        (True, False, False)
    """
    return low > max(0.0, control or 0.0)
