"""What SVMs are trained, tuned and measured on, split so that no image plays two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.feature_cache import Album, Looker, joined
from visual_summaries.specialize.options import SplitOptions, SvmOptions
from visual_summaries.specialize.parts import Field, look_everywhere
from visual_summaries.specialize.svm import Group
from visual_summaries.specialize.tuning import Held
from visual_summaries.specialize.windows import Places, boxes_in_shares
from visual_summaries.summaries.evaluation.independent_encoder import crop
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Summary


@dataclass(frozen=True)
class Source:
    """A kept summary that becomes an SVM.

    Attributes:
        run: The run it is from.
        owner: Place of its class among the specialised ones.
        summary: The summary.
    """

    run: Run
    owner: int
    summary: Summary


@dataclass(frozen=True)
class Material:
    """What SVMs are trained and tuned on.

    Attributes:
        classes: int64 (C,), the specialised classes, sorted.
        images: float32 (N, D), vectors of the images to train on.
        whole: The rows of each class's images, all it has to train on.
        strangers: For each class, the rows of images that are not of it.
        vectors: What the summaries' SVMs are trained on: the images and after them, where these are the positives,
            the crops of parts; or the descriptors of parts.
        groups: The positives of each summary.
        against: For each class, the rows of ``vectors`` that are not of it; none for descriptors of parts.
        held: Images to tune on.
        field: Where negatives are looked for, with SVMs that see places.
        shunned: The parts of summaries that are left out, rows of ``vectors``, with SVMs that see places.
    """

    classes: NDArray[np.int64]
    images: NDArray[np.float32]
    whole: list[Group]
    strangers: list[NDArray[np.int64]]
    vectors: NDArray[np.float32]
    groups: list[Group]
    against: list[NDArray[np.int64]]
    held: Held
    field: Field | None = None
    shunned: Sequence[Group] = ()


@dataclass(frozen=True)
class Parts:
    """The albums by what their images are for, which is their role in a model folder's ``images.csv``.

    Attributes:
        summary: Images in the summaries: trained on.
        train: Further images of the specialised classes to train on.
        tuning: Those that are held out, to choose on.
        negative: Images of other classes to train on.
        others_tuning: Those that the harm limit is kept on.
        others_evaluation: Those that nothing but the evaluation looks at.
    """

    summary: Album
    train: Album
    tuning: Album
    negative: Album
    others_tuning: Album
    others_evaluation: Album


def split_training(album: Album, taken: set[str], share: float, seed: int) -> tuple[Album, Album]:
    """Training images, and those of each class that are held out.

    Args:
        album: Training images of the specialised classes.
        taken: Hashes of images in summaries, which are not held out.
        share: Of each class's images that is held out, in (0, 1).
        seed: Of the choice.

    Returns:
        The images to train on, without those of summaries, and those held out.

    Raises:
        UserError: A class has no image outside its summaries.
    """
    generator = np.random.default_rng(seed)
    free = np.array([value not in taken for value in album.sha256], dtype=np.bool_)
    kept, held = [], []
    for label in np.unique(album.labels):
        rows = np.flatnonzero((album.labels == label) & free)
        count = min(max(1, round(share * int((album.labels == label).sum()))), len(rows) - 1)
        if count < 1:
            raise UserError(
                f"`train` has {len(rows)} images of class {label} outside its summaries: give more, some are held out"
            )
        drawn = generator.permutation(rows)
        held.append(drawn[:count])
        kept.append(drawn[count:])
    return album.take(np.sort(np.concatenate(kept))), album.take(np.sort(np.concatenate(held)))


def split_others(album: Album, options: SplitOptions, seed: int) -> tuple[Album, Album, Album]:
    """Photographs of other classes as negatives, for tuning and for evaluation; a class goes whole to one of them.

    Raises:
        UserError: The shares leave nothing for one of them.
    """
    classes = np.random.default_rng(seed).permutation(np.unique(album.labels))
    end, start = round(options.tuning * len(classes)), len(classes) - round(options.evaluation * len(classes))
    parts = [
        album.take(np.flatnonzero(np.isin(album.labels, chosen)))
        for chosen in (classes[end:start], classes[:end], classes[start:])
    ]
    if min(len(part.names) for part in parts) < 1:
        raise UserError(f"`others` has {len(classes)} classes: too few to split into negatives, tuning and evaluation")
    return parts[0], parts[1], parts[2]


def empty_like(album: Album) -> Album:
    """An album of no photographs."""
    return album.take(np.zeros(0, np.int64))


def assemble(parts: Parts, sources: Sequence[Source], looker: Looker, options: SvmOptions) -> Material:
    """Numbers the images and gathers each summary's.

    Args:
        parts: The albums.
        sources: The summaries.
        looker: Sees the crops of parts, where these are the positives.
        options: What is positive.
    """
    images, classes, members = _numbered(parts, sources)
    vectors = [images.vectors]
    groups, owners = [], [images.labels]
    count = len(images.names)
    for source, rows in zip(sources, members, strict=True):
        if options.positives == "crop":
            vectors.append(_crops(source, looker))
            owners.append(np.full(len(rows), classes[source.owner]))
            groups.append(Group(source.owner, np.arange(count, count + len(rows)), rows))
            count += len(rows)
        else:
            groups.append(Group(source.owner, rows, rows))
    label_of = np.concatenate(owners)
    tuning = joined([parts.tuning, parts.others_tuning])
    return Material(
        classes=classes,
        images=images.vectors,
        whole=_whole(images.labels, classes),
        strangers=[np.flatnonzero(images.labels != label) for label in classes],
        vectors=np.concatenate(vectors),
        groups=groups,
        against=[np.flatnonzero(label_of != label) for label in classes],
        held=held_of(tuning, classes),
    )


def assemble_places(parts: Parts, sources: Sequence[Source], left_out: Sequence[Source], places: Places) -> Material:
    """As `assemble`, for SVMs that see places: the rows are the parts of the summaries.

    Args:
        parts: The albums, with feature maps in their vectors.
        sources: The summaries.
        left_out: Those that get no SVM.
        places: How images become places.
    """
    every = [*sources, *left_out]
    images, classes, members = _numbered(parts, every)
    rows: list[int] = []
    boxes, groups = [], []
    for source, own in zip(every, members, strict=True):
        groups.append(Group(source.owner, np.arange(len(rows), len(rows) + len(own)), own))
        rows += own.tolist()
        frame = source.run.frame(source.summary.members[0].image).shape[:2]
        boxes.append(boxes_in_shares([member.box for member in source.summary.members], (frame[0], frame[1])))
    described = [
        places.at(torch.from_numpy(images.vectors[rows[start : start + 32]]), torch.from_numpy(chunk)).numpy()
        for start, chunk in _chunks(np.concatenate(boxes))
    ]
    held = held_of(joined([parts.tuning, parts.others_tuning]), classes)
    owner = np.full(len(images.names), -1)
    for place, label in enumerate(classes):
        owner[images.labels == label] = place
    return Material(
        classes=classes,
        images=images.vectors[:, : places.start],
        whole=_whole(images.labels, classes),
        strangers=[np.flatnonzero(images.labels != label) for label in classes],
        vectors=np.concatenate(described),
        groups=groups[: len(sources)],
        against=[],
        held=replace(held, windows=look_everywhere(places, held.vectors, held.labels).windows),
        field=look_everywhere(places, images.vectors, owner),
        shunned=groups[len(sources) :],
    )


def _numbered(parts: Parts, sources: Sequence[Source]) -> tuple[Album, NDArray[np.int64], list[NDArray[np.int64]]]:
    """All images to train on, the specialised classes, and the rows of each summary's images."""
    images = joined([parts.summary, parts.train, parts.negative])
    row_of = {value: row for row, value in enumerate(images.sha256)}
    members = []
    for source in sources:
        digest = _digests(source)
        rows = [row_of[digest[member.image]] for member in source.summary.members]
        members.append(np.array(rows, dtype=np.int64))
    return images, np.unique(np.concatenate([parts.summary.labels, parts.train.labels])), members


