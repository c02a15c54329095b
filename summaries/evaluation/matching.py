"""Proposal flow on PF-WILLOW: every matching method with every descriptor and every rule of keypoint transfer.

Some images occur in several classes: proposals and descriptors are computed once for each distinct image, and each pair
of distinct images is matched once. No option depends on the class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from visual_summaries.clustering.descriptors.deep import DeepEncoder, pool
from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.descriptors.projection import learn
from visual_summaries.clustering.matching import keypoint_transfer as transfer
from visual_summaries.clustering.matching.proposal_flow import Features, match_both
from visual_summaries.clustering.options import AppearanceOptions, MatchingOptions, ProposalOptions
from visual_summaries.clustering.parts.proposals import selective_search
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.evaluation.pf_willow import ALPHAS, AnnotatedImage, Pair, errors, ordered_pairs, pck
from visual_summaries.summaries.files import digest, write_npz
from visual_summaries.summaries.progress import Tick, say

Points = NDArray[np.float64]
Descriptor = Literal["hog", "deep"]

PROPOSALS = ProposalOptions(min_side=20 / 224)
"""Proposals on the benchmark: sides of at least 20 of 224 pixels, as in the reference implementation."""

BOXES_VERSION = 1
"""Of the cached proposals; raised with every change of how they are made."""

MAX_SIDE = 1 << 16
"""Pixels; limit of box coordinates."""

DENSE_SIDES = (352, 480)
"""Longer sides, pixels, of the resized images whose feature maps the dense rule uses together. 480 alone loses 1 point
(180 pairs)."""


@dataclass(frozen=True)
class MatchingMethod:
    """A method to match boxes.

    Attributes:
        name: Its name in tables; ^3 means appearance scores to the third power, "both" the geometric mean of both
            directions.
        descriptor: The descriptor of the boxes.
        options: Of the matching.
        both: Whether the geometric mean of both directions is taken.
        settings: For some transfer rules, the name of the combination: "paper" or "default".
    """

    name: str
    descriptor: Descriptor
    options: MatchingOptions
    both: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


METHODS = (
    MatchingMethod("nam", "hog", MatchingOptions(method="nam")),
    MatchingMethod("lom", "hog", MatchingOptions(method="lom"), settings={"best": "paper"}),
    MatchingMethod("lom^3", "hog", MatchingOptions(method="lom", power=3)),
    MatchingMethod("phm^2", "hog", MatchingOptions(method="phm", power=2)),
    MatchingMethod("phm^2+lom", "hog", MatchingOptions(method="phm+lom", power=2)),
    MatchingMethod("phm^2+lom both", "hog", MatchingOptions(method="phm+lom", power=2), both=True),
    MatchingMethod("nam", "deep", MatchingOptions(method="nam")),
    MatchingMethod("lom", "deep", MatchingOptions(method="lom")),
    MatchingMethod("lom^3", "deep", MatchingOptions(method="lom", power=3)),
    MatchingMethod("phm^3", "deep", MatchingOptions(method="phm", power=3)),
    MatchingMethod(
        "lom^4 both", "deep", MatchingOptions(method="lom", power=4), both=True, settings={"dense": "default"}
    ),
)


@dataclass(frozen=True)
class PckRow:
    """PCK of a matching method, a descriptor and a transfer rule.

    Attributes:
        method: See `METHODS`; "none" without boxes.
        descriptor: "hog", "deep", or "none".
        transfer: "best", "mode", "dense", "nearest" (features only) or "unmoved".
        proposals: Boxes an image, at most; 0 without boxes.
        pairs: Ordered pairs.
        classes: Classes.
        setting: "paper", "default" or None.
        pck: By threshold ("0.05", "0.10", "0.15"), in [0, 1], mean over classes.
        per_class: The same for each class.
        curve: Fraction of correct keypoints at thresholds 0, 0.01, ... 0.30 of the object's size, mean over classes.
    """

    method: str
    descriptor: str
    transfer: str
    proposals: int
    pairs: int
    classes: int
    setting: str | None
    pck: dict[str, float]
    per_class: dict[str, dict[str, float]]
    curve: list[float]


CURVE = tuple(round(0.01 * step, 2) for step in range(31))
"""Thresholds of a row's curve."""


