"""The options of importance; a module of their own, so that the command line imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from visual_summaries.masks.options import Options, Range


@dataclass(frozen=True)
class ImportanceOptions(Options):
    """How the importance of summaries is measured.

    Attributes:
        min_members: Clusters with fewer members are not measured, >= 1. Our choice: as many as a kept summary has.
        controls: To how many other places on the mask each part's outline is moved, and to as many off it, >= 0. Our
            choice: with one of each, a part needs three passes.
        resamples: Bootstrap resamples of the members, >= 100. Our choice.
        level: Of the interval, in (0, 1). Our choice: 0.95.
    """

    min_members: Annotated[int, Range(ge=1)] = 5
    controls: Annotated[int, Range(ge=0)] = 1
    resamples: Annotated[int, Range(ge=100)] = 1000
    level: Annotated[float, Range(gt=0, lt=1)] = 0.95
