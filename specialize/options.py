"""Hyperparameters of ``specialize``; imports no heavy library, because the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from visual_summaries.masks.options import Filled, Options, Range

Normalisation = Literal["raw", "clipped", "softmax", "platt", "platt_filled"]

NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
"""Those that tuning tries; ``uniform`` and ``bonus`` are controls."""


@dataclass(frozen=True)
class WindowOptions(Options):
    """Windows of window-level SVMs, and their descriptors.

    Attributes:
        strides: Strides of the feature maps, pixels of the frame, one or more, each >= 1; the nearest strides that the
            network has are used.
        grid: RoIAlign cells along each side of a box, >= 1; one cell loses a part's shape (docs/decisions.md).
        sizes: Sides of the windows, fractions of the frame's side, in (0, 1], one or more.
        step: Distance between neighbouring windows, a fraction of the frame's side, in [0.01, 1].
        context: Whether the image's vector is appended to each window's descriptor.
    """

    strides: Annotated[tuple[Annotated[int, Range(ge=1)], ...], Filled()] = (8, 16, 32)
    grid: Annotated[int, Range(ge=1)] = 3
    sizes: Annotated[tuple[Annotated[float, Range(gt=0, le=1)], ...], Filled()] = (0.25, 0.375, 0.5)
    step: Annotated[float, Range(ge=0.01, le=1)] = 0.125
    context: bool = True


@dataclass(frozen=True)
class FeatureOptions(Options):
    """Which features of the network the SVMs classify.

    Attributes:
        layer: "last" for the input of the last linear layer; "first" for the output of the first fully connected layer
            (paper section 4.4), on networks that have one before the last; or the name of a module, whose output is
            averaged over its spatial positions. "last" is the default because every usual network has it.
        level: "image": the SVMs classify whole images (paper); "window": they are trained on the parts of the summary,
            and score an image by its best window (latent SVM, `specialize.latent_svm`).
        windows: Windows and their descriptors, for level "window".
    """

    layer: str = "last"
    level: Literal["image", "window"] = "image"
    windows: WindowOptions = field(default_factory=WindowOptions)


@dataclass(frozen=True)
class SvmOptions(Options):
    """Positives and negatives of the SVMs.

    Attributes:
        positives: With level "image": the whole "image" of each member is positive (paper), or the "crop" of its part,
            resized to the network's frame.
        rounds: With level "window": how often the SVMs search the class's other training images for their part and are
            trained again with the windows found, >= 0. 0 as in the paper.
        siblings: Whether images of the class's other summaries are negatives (paper section 4.4).
        others: Whether images of other classes are negatives (paper section 4.4).
        balanced: Whether errors are weighted so that positives and negatives have equal total weight; the paper does
            not say.
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
    """The grid of the model selection, and its constraint.

    Attributes:
        harm_limit: Largest loss of top-1 accuracy on the tuning photographs of other classes, points, >= 0. At
            half a point, one of 207 photographs, the harm on new photographs stays under 1.5 points.
        costs: C of the SVMs, one or more, each > 0.
        normalisations: One or more, see `specialize.blend`.
        steps: Weights tried between 0 and 1, >= 1.
        held_out: Fraction of each class's training images that is used for tuning only, in (0, 1).
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
        tuning: Fraction for tuning, on which the harm limit is checked, in (0, 1); 0.36 of 592 photographs is 213. With
            few, the limit is missed on new photographs.
        evaluation: Fraction for the evaluation only, in (0, 1), both together at most 1; 0.45 of 592 is 266. The rest
            are negatives of the SVMs.
    """

    tuning: Annotated[float, Range(gt=0, lt=1)] = 0.36
    evaluation: Annotated[float, Range(gt=0, lt=1)] = 0.45

    def check(self) -> None:
        """The fractions add up to one at most."""
        if self.tuning + self.evaluation > 1:
            raise self.refuse("evaluation", f"give at most 1 - tuning, {1 - self.tuning:g}")


@dataclass(frozen=True)
class SpecializeOptions(Options):
    """The options of every step.

    Attributes:
        features: Which features the SVMs classify.
        svm: Positives and negatives of the SVMs.
        tuning: The grid of the model selection, and its constraint.
        split: How the photographs of other classes are split.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    svm: SvmOptions = field(default_factory=SvmOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
