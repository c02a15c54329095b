"""The options of attributions: a dataclass a method, and one that holds them all; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from visual_summaries.masks.attribution.names import FORMS, MASK, METHODS, check_name
from visual_summaries.masks.options import Named, Options, Range
from visual_summaries.masks.perturbation.names import FORMS as PERTURBATIONS
from visual_summaries.masks.perturbation.names import parse_name
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET, PRESETS

AREA = PRESETS[DEFAULT_PRESET].crisp.area
"""Area of the masks of the default preset, as a share of the frame."""


@dataclass(frozen=True)
class RelevanceOptions(Options):
    """Options that every attribution has.

    Attributes:
        area: The most relevant pixels, this share of the frame, become the binary mask, in (0, 1) (here: the area of
            the masks of the default preset).
    """

    area: Annotated[float, Range(gt=0, lt=1)] = AREA


@dataclass(frozen=True)
class GradCamOptions(RelevanceOptions):
    """Options of Grad-CAM, which has no hyperparameters of its own.

    Attributes:
        area: Share of the frame that becomes the binary mask, in (0, 1).
    """


@dataclass(frozen=True)
class RiseOptions(RelevanceOptions):
    """Options of RISE.

    Attributes:
        area: Share of the frame that becomes the binary mask, in (0, 1).
        masks: Random masks, >= 1 (paper: 4,000 to 8,000; here 1,000, because each is a pass).
        cells: Cells a side of the grid on which masks are drawn, >= 1 (paper: 7).
        kept: Probability that a cell is kept, in (0, 1) (paper: 0.5).
        batch: Inputs perturbed at once, >= 1.
    """

    masks: Annotated[int, Range(ge=1)] = 1000
    cells: Annotated[int, Range(ge=1)] = 7
    kept: Annotated[float, Range(gt=0, lt=1)] = 0.5
    batch: Annotated[int, Range(ge=1)] = 32


@dataclass(frozen=True)
class ExtremalOptions(RelevanceOptions):
    """Options of extremal perturbations.

    Attributes:
        area: Share of the frame that is perturbed and becomes the binary mask, in (0, 1).
        perturbation: What replaces perturbed pixels, see ``masks/perturbation/perturb.py`` (here: the blur under which
            drops are reported).
        iterations: Passes forward and backward, >= 1 (paper: 800 of SGD; here: 200 gave no larger drop).
        rate: Step of Adam, > 0 (here: of 0.02, 0.05, 0.1 and 0.2 the one of the largest drop).
        grid: Cells of g along the shorter side, >= 1 (here: 28, 8 pixels each in a frame of 224).
        reach: Cells from the centre to the edge of the kernel k, >= 1; k is 1 up to a distance of one cell (here: 3,
            where k is 0.14).
        temperature: T of the smooth maximum, > 0 (paper: 1/20).
        weight: Lambda in the first and in the last pass, > 0, rising by the same factor each pass (paper: 300, doubled
            twice; with so much at the start Adam keeps whichever cells come first, at half the drop).
    """

    perturbation: Annotated[str, Named(parse_name, PERTURBATIONS)] = "blur:10"
    iterations: Annotated[int, Range(ge=1)] = 100
    rate: Annotated[float, Range(gt=0)] = 0.1
    grid: Annotated[int, Range(ge=1)] = 28
    reach: Annotated[int, Range(ge=1)] = 3
    temperature: Annotated[float, Range(gt=0)] = 0.05
    weight: tuple[Annotated[float, Range(gt=0)], Annotated[float, Range(gt=0)]] = (1.0, 3000.0)


@dataclass(frozen=True)
class AttributionOptions(Options):
    """Which attribution becomes the binary masks of a run, and the options of each.

    Attributes:
        method: mask, the optimised mask; or grad_cam, rise or extremal, whose relevance is cut at an area.
        grad_cam: Options of Grad-CAM.
        rise: Options of RISE.
        extremal: Options of extremal perturbations.
    """

    method: Annotated[str, Named(check_name, FORMS)] = MASK
    grad_cam: GradCamOptions = field(default_factory=GradCamOptions)
    rise: RiseOptions = field(default_factory=RiseOptions)
    extremal: ExtremalOptions = field(default_factory=ExtremalOptions)

    @property
    def chosen(self) -> RelevanceOptions | None:
        """The options of the method; None for the optimised mask, whose options stand elsewhere.

        Examples:
            >>> AttributionOptions().chosen is None
            True
            >>> AttributionOptions(method="rise").chosen.masks
            1000
        """
        options: RelevanceOptions | None = None if self.method == MASK else getattr(self, self.method)
        return options

    @property
    def gradients(self) -> bool:
        """Whether the method needs gradients."""
        return METHODS[self.method].gradients
