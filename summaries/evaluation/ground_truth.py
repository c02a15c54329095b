"""Ground truth of the parts in a run's images, and scores of the run's summaries.

There are two sources: the embedded world's true masks of parts, and the keypoints of PF-WILLOW. With masks, a box lies
on the true part whose visible box it matches (see `clustering.metrics.purity`), and the landmarks are the centres of
the visible boxes. With keypoints, the keypoints are both: a box lies on the keypoint nearest to its centre, among those
that it contains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from visual_summaries.clustering.metrics.purity import (
    Landmarks,
    Majority,
    consistent_landmark,
    majority,
    part_under,
    point_under,
    random_clusters,
    recall,
    visible_boxes,
)
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.evaluation.pf_willow import AnnotatedImage, read_benchmark
from visual_summaries.summaries.files import read_json
from visual_summaries.summaries.store import ImageRow, Run

DRAWS = 200
"""Draws of random clusters, over which metrics are averaged."""


class WorldClassRecord(TypedDict):
    """A class of ``world.json``."""

    name: str
    telling: list[str]
    marked: bool


class MarkRecord(TypedDict):
    """The watermark of ``world.json``."""

    part: str


class WorldRecord(TypedDict):
    """The keys of ``world.json`` that are read."""

    classes: list[WorldClassRecord]
    mark: MarkRecord


@dataclass(frozen=True)
class Truth:
    """Ground truth of the parts of a run.

    Attributes:
        source: Its kind, for pages.
        lies_on: For each part of the run, the true part that it lies on; None for none.
        landmarks: For each image id, its landmarks.
        wanted: True parts that summaries should find.
    """

    source: str
    lies_on: Sequence[str | None]
    landmarks: Mapping[str, Landmarks]
    wanted: Sequence[str]

    def majority(self, parts: Sequence[int]) -> Majority:
        """The true part that most of some parts lie on."""
        return majority([self.lies_on[part] for part in parts])

    def landmark(self, run: Run, parts: Sequence[int]) -> str | None:
        """The landmark that the boxes of a cluster contain (`clustering.metrics.purity.consistent_landmark`)."""
        boxes = np.array([run.parts[part].box for part in parts], dtype=np.float64).reshape(-1, 4)
        return consistent_landmark(boxes, [self.landmarks[run.parts[part].image] for part in parts])


@dataclass(frozen=True)
class Score:
    """Purity and recall of summaries, or of random clusters.

    Attributes:
        method: ``summaries`` or ``random``.
        clusters: Number of kept clusters.
        purity: Their mean purity; None without clusters.
        recall: Fraction of the wanted parts that are the majority part of a cluster; None if none is wanted.
        majorities: The majority part of each cluster; empty for random clusters.
    """

    method: str
    clusters: int
    purity: float | None
    recall: float | None
    majorities: dict[int, Majority]


def score(run: Run, truth: Path, *, seed: int = 0) -> list[Score]:
    """Scores the kept summaries of a run, and random clusters of the same sizes; does not need ``work/``.

    Args:
        run: The run.
        truth: Folder that ``visual-summaries world`` wrote, or its truth/CLASS.
        seed: Of the random clusters.

    Raises:
        UserError: The ground truth of an image is missing.
    """
    known = read_truth(run, truth)
    kept = [summary for summary in run.summaries if summary.kept]
    found = {summary.summary: known.majority([member.part for member in summary.members]) for summary in kept}
    scores = [_score("summaries", found, known.wanted)]
    images = image_of_parts(run)[: run.clustered]
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        clusters = random_clusters([len(summary.members) for summary in kept], images, generator)
        drawn.append(_score("random", dict(enumerate(known.majority(one.tolist()) for one in clusters)), known.wanted))
    purity, recalled = mean(one.purity for one in drawn), mean(one.recall for one in drawn)
    return [*scores, Score("random", len(kept), purity, recalled, {})]


def _score(method: str, found: dict[int, Majority], wanted: Sequence[str]) -> Score:
    return Score(method, len(found), mean(one.purity for one in found.values()), recall(found.values(), wanted), found)


def image_of_parts(run: Run) -> NDArray[np.int64]:
    """Index of the image of each part of a run, (P,)."""
    index_of = {image: index for index, image in enumerate(run.ids)}
    return np.array([index_of[part.image] for part in run.parts], dtype=np.int64)


def mean(values: Any) -> float | None:
    """Mean of the values that are not None; None if there is none.

    Examples:
        >>> mean([1.0, None, 2.0]), mean([None])
        (1.5, None)
    """
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None


def read_truth(run: Run, truth: Path) -> Truth:
    """Ground truth from masks of parts: the embedded world, or a folder of ID.npz in the same format.

    Args:
        run: The run.
        truth: Folder that ``visual-summaries world`` wrote, or its truth/CLASS.

    Raises:
        UserError: The ground truth of an image is missing.
    """
    folder, wanted = find_truth(run, truth)
    world = truth / "world.json"
    mark = read_json(world, WorldRecord)["mark"]["part"] if world.is_file() else ""
    size = run.info["frame"]["size"] if "frame" in run.info else ("height", "width")
    schema = {"*": Array("biu", (size[0], size[1]))}
    visible: dict[str, dict[str, NDArray[np.float64]]] = {}
    for image in run.ids:
        file = folder / f"{image}.npz"
        if not file.is_file():
            raise UserError(f"`truth`: {file} is missing: give the folder that `visual-summaries world` wrote")
        visible[image] = visible_boxes(read_arrays(file, schema))
    landmarks = {image: _centres(boxes, mark) for image, boxes in visible.items()}
    lies_on = [part_under(part.box, visible[part.image]) for part in run.parts]
    return Truth("masks of parts", lies_on, landmarks, wanted)


def _centres(boxes: Mapping[str, NDArray[np.float64]], mark: str) -> Landmarks:
    """Centres of the parts' boxes; the watermark is not part of the object and does not count for its extent."""
    own = np.array([box for name, box in boxes.items() if name != mark]).reshape(-1, 4)
    extent = np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)]) if len(own) else np.zeros(4)
    return Landmarks({name: (box[:2] + box[2:]) / 2 for name, box in boxes.items()}, extent)


