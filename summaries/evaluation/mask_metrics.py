"""The results of an evaluation of masks, as written to ``masks.json`` and ``masks.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from visual_summaries.masks.attribution.names import MASK
from visual_summaries.masks.metrics.faithfulness import Shape

PERTURBATIONS = ("blur:10", "blur:5", "constant:mean", "blur:20", "constant:grey", "noise:0.25")
"""Perturbations of every evaluation; those that the masks were optimised against are added."""


@dataclass(frozen=True)
class MaskMetricsRow:
    """A row: a method under a perturbation, over all images.

    Attributes:
        method: One of `summaries.evaluation.mask_methods.METHODS`.
        perturbation: For instance "blur:10".
        drop_mean: Mean over images of the relative drop (p0 - p) / p0 of the class probability.
        drop_var: Its variance (population).
        area: Mean fraction of the frame that the mask covers.
        regions: Median number of regions an image.
        top5_share: Mean fraction of the mask in its five largest regions; None if no image has a region.
        deletion_auc: Mean area under the deletion curve; its perturbation is its own, the same in every row.
        insertion_auc: Likewise under the insertion curve.
    """

    method: str
    perturbation: str
    drop_mean: float
    drop_var: float
    area: float
    regions: float
    top5_share: float | None
    deletion_auc: float
    insertion_auc: float


@dataclass
class MaskEvaluation:
    """All results.

    Attributes:
        images: Number of images.
        optimised: Perturbations that the masks were optimised against, as recorded by the runs.
        attribution: The method that made the masks of the runs, see `masks.attribution.names`.
        rows: A row for each method and perturbation.
        collapsed: Images whose binary mask is empty or full: run, image, and which of the two.
        skipped: Methods that do not work on the network, with the reason.
        sanity: The check with random weights; None if it was not made.
    """

    images: int
    optimised: list[str]
    attribution: str = MASK
    rows: list[MaskMetricsRow] = field(default_factory=list)
    collapsed: list[dict[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    sanity: dict[str, float] | None = None

    @property
    def perturbations(self) -> list[str]:
        """All perturbations, those optimised against first."""
        names = list(dict.fromkeys([*PERTURBATIONS, *self.optimised]))
        return sorted(names, key=lambda name: name not in self.optimised)

    def to_json(self) -> dict[str, Any]:
        """The contents of ``masks.json``."""
        return {
            "images": self.images,
            "attribution": self.attribution,
            "perturbations": {
                "optimised": [name for name in self.perturbations if name in self.optimised],
                "unseen": [name for name in self.perturbations if name not in self.optimised],
            },
            "collapsed": {"count": len(self.collapsed), "images": self.collapsed},
            "skipped": [{"method": method, "reason": reason} for method, reason in self.skipped.items()],
            "sanity": self.sanity,
            "rows": [vars(row) for row in self.rows],
        }


def metrics_row(
    method: str,
    perturbation: str,
    drops: Sequence[float],
    deletions: Sequence[float],
    insertions: Sequence[float],
    shapes: Sequence[Shape],
) -> MaskMetricsRow:
    """Aggregates the values of all images."""
    fractions = [one.top5_share for one in shapes if one.top5_share is not None]
    return MaskMetricsRow(
        method=method,
        perturbation=perturbation,
        drop_mean=float(np.mean(drops)),
        drop_var=float(np.var(drops)),
        area=float(np.mean([one.area for one in shapes])),
        regions=float(np.median([one.regions for one in shapes])),
        top5_share=float(np.mean(fractions)) if fractions else None,
        deletion_auc=float(np.mean(deletions)),
        insertion_auc=float(np.mean(insertions)),
    )