def _digests(source: Source) -> dict[str, str]:
    """Hashes of the files of a run's images, by their ids."""
    return {row.id: row.sha256 for row in source.run.images}


def _chunks(boxes: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
    return [(start, boxes[start : start + 32]) for start in range(0, len(boxes), 32)]


def _whole(labels: NDArray[np.int64], classes: NDArray[np.int64]) -> list[Group]:
    rows = [np.flatnonzero(labels == label) for label in classes]
    return [Group(owner, chosen, chosen) for owner, chosen in enumerate(rows)]


def _crops(source: Source, looker: Looker) -> NDArray[np.float32]:
    size, digest = looker.classifier.frame.size, _digests(source)
    members = source.summary.members
    names = [f"{digest[member.image]} {member.box}" for member in members]
    return looker.crops(names, (crop(source.run.frame(member.image), member.box, size) for member in members))


def held_of(album: Album, classes: NDArray[np.int64]) -> Held:
    """An album as what is chosen or measured on."""
    return Held(album.vectors, album.logits, album.labels, ~np.isin(album.labels, classes))


def read_sources(runs: Sequence[Run], left_out: Sequence[str]) -> tuple[NDArray[np.int64], list[Source], list[Source]]:
    """The kept summaries of runs.

    Args:
        runs: One a class.
        left_out: Summaries to leave out, as ``RUN/NUMBER`` with the name of the run's folder.

    Returns:
        The classes, sorted, the summaries class by class, and those that are left out.

    Raises:
        UserError: A run is not done, is of no single class or of another network, keeps no summary, or one that is to
            be left out is not there.
    """
    by_class: dict[int, Run] = {}
    for run in runs:
        if run.info["stages"].get("clusters", {}).get("status") != "done":
            raise UserError(f"{run.path} has no summaries yet: finish it with `visual-summaries cluster {run.path}`")
        if run.info["model"]["fingerprint"] != runs[0].info["model"]["fingerprint"]:
            raise UserError(f"{run.path} and {runs[0].path} are runs of different networks: specialise one at a time")
        index = run.info["target"]["index"]
        if index is None:
            raise UserError(f"{run.path} is a run of each image's own class: give runs of one class each")
        if index in by_class:
            raise UserError(f"{run.path} and {by_class[index].path} are both of class {index}: give one run a class")
        by_class[index] = run
    sources: list[Source] = []
    leave: list[Source] = []
    for owner, index in enumerate(sorted(by_class)):
        run = by_class[index]
        kept = [one for one in run.summaries if one.kept]
        _check_boxes(run, kept)
        stay = [one for one in kept if f"{run.path.name}/{one.summary}" not in left_out]
        leave += [Source(run, owner, one) for one in kept if one not in stay]
        if kept and not stay:
            raise UserError(f"`leave_out` names all summaries of {run.path}: leave one at least")
        if not stay:
            raise UserError(
                f"{run.path} has no summary to train on: loosen `prune.cluster_share`, as in `visual-summaries cluster`"
            )
        sources += [Source(run, owner, one) for one in stay]
    absent = set(left_out) - {f"{one.run.path.name}/{one.summary.summary}" for one in leave}
    if absent:
        raise UserError(f"`leave_out` {min(absent)} is no kept summary: give RUN/NUMBER as in {runs[0].path.name}/0")
    return np.array(sorted(by_class), dtype=np.int64), sources, leave


def _check_boxes(run: Run, summaries: Sequence[Summary]) -> None:
    """Refuses summaries without members, and boxes that are no part of the frame."""
    height, width = run.info["frame"]["size"]
    for one in summaries:
        for x0, y0, x1, y1 in [member.box for member in one.members] or [(0, 0, 0, 0)]:
            if not (-1 <= x0 < x1 <= width + 1 and -1 <= y0 < y1 <= height + 1):
                raise UserError(
                    f"{run.path / 'summaries.json'} is damaged: summary {one.summary} has no box in the frame"
                )