@dataclass(frozen=True)
class MatchingEvaluation:
    """All results.

    Attributes:
        rows: In the order of `METHODS` and of the rules.
        moved: Per pair, A's keypoints moved by the default setting, (K, 2) xy in pixels of B.
        pairs: The ordered pairs, in the order of `moved`.
    """

    rows: list[PckRow]
    moved: list[Points]
    pairs: list[Pair]

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as plain data."""
        return [dataclasses.asdict(row) for row in self.rows]


@dataclass(frozen=True)
class DescribedImage:
    """The features of an image.

    Attributes:
        features: Boxes with descriptors, by descriptor, "hog" and "deep".
        maps: Feature maps for the dense rule.
        everywhere: The same on the dense rule's grid (see `clustering.matching.keypoint_transfer.look_everywhere`).
    """

    features: dict[str, Features]
    maps: list[Tensor]
    everywhere: list[NDArray[np.float32]]


def find_boxes(
    images: Sequence[AnnotatedImage], cache: Path, *, count: int, seed: int, jobs: int, tick: Tick
) -> dict[str, NDArray[np.float32]]:
    """The first proposals of each distinct image, by its content hash.

    Args:
        images: Images; duplicates are processed once.
        cache: Folder of cached proposals, by content and options.
        count: Boxes an image, at most.
        seed: Of their ranks.
        jobs: Processes at most, >= 1.
        tick: Called with the number of images done, and of all that are not in the cache.
    """
    distinct = {image.content: image.pixels for image in images}
    key = digest([BOXES_VERSION, dataclasses.asdict(PROPOSALS), seed])
    files = {content: cache / f"{content}-{key}.npz" for content in distinct}
    found = {content: boxes for content, file in files.items() if (boxes := _cached(file)) is not None}
    missing = [content for content in distinct if content not in found]
    searches = (partial(selective_search, distinct[content], PROPOSALS, seed) for content in missing)
    results = make_calls(searches, count=len(missing), jobs=jobs, native=False)
    for done, (content, boxes) in enumerate(zip(missing, results, strict=True)):
        write_npz(files[content], boxes=boxes)
        found[content] = boxes
        tick(done + 1, len(missing))
    return {content: found[content][:count] for content in distinct}


def _cached(file: Path) -> NDArray[np.float32] | None:
    """Proposals of a cache file; None if it is missing or damaged, so that they are made again."""
    if not file.is_file():
        return None
    try:
        return read_arrays(file, {"boxes": Array("f", ("boxes", 4), 0, MAX_SIDE)})["boxes"].astype(np.float32)
    except UserError as error:
        say(f"{error}: it is made again")
        return None


def describe_images(
    images: Sequence[AnnotatedImage], boxes: Mapping[str, NDArray[np.float32]], encoder: DeepEncoder, tick: Tick
) -> dict[str, DescribedImage]:
    """Describes each distinct image; the dimension of deep descriptors is reduced as in a run, with one basis for all.

    Args:
        images: Images; duplicates are processed once.
        boxes: Proposals by content (see `find_boxes`).
        encoder: Of the deep descriptors.
        tick: Called with the number of distinct images described, and of all.
    """
    pixels = {image.content: image.pixels for image in images}
    described = {}
    with threadpool_limits(limits=1):  # sums must not depend on the number of threads
        for done, (content, picture) in enumerate(pixels.items()):
            described[content] = _describe(picture, boxes[content], encoder)
            tick(done + 1, len(pixels))
    deep = [one.features["deep"].descriptors.astype(np.float32, copy=False) for one in described.values()]
    if not all(np.isfinite(one).all() for one in deep):
        raise UserError("the network's feature maps are not finite: check its weights, mean and std")
    if not any(map(len, deep)):
        return described
    directions = learn([len(one) for one in deep], deep.__getitem__, AppearanceOptions().numbers, seed=0)
    for one, descriptors in zip(described.values(), deep, strict=True):
        one.features["deep"] = dataclasses.replace(one.features["deep"], descriptors=descriptors @ directions)
    return described


def evaluate(
    classes: Mapping[str, Sequence[AnnotatedImage]],
    described: Mapping[str, DescribedImage],
    *,
    proposals: int,
    tick: Tick,
) -> MatchingEvaluation:
    """Transfers all keypoints with all methods and rules.

    Args:
        classes: See `summaries.evaluation.pf_willow.read_benchmark`.
        described: The images by content (see `describe_images`).
        proposals: Boxes an image, at most.
        tick: Called with the number of ordered pairs matched, and of all.
    """
    pairs = ordered_pairs(classes)
    failures: dict[tuple[str, str, str], dict[str, list[Points]]] = {}
    settings: dict[tuple[str, str, str], str] = {}
    default: dict[int, Points] = {}
    done = 0
    with threadpool_limits(limits=1):
        for group in _by_content(pairs):
            for index, key, setting, moved in _move(group, pairs, described):
                pair = pairs[index]
                failures.setdefault(key, {}).setdefault(pair.of, []).append(errors(moved, pair.b.keypoints))
                if setting:
                    settings[key] = setting
                if setting == "default":
                    default[index] = moved
            done += len(group)
            tick(done, len(pairs))
    rows = [
        _row(key, found, proposals if key[0] != "none" else 0, settings.get(key)) for key, found in failures.items()
    ]
    return MatchingEvaluation(rows, [default[index] for index in range(len(pairs))], pairs)


def _describe(picture: NDArray[np.uint8], boxes: NDArray[np.float32], encoder: DeepEncoder) -> DescribedImage:
    frame = (picture.shape[0], picture.shape[1])
    maps = {side: encoder.maps(picture, side) for side in {*DENSE_SIDES, encoder.options.side}}
    deep = pool(maps[encoder.options.side], boxes, frame, encoder.options.grid)
    features = {"hog": Features(describe(picture, boxes), boxes, frame), "deep": Features(deep, boxes, frame)}
    used = [one for side in DENSE_SIDES for one in maps[side]]
    return DescribedImage(features, used, transfer.look_everywhere(used, frame))


def _by_content(pairs: Sequence[Pair]) -> list[list[int]]:
    """Indices of pairs, grouped by their two images, in either order."""
    groups: dict[frozenset[str], list[int]] = {}
    for index, pair in enumerate(pairs):
        groups.setdefault(frozenset((pair.a.content, pair.b.content)), []).append(index)
    return list(groups.values())


def _move(
    group: Sequence[int], pairs: Sequence[Pair], described: Mapping[str, DescribedImage]
) -> Iterator[tuple[int, tuple[str, str, str], str | None, Points]]:
    """Transferred keypoints of pairs of the same two images: pair, (method, descriptor, rule), setting, positions."""
    first = pairs[group[0]]
    cosines = {}
    for index in group:
        points, a, b = pairs[index].a.keypoints, described[pairs[index].a.content], described[pairs[index].b.content]
        of_a, of_b = a.features["deep"], b.features["deep"]
        cosines[index] = transfer.mean_cosines(a.maps, points, of_a.frame, b.everywhere)
        yield index, ("none", "none", "unmoved"), None, transfer.unmoved(points, of_a, of_b)
        yield index, ("none", "deep", "nearest"), None, transfer.nearest(points, of_a, of_b, cosines[index])
    for method in METHODS:
        one, other = (described[image.content].features[method.descriptor] for image in (first.a, first.b))
        forward, backward = match_both(one, other, method.options)
        if method.both:
            forward = np.sqrt(forward) * np.sqrt(backward.T)
            backward = forward.T
        for index in group:
            points = pairs[index].a.keypoints
            turned = pairs[index].a.content != first.a.content
            of_a, of_b = (other, one) if turned else (one, other)
            votes = transfer.cast_votes(backward if turned else forward, of_a, of_b, points)
            moved = {
                "best": transfer.best(votes, points, of_a, of_b),
                "mode": transfer.mode(votes, points, of_a, of_b),
            }
            if method.descriptor == "deep":
                moved["dense"] = transfer.dense(votes, points, of_a, of_b, cosines[index])
            for rule, positions in moved.items():
                yield index, (method.name, method.descriptor, rule), method.settings.get(rule), positions


def _row(
    key: tuple[str, str, str], found: Mapping[str, Sequence[Points]], proposals: int, setting: str | None
) -> PckRow:
    method, descriptor, rule = key
    fractions = {f"{alpha:.2f}": pck(found, alpha) for alpha in ALPHAS}
    return PckRow(
        method=method,
        descriptor=descriptor,
        transfer=rule,
        proposals=proposals,
        pairs=sum(map(len, found.values())),
        classes=len(found),
        setting=setting,
        pck={alpha: float(np.mean(list(by_class.values()))) for alpha, by_class in fractions.items()},
        per_class={of: {alpha: fractions[alpha][of] for alpha in fractions} for of in found},
        curve=[float(np.mean(list(pck(found, alpha).values()))) for alpha in CURVE],
    )


def table(rows: Sequence[PckRow]) -> list[str]:
    """The rows as a table, lines of text."""
    head = f"{'method':<15} {'boxes by':<8} {'transfer':<8} " + " ".join(f"{f'@{alpha:.2f}':>6}" for alpha in ALPHAS)
    lines = [head]
    for row in rows:
        values = " ".join(f"{value:>6.3f}" for value in row.pck.values())
        lines.append(f"{row.method:<15} {row.descriptor:<8} {row.transfer:<8} {values}  {row.setting or ''}".rstrip())
    return lines
