"""The options of proposals, descriptors, matching and clustering.

The module imports no large library, so that the command line can read it quickly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Filled, Named, Options, Range

ALL = "all"

FORMS = "all, or knn:20 for each image with its 20 nearest"
"""The accepted values of `SimilarityOptions.pairs`, for messages."""


@dataclass(frozen=True)
class ProposalOptions(Options):
    """How proposals are found and chosen.

    Attributes:
        count: Boxes of an image that are matched, kept ones and context; >= 1. 500 in the paper.
        max_kept: Most boxes of an image that are kept as parts, best rank first, >= 1; never more than `count`. Our
            choice: at most max_kept^2 similarities are stored for a pair of images.
        min_side: Shortest side of a box as a fraction of the frame's shorter side, in [0, 1], at most 1 - 2 border. 20
            of 224 pixels in the original; on the embedded world 95 % of the boxes with sides of about a tenth of the
            frame lie on no part (fragments), and 46 % of those of about a fifth.
        border: Width of the frame's margin as a fraction of its sides, in [0, 0.5); boxes that reach into it are
            dropped. 0.01 in the reference.
        overlap: Least fraction of a kept box's area that is on the mask, in [0, 1]. 0.75 in the paper.
        margin: Pixels at most this far from the mask count as on it, pixels of a frame of 224, >= 0. Our choice: masks
            are optimised to be as small as possible, and their outlines do not follow those of parts.
        max_parts: Most parts of an image after redundant ones are removed, best quality first; >= 1. Our choice: on
            the embedded world purity and recall are best between 8 and 12.
        max_candidates: Most boxes of an image that are considered when summaries are completed, best quality first;
            >= 0. Our choice (see `clustering.clusters.complete`).
        redundancy_overlap: Least intersection / smaller area of two redundant boxes, in [0, 1]. 0.5 in the reference.
        redundancy_area_ratio: Larger area / smaller area of redundant boxes is below this, > 1. 2 in the paper.
    """

    count: Annotated[int, Range(ge=1)] = 500
    max_kept: Annotated[int, Range(ge=1)] = 150
    min_side: Annotated[float, Range(ge=0, le=1)] = 28 / 224
    border: Annotated[float, Range(ge=0, lt=0.5)] = 0.01
    overlap: Annotated[float, Range(ge=0, le=1)] = 0.75
    margin: Annotated[float, Range(ge=0)] = 10.0
    max_parts: Annotated[int, Range(ge=1)] = 12
    max_candidates: Annotated[int, Range(ge=0)] = 50
    redundancy_overlap: Annotated[float, Range(ge=0, le=1)] = 0.5
    redundancy_area_ratio: Annotated[float, Range(gt=1)] = 2.0

    def check(self) -> None:
        """A box of the shortest side fits between the margins."""
        if self.min_side > 1 - 2 * self.border:
            raise self.refuse("min_side", f"give at most 1 - 2 border, {1 - 2 * self.border:g}")


@dataclass(frozen=True)
class DeepOptions(Options):
    """How boxes are described by a network.

    Attributes:
        side: Longer side of the image at the network's input, pixels, >= 32. Networks that accept only the size of
            their frame (many transformers) get the image resized to their frame. On the benchmark of
            `summaries.evaluation.matching`, 352 to 640 pixels are equally good.
        strides: Strides of the maps, pixels of the network's input, one or more, each >= 1; the network's nearest
            strides are used.
        grid: Grid points along each side of a box, >= 1.
    """

    side: Annotated[int, Range(ge=32)] = 480
    strides: Annotated[tuple[Annotated[int, Range(ge=1)], ...], Filled()] = (16, 32)
    grid: Annotated[int, Range(ge=1)] = 3


@dataclass(frozen=True)
class AppearanceOptions(Options):
    """By what boxes are described.

    Attributes:
        descriptor: "hog", whitened HOG (paper); "deep", feature maps of the network; "auto", deep if the network's
            maps have enough channels, else HOG.
        min_channels: "auto" uses deep descriptors from this number of channels, summed over the maps, >= 1. The
            embedded world's networks have up to 128, others at least 190.
        power: Power of the appearance scores of deep descriptors, in [1, 10] (PF-WILLOW, keypoints within 0.10: 3 and
            4 are equally good, 1 is worse); that of HOG is `matching.power`.
        numbers: Dimensions of deep descriptors after projection, >= 1 (`clustering.descriptors.projection`).
        deep: Which feature maps.
    """

    descriptor: Literal["auto", "hog", "deep"] = "auto"
    min_channels: Annotated[int, Range(ge=1)] = 160
    power: Annotated[int, Range(ge=1, le=10)] = 4
    numbers: Annotated[int, Range(ge=1)] = 512
    deep: DeepOptions = field(default_factory=DeepOptions)


@dataclass(frozen=True)
class MatchingOptions(Options):
    """How boxes of two images are matched.

    Attributes:
        method: "lom", local offset matching (paper); "nam", appearance alone; "phm", probabilistic Hough matching;
            or "phm+lom", first PHM, then LOM. `evaluate matching` on six classes of PF-WILLOW (540 pairs, 500
            boxes), fraction of keypoints transferred to within 0.10 by the best match: HOG 0.517, 0.490, 0.568
            (power 2) and 0.580 (power 2); deep descriptors 0.621, 0.628 and 0.647 (power 3).
        power: Power of the appearance scores, in [1, 10]; a higher power gives high scores more weight. 1 in the
            paper. Measured as above with "lom": HOG 0.517, cubed 0.556; deep descriptors 0.621, cubed 0.648.
        passes: How often local offset matching is applied, >= 1. Measured as above with other boxes: appearance alone
            0.483; 1 pass 0.509; 2 passes 0.496; 3 passes 0.488.
        spatial_weight: Decay of a score by distance from the local offset, 1 / pixel at a shorter side of 224;
            >= 0. 0.05 in the reference. Measured as above: 0.03 gives 0.525, 0.1 gives 0.492.
        scale_weight: Decay of a score by log ratio of scales from the local one; >= 0. 0.3 in the reference.
            Measured as above: 0 gives 0.497, 1 gives 0.509.
        offset_bin: Width of PHM's bins of dx and dy, pixels at a shorter side of 224; >= 1. Our choice.
        scale_bin: Width of PHM's bins of ds, log ratio; >= 0.05. Our choice.
        aspect_limit: If the aspect ratios (width / height) of two boxes differ by more than this factor, their score is
            0; > 1. 2 in the reference.
    """

    method: Literal["lom", "nam", "phm", "phm+lom"] = "lom"
    power: Annotated[int, Range(ge=1, le=10)] = 1
    passes: Annotated[int, Range(ge=1)] = 1
    spatial_weight: Annotated[float, Range(ge=0)] = 0.05
    scale_weight: Annotated[float, Range(ge=0)] = 0.3
    offset_bin: Annotated[float, Range(ge=1)] = 8.0
    scale_bin: Annotated[float, Range(ge=0.05)] = 0.3
    aspect_limit: Annotated[float, Range(gt=1)] = 2.0


def count_neighbours(pairs: str) -> int | None:
    """The K of "knn:K"; None for "all".

    Raises:
        UserError: If it is neither of them.

    Examples:
        >>> count_neighbours("knn:20"), count_neighbours("all")
        (20, None)
    """
    kind, _, count = pairs.partition(":")
    if pairs == ALL:
        return None
    if kind == "knn" and count.isascii() and count.isdigit() and int(count) > 0:
        return int(count)
    raise UserError(f"pairs of images are {pairs!r}: give {FORMS}")


@dataclass(frozen=True)
class SimilarityOptions(Options):
    """How scores of image pairs become similarities of parts.

    Attributes:
        matching: How two images are matched.
        symmetry: "geometric", the geometric mean of both directions (measured best, see
            `clustering.matching.similarity`), or "mirror", the direction from the earlier to the later image
            (reference).
        mirrored: Whether the second image is also matched mirrored. The paper's footnote 1 names objects that face the
            other way as a source of errors.
        top: A part's quality is the mean of this number of its highest similarities, >= 1. 100 in the reference.
        pairs: Which pairs of images are matched: "all" (paper), or "knn:K", each image with the K nearest by the
            network's features (see `clustering.matching.pairs`).
    """

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    symmetry: Literal["geometric", "mirror"] = "geometric"
    mirrored: bool = True
    top: Annotated[int, Range(ge=1)] = 100
    pairs: Annotated[str, Named(count_neighbours, FORMS)] = ALL


@dataclass(frozen=True)
class AffinityOptions(Options):
    """How parts are clustered.

    Attributes:
        preference: Preference of every part to be an exemplar, on the scale of ranks, <= 1; a lower one gives fewer
            clusters. See docs/decisions.md for 0.6.
        nearest_preference: The same if images were matched with their nearest images only, <= 1. See docs/decisions.md
            for 0.0.
        damping: Damping of the messages, in [0.5, 1). 0.9 in the reference.
        iterations: Most iterations, >= 1. 1000 in the reference.
        convergence: Iterations without a change until convergence, >= 1. 100 in the reference.
    """

    preference: Annotated[float, Range(le=1)] = 0.6
    nearest_preference: Annotated[float, Range(le=1)] = 0.0
    damping: Annotated[float, Range(ge=0.5, lt=1)] = 0.9
    iterations: Annotated[int, Range(ge=1)] = 1000
    convergence: Annotated[int, Range(ge=1)] = 100


@dataclass(frozen=True)
class PruneOptions(Options):
    """How clusters are pruned.

    Attributes:
        min_members: Fewest members of a summary, >= 2. See docs/decisions.md for 5.
        similarity_quantile: A cluster's median similarity must reach this quantile of the clusters' medians, in [0, 1];
            0 keeps all clusters. See docs/decisions.md for 0.4.
        similarity_share: A member leaves if this fraction of its similarities is under that quantile, in (0, 1]. 0.6 as
            in the reference for SSIM.
        joins_share: A box does not join a summary if this fraction of its similarities to the members is under that
            quantile, in (0, 1] (see `clustering.clusters.complete`). See docs/decisions.md for 0.4.
        cluster_share: A cluster's median SSIM must reach this fraction of the class's median, >= 0. 0.9 in the
            reference, 0.5 here.
        member_share: A member leaves if this fraction of its SSIMs is under the class's median, in (0, 1]. 0.6 in the
            reference, 0.8 here.
        patch: For SSIM, boxes are resized to squares of this side, pixels, in [7, 1024].
    """

    min_members: Annotated[int, Range(ge=2)] = 5
    similarity_quantile: Annotated[float, Range(ge=0, le=1)] = 0.4
    similarity_share: Annotated[float, Range(gt=0, le=1)] = 0.6
    joins_share: Annotated[float, Range(gt=0, le=1)] = 0.4
    cluster_share: Annotated[float, Range(ge=0)] = 0.5
    member_share: Annotated[float, Range(gt=0, le=1)] = 0.8
    patch: Annotated[int, Range(ge=7, le=1024)] = 64
