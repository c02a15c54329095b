"""The training set of the SVMs: vectors, the positives of each summary, and what is held out for tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.feature_set import FeatureSet, concatenated
from visual_summaries.specialize.latent_svm import Bags, make_bags
from visual_summaries.specialize.options import SvmOptions
from visual_summaries.specialize.sources import Source
from visual_summaries.specialize.splits import Splits
from visual_summaries.specialize.svm import Group
from visual_summaries.specialize.tuning import HeldOut, held_out_of
from visual_summaries.specialize.windows import WindowPooling, relative_boxes
from visual_summaries.summaries.evaluation.independent_encoder import crop

_CHUNK = 32
"""Boxes that are described at once."""


@dataclass(frozen=True)
class TrainingSet:
    """What SVMs are trained and tuned on.

    Attributes:
        classes: int64 (C,), the specialised classes, sorted.
        images: float32 (N, D), vectors of the training images.
        class_groups: For each class, a group of all its training images.
        image_negatives: For each class, the rows of ``images`` of other classes.
        vectors: float32, what the SVMs of summaries are trained on. Level "image": the training images, followed by the
            crops of parts if these are the positives. Level "window": the descriptors of parts.
        groups: The positives of each summary, rows of ``vectors``.
        negatives: Level "image": for each class, the rows of ``vectors`` of other classes; empty for level "window".
        held_out: Images to tune on.
        bags: Level "window": the windows of the training images.
        excluded: Level "window": the parts of excluded summaries, rows of ``vectors``.
    """

    classes: NDArray[np.int64]
    images: NDArray[np.float32]
    class_groups: list[Group]
    image_negatives: list[NDArray[np.int64]]
    vectors: NDArray[np.float32]
    groups: list[Group]
    negatives: list[NDArray[np.int64]]
    held_out: HeldOut
    bags: Bags | None = None
    excluded: Sequence[Group] = ()


def assemble(splits: Splits, sources: Sequence[Source], cache: FeatureCache, options: SvmOptions) -> TrainingSet:
    """The training set of SVMs of whole images.

    Args:
        splits: The photographs.
        sources: The summaries.
        cache: Extracts the features of crops, if these are the positives.
        options: Whether images or crops are the positives.
    """
    images, classes, members = _numbered(splits, sources)
    vectors = [images.vectors]
    groups, labels = [], [images.labels]
    count = len(images.names)
    for source, rows in zip(sources, members, strict=True):
        if options.positives == "crop":
            vectors.append(_crops(source, cache))
            labels.append(np.full(len(rows), classes[source.owner]))
            groups.append(Group(source.owner, np.arange(count, count + len(rows)), rows))
            count += len(rows)
        else:
            groups.append(Group(source.owner, rows, rows))
    label_of = np.concatenate(labels)
    return TrainingSet(
        classes=classes,
        images=images.vectors,
        class_groups=_class_groups(images.labels, classes),
        image_negatives=[np.flatnonzero(images.labels != label) for label in classes],
        vectors=np.concatenate(vectors),
        groups=groups,
        negatives=[np.flatnonzero(label_of != label) for label in classes],
        held_out=_held_out(splits, classes),
    )


def assemble_windows(
    splits: Splits, sources: Sequence[Source], excluded: Sequence[Source], pooling: WindowPooling
) -> TrainingSet:
    """The training set of latent SVMs; its rows are the parts of the summaries.

    Args:
        splits: The photographs, with feature maps in their vectors.
        sources: The summaries.
        excluded: Summaries that get no SVM.
        pooling: How windows are described.
    """
    every = [*sources, *excluded]
    images, classes, members = _numbered(splits, every)
    rows: list[int] = []
    boxes, groups = [], []
    for source, own in zip(every, members, strict=True):
        groups.append(Group(source.owner, np.arange(len(rows), len(rows) + len(own)), own))
        rows += own.tolist()
        frame = source.run.frame(source.summary.members[0].image).shape[:2]
        boxes.append(relative_boxes([member.box for member in source.summary.members], (frame[0], frame[1])))
    described = [
        pooling.pool_boxes(
            torch.from_numpy(images.vectors[rows[start : start + _CHUNK]]), torch.from_numpy(chunk)
        ).numpy()
        for start, chunk in _chunks(np.concatenate(boxes))
    ]
    held_out = _held_out(splits, classes)
    owner = np.full(len(images.names), -1)
    for position, label in enumerate(classes):
        owner[images.labels == label] = position
    return TrainingSet(
        classes=classes,
        images=images.vectors[:, : pooling.start],
        class_groups=_class_groups(images.labels, classes),
        image_negatives=[np.flatnonzero(images.labels != label) for label in classes],
        vectors=np.concatenate(described),
        groups=groups[: len(sources)],
        negatives=[],
        held_out=replace(held_out, windows=make_bags(pooling, held_out.vectors, held_out.labels).windows),
        bags=make_bags(pooling, images.vectors, owner),
        excluded=groups[len(sources) :],
    )


def _numbered(
    splits: Splits, sources: Sequence[Source]
) -> tuple[FeatureSet, NDArray[np.int64], list[NDArray[np.int64]]]:
    """All images to train on, the specialised classes, and the rows of each summary's images."""
    images = concatenated([splits.summary, splits.train, splits.negative])
    row_of = {value: row for row, value in enumerate(images.sha256)}
    members = []
    for source in sources:
        hashes = _file_hashes(source)
        rows = [row_of[hashes[member.image]] for member in source.summary.members]
        members.append(np.array(rows, dtype=np.int64))
    return images, np.unique(np.concatenate([splits.summary.labels, splits.train.labels])), members


def _held_out(splits: Splits, classes: NDArray[np.int64]) -> HeldOut:
    return held_out_of(concatenated([splits.tuning, splits.others_tuning]), classes)


def _file_hashes(source: Source) -> dict[str, str]:
    """Hashes of the files of a run's images, by image id."""
    return {row.id: row.sha256 for row in source.run.images}


def _chunks(boxes: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
    return [(start, boxes[start : start + _CHUNK]) for start in range(0, len(boxes), _CHUNK)]


def _class_groups(labels: NDArray[np.int64], classes: NDArray[np.int64]) -> list[Group]:
    rows = [np.flatnonzero(labels == label) for label in classes]
    return [Group(owner, chosen, chosen) for owner, chosen in enumerate(rows)]


def _crops(source: Source, cache: FeatureCache) -> NDArray[np.float32]:
    size, hashes = cache.classifier.frame.size, _file_hashes(source)
    members = source.summary.members
    names = [f"{hashes[member.image]} {member.box}" for member in members]
    return cache.crops(names, (crop(source.run.frame(member.image), member.box, size) for member in members))