def find_truth(run: Run, truth: Path) -> tuple[Path, list[str]]:
    """The folder with the ground truth of a run's class, and the parts that its summaries should find.

    Raises:
        UserError: There is no such folder.
    """
    if (truth / "world.json").is_file():
        world = read_json(truth / "world.json", WorldRecord)
        name = run.info["target"]["name"]
        for one in world["classes"]:
            if one["name"] == name:
                wanted = [*one["telling"], *([world["mark"]["part"]] if one["marked"] else [])]
                return truth / "truth" / one["name"].replace(" ", "_"), wanted
        raise UserError(f"`truth`: {truth} has no class {name!r}: give the world that the run's images are from")
    if not truth.is_dir():
        raise UserError(f"`truth` {truth} is not a folder: give the folder that `visual-summaries world` wrote")
    return truth, []


def read_keypoints(run: Run, folder: Path) -> Truth:
    """Ground truth from the keypoints of PF-WILLOW, in the frame; those outside of it count as not visible.

    Args:
        run: A run on a class folder of the benchmark.
        folder: The benchmark, in which the class has the name of the run's class folder; or that class's folder.

    Raises:
        UserError: The folder is not the benchmark, or the run is of other images.
    """
    own = Path(run.info["config"]["images"]).name
    is_class = any(folder.glob("*.mat"))
    root, of = (folder.parent, folder.name) if is_class else (folder, own)
    classes = read_benchmark(root)
    if of not in classes:
        raise UserError(f"`pf` {folder} has no class {own!r} with two images: give the folder of the run's class")
    known = {image.name.split("/", 1)[1]: image for image in classes[of]}
    rows = [row for row in run.images if row.status == "ok"]
    landmarks = {}
    for row in rows:
        stem = Path(row.path).stem
        if stem not in known or known[stem].pixels.shape[:2] != (row.height, row.width):
            raise UserError(
                f"`pf`: {root / of} does not contain {Path(row.path).name}: give the folder of the run's images"
            )
        landmarks[row.id] = _in_frame(known[stem], row, run.info["frame"])
    lies_on = [point_under(part.box, landmarks[part.image].points) for part in run.parts]
    count = len(classes[of][0].keypoints)
    return Truth("keypoints", lies_on, landmarks, [_keypoint(number) for number in range(count)])


def _keypoint(number: int) -> str:
    return f"keypoint {number + 1}"


def _in_frame(image: AnnotatedImage, row: ImageRow, about: Mapping[str, Any]) -> Landmarks:
    resize = about["resize"]
    resize = (resize[0], resize[1]) if isinstance(resize, list) else resize
    frame = Frame((about["size"][0], about["size"][1]), resize, about["interpolation"])
    size = np.array(frame.size[::-1], dtype=np.float64)  # (W, H)
    whole = np.array([[0, 0, *size]], dtype=np.float32)
    (window,) = frame.to_photograph(whole, image.pixels.shape[:2]).astype(
        np.float64
    )  # the part of the photograph inside the frame
    points = (image.keypoints - window[:2]) * size / (window[2:] - window[:2])
    inside = ((points >= 0) & (points < size)).all(axis=1)
    corners = np.clip(np.stack([points.min(axis=0), points.max(axis=0)]), 0, size)
    return Landmarks({_keypoint(k): points[k] for k in range(len(points)) if inside[k]}, corners.reshape(4))
