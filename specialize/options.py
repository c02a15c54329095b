"""The options of the steps of ``specialize``; light to import, so that the command line can tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from visual_summaries.masks.options import Filled, Options, Range

Normalisation = Literal["raw", "clipped", "softmax", "platt", "platt_filled"]

NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
"""Those among which is chosen; ``uniform`` and ``bonus`` are controls."""


@dataclass(frozen=True)
class PlaceOptions(Options):
    """How places are described, and where parts are looked for.

    Attributes:
        strides: Strides of the feature maps, pixels of the frame, one or more, each >= 1; the nearest ones that the
            network has.
        grid: Cells along each side of a box, >= 1; with one cell a part's shape is lost (docs/decisions.md).
        sizes: Sides of the windows, shares of the frame's, in (0, 1], one or more.
        step: Distance of neighbouring windows, a share of the frame's side, in [0.01, 1].
        context: Whether the whole image's vector stands beside a place's own.
    """

    strides: Annotated[tuple[Annotated[int, Range(ge=1)], ...], Filled()] = (8, 16, 32)
    grid: Annotated[int, Range(ge=1)] = 3
    sizes: Annotated[tuple[Annotated[float, Range(gt=0, le=1)], ...], Filled()] = (0.25, 0.375, 0.5)
    step: Annotated[float, Range(ge=0.01, le=1)] = 0.125
    context: bool = True


@dataclass(frozen=True)
class FeatureOptions(Options):
    """Where the features come from.

    Attributes:
        layer: "last" for what enters the last linear layer; "first" for what the first fully connected layer puts out
            (paper section 4.4), on networks that have one before the last; or the name of a module, whose output is
            averaged over its places. "last" is the default because every usual network has it.
        place: Whether the SVMs see the whole "image" (paper), or its "parts": the place of the part in the summary's
            images, and the best of many windows in others (see `specialize.windows`).
        places: How places are described.
    """

    layer: str = "last"
    place: Literal["image", "parts"] = "image"
    places: PlaceOptions = field(default_factory=PlaceOptions)


@dataclass(frozen=True)
class SvmOptions(Options):
    """What the SVMs are trained on.

    Attributes:
        positives: What of a summary's images is positive: the whole "image" (paper), or the "crop" of the part,
            enlarged to the network's frame.
        rounds: Of SVMs that look for parts (`specialize.parts`): how often they look for them in the class's other
            training images and are trained anew with what they find; >= 0. 0 as in the paper.
        siblings: Whether images of the class's other summaries are negative (paper section 4.4).
        others: Whether images of other classes are negative (paper section 4.4).
        balanced: Whether a class of few positives weighs as much as its many negatives; the paper does not say.
    """

    positives: Literal["image", "crop"] = "image"
    rounds: Annotated[int, Range(ge=0)] = 3
    siblings: bool = True
    others: bool = True
    balanced: bool = True

    def check(self) -> None:
        """An SVM has negatives."""
        if not self.siblings and not self.others:
            raise self.refuse("others", "keep siblings or others, without both there are no negatives")


@dataclass(frozen=True)
class TuningOptions(Options):
    """Among what is chosen.

    Attributes:
        harm_limit: Largest loss of top-1 accuracy on the tuning photographs of other classes, points, >= 0. At
            half a point, one of 207 photographs, the harm on new photographs stays under 1.5 points.
        costs: C of the SVMs, one or more, each > 0.
        normalisations: One or more, see `specialize.blend`.
        steps: Weights tried between 0 and 1, >= 1.
        held_out: Share of each class's training images that choose and train nothing, in (0, 1).
    """

    harm_limit: Annotated[float, Range(ge=0)] = 0.5
    costs: Annotated[tuple[Annotated[float, Range(gt=0)], ...], Filled()] = (0.1, 1.0, 10.0, 100.0)
    normalisations: Annotated[tuple[Normalisation, ...], Filled()] = NORMALISATIONS
    steps: Annotated[int, Range(ge=1)] = 40
    held_out: Annotated[float, Range(gt=0, lt=1)] = 0.3


@dataclass(frozen=True)
class SplitOptions(Options):
    """How the photographs of other classes are split, class by class.

    Attributes:
        tuning: Share that the harm limit is kept on, in (0, 1); 0.36 of 592 photographs is 213. With few, the limit
            is missed on new photographs.
        evaluation: Share that nothing but the evaluation looks at, in (0, 1), both together at most 1; 0.45 of 592 is
            266. The rest are negatives of the SVMs.
    """

    tuning: Annotated[float, Range(gt=0, lt=1)] = 0.36
    evaluation: Annotated[float, Range(gt=0, lt=1)] = 0.45

    def check(self) -> None:
        """The shares are of one whole."""
        if self.tuning + self.evaluation > 1:
            raise self.refuse("evaluation", f"give at most 1 - tuning, {1 - self.tuning:g}")


@dataclass(frozen=True)
class Settings(Options):
    """The options of every step.

    Attributes:
        features: Where the features come from.
        svm: What the SVMs are trained on.
        tuning: What is chosen, and on what.
        split: How the photographs of other classes are split.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    svm: SvmOptions = field(default_factory=SvmOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
