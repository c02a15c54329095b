"""The options of the stages that make summaries of masks: light to import, so that the command line reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Filled, Named, Options, Range

ALL = "all"

FORMS = "all, or knn:20 for each image with its 20 nearest"
"""What names of pairs look like."""


@dataclass(frozen=True)
class ProposalOptions(Options):
    """How proposals are found and chosen.

    Attributes:
        count: Boxes an image gives to matching, kept ones and context; >= 1. 500 in the paper.
        max_kept: Most boxes an image keeps as parts, best rank first, >= 1; never more than `count`. Our choice: it
            bounds what is stored of a pair of images at max_kept^2 similarities.
        min_side: Shortest admitted side as a fraction of the frame's shorter side, in [0, 1], at most 1 - 2 border. The
            original's is 20 of 224 pixels; on the embedded world 95 % of the boxes with sides about a tenth of the
            frame lie on no part (fragments), 46 % of those about a fifth.
        border: Width of the frame's margin as a fraction of its sides, in [0, 0.5); boxes that reach into it are
            dropped. 0.01 in the reference.
        overlap: Share of a box's area on the mask from which it is kept, in [0, 1]. 0.75 in the paper.
        margin: What is so near to the mask counts as on it, pixels of a frame of 224, >= 0. Our choice: masks are the
            evidence that a class hangs on, cut as small as they go, and their outlines do not follow parts'.
        max_parts: Most parts an image keeps after redundancy, best quality first; >= 1. Our choice: on the embedded
            world purity and recall are best between 8 and 12.
        max_candidates: Most boxes of an image among which a summary looks for its part once clusters are there, best
            quality first; >= 0. Our choice (see `clustering.clusters.complete`).
        redundancy_overlap: Intersection by smaller area from which two boxes may be redundant, in [0, 1]. 0.5 in
            the reference.
        redundancy_area_ratio: Larger by smaller area below which they are, > 1. 2 in the paper.
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
        """A box fits between the margins."""
        if self.min_side > 1 - 2 * self.border:
            raise self.refuse("min_side", f"give at most 1 - 2 border, {1 - 2 * self.border:g}")


@dataclass(frozen=True)
class DeepOptions(Options):
    """How boxes are described by a network.

    Attributes:
        side: Longer side of the image as the network sees it, pixels, >= 32; networks that take their frame's size
            alone (many transformers) see the image resized to their frame. See `summaries.evaluation.matching` for
            the benchmark; there 352 to 640 pixels are alike.
        strides: Strides of the maps, pixels of the network's image, one or more, each >= 1; the nearest ones that the
            network has.
        grid: Places along each side of a box, >= 1.
    """

    side: Annotated[int, Range(ge=32)] = 480
    strides: Annotated[tuple[Annotated[int, Range(ge=1)], ...], Filled()] = (16, 32)
    grid: Annotated[int, Range(ge=1)] = 3


@dataclass(frozen=True)
class AppearanceOptions(Options):
    """What boxes are described by.

    Attributes:
        descriptor: "hog", whitened HOG (paper); "deep", feature maps of the network; "auto", deep where the network's
            maps have channels enough.
        min_channels: Channels of the maps together from which a network's features are used, >= 1 (the embedded world's
            networks have up to 128, others from 190).
        power: Power of the scores of deep descriptors before any geometry, in [1, 10] (PF-WILLOW, moved to within 0.10:
            3 and 4 are alike, 1 is worse); that of HOG is `matching.power`.
        numbers: Numbers that deep descriptors are reduced to before they are compared, >= 1
            (`clustering.descriptors.projection`).
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
            or "phm+lom", the one after the other. `evaluate matching` on six classes of PF-WILLOW (540 pairs, 500
            boxes), share of keypoints moved to within 0.10 by the best match: HOG 0.517, 0.490, 0.568 (power 2) and
            0.580 (power 2); deep descriptors 0.621, 0.628 and 0.647 (power 3).
        power: Power of the appearance scores before any geometry, in [1, 10]: high scores count for more. 1 in the
            paper. Measured likewise with "lom": HOG 0.517, cubed 0.556; deep descriptors 0.621, cubed 0.648.
        passes: Times local offset matching is applied, >= 1. Measured likewise with other boxes: appearance alone
            0.483; 1 pass 0.509; 2 passes 0.496; 3 passes 0.488.
        spatial_weight: Decay of a score by distance from the local offset, 1 / pixel at a shorter side of 224;
            >= 0. 0.05 in the reference. Measured likewise: 0.03 gives 0.525, 0.1 gives 0.492.
        scale_weight: Decay of a score by log ratio of scales from the local one; >= 0. 0.3 in the reference.
            Measured likewise: 0 gives 0.497, 1 gives 0.509.
        offset_bin: Width of PHM's bins of dx and dy, pixels at a shorter side of 224; >= 1. Our choice.
        scale_bin: Width of PHM's bins of ds, log ratio; >= 0.05. Our choice.
        aspect_limit: Ratio of two boxes' aspect ratios (width / height) above which they score 0, > 1. 2 in
            the reference.
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
        UserError: If it is neither.

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
        mirrored: Whether the second image is matched mirrored as well. The paper's footnote 1 names objects that look
            the other way as what misleads it.
        top: Highest similarities averaged into a part's quality, >= 1. 100 in the reference.
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
        preference: Of every part to be an exemplar, on the scale of ranks; lower gives fewer clusters; <= 1 (here:
            0.6, see docs/decisions.md).
        nearest_preference: The same where images were matched with their nearest only; <= 1 (here: 0.0, likewise).
        damping: Of the messages, in [0.5, 1) (reference: 0.9).
        iterations: At most, >= 1 (reference: 1000).
        convergence: Iterations without a change after which it has converged, >= 1 (reference: 100).
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
        min_members: Fewest members of a summary, >= 2 (here: 5, see docs/decisions.md).
        similarity_quantile: Quantile over clusters of their median similarity which a cluster has to reach, in [0, 1];
            0 keeps all (here: 0.4, see docs/decisions.md).
        similarity_share: Share of a member's similarities under that quantile from which it leaves, in (0, 1] (here:
            0.6, as the reference's for SSIM).
        joins_share: Share of a box's similarities to a summary's members under that quantile from which it stays out
            of the summary, in (0, 1] (see `clustering.clusters.complete`; here: 0.4, see docs/decisions.md).
        cluster_share: Share of the class's median SSIM that a cluster's median has to reach, >= 0 (reference: 0.9;
            here: 0.5).
        member_share: Share of a member's SSIMs under the class's median from which it leaves, in (0, 1]
            (reference: 0.6; here: 0.8).
        patch: Side to which boxes are resized to be compared, in pixels, in [7, 1024].
    """

    min_members: Annotated[int, Range(ge=2)] = 5
    similarity_quantile: Annotated[float, Range(ge=0, le=1)] = 0.4
    similarity_share: Annotated[float, Range(gt=0, le=1)] = 0.6
    joins_share: Annotated[float, Range(gt=0, le=1)] = 0.4
    cluster_share: Annotated[float, Range(ge=0)] = 0.5
    member_share: Annotated[float, Range(gt=0, le=1)] = 0.8
    patch: Annotated[int, Range(ge=7, le=1024)] = 64
