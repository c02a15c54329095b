"""The photographs, split by use: every image has one use, so nothing is measured on images seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.feature_set import FeatureSet, concatenated, empty_like
from visual_summaries.specialize.leakage import check_no_duplicates
from visual_summaries.specialize.options import SpecializeOptions, SplitOptions
from visual_summaries.specialize.photos import list_photos
from visual_summaries.specialize.sources import Source
from visual_summaries.summaries.progress import progress, say
from visual_summaries.summaries.store import Run


@dataclass(frozen=True)
class Splits:
    """Features of the photographs by their use; the names are the roles in a model folder's ``images.csv``.

    Attributes:
        summary: Images of the summaries: trained on.
        train: Further images of the specialised classes to train on.
        tuning: Held-out images of the specialised classes, for tuning.
        negative: Images of other classes to train on.
        others_tuning: Images of other classes for tuning: the harm limit is checked on them.
        others_evaluation: Images of other classes that only the evaluation uses.
    """

    summary: FeatureSet
    train: FeatureSet
    tuning: FeatureSet
    negative: FeatureSet
    others_tuning: FeatureSet
    others_evaluation: FeatureSet


def read_splits(
    cache: FeatureCache,
    runs: Sequence[Run],
    sources: Sequence[Source],
    classes: NDArray[np.int64],
    train_root: Path,
    others: Path | None,
    options: SpecializeOptions,
    seed: int,
) -> tuple[Splits, list[dict[str, str]]]:
    """Extracts the features of all photographs and splits them.

    Args:
        cache: Extracts features.
        runs: One a class.
        sources: Summaries whose members are trained on.
        classes: int64 (C,), the specialised classes.
        train_root: Training images, a folder a class.
        others: Photographs of other classes.
        options: How to split.
        seed: Of the splits.

    Returns:
        The splits, and the path and reason of each file that cannot be read.

    Raises:
        UserError: A class has no readable image, there are too few images, or there are duplicates in the training and
            tuning images.
    """
    wanted = set(classes.tolist())
    listed = list_photos(train_root, cache.classifier, what="`train`")
    photos = [photo for photo in listed if photo.label in wanted]
    if {photo.label for photo in photos} != wanted:
        absent = min(wanted - {photo.label for photo in photos})
        raise UserError(f"`train` {train_root} has no folder of class {cache.classifier.label(absent).name!r}")
    other_photos = (
        [photo for photo in list_photos(others, cache.classifier, what="`others`") if photo.label not in wanted]
        if others
        else []
    )
    members = {(one.run.path, member.image) for one in sources for member in one.summary.members}
    summary = concatenated([_members(cache, run, members) for run in runs])
    with progress("training images", "images") as tick:
        features, skipped = cache.photographs(photos, tick)
    unread = min(wanted - set(features.labels.tolist()), default=None)  # all of its files were skipped
    if unread is not None:
        name = cache.classifier.label(unread).name
        raise UserError(
            f"`train` {train_root} has no readable image of class {name!r}, for instance {skipped[0]['path']}: "
            f"{skipped[0]['reason']}"
        )
    train, tuning = split_training(features, set(summary.sha256), options.tuning.held_out, seed)
    negative = others_tuning = others_evaluation = empty_like(features)
    if other_photos:
        with progress("other classes", "images") as tick:
            rest, unreadable = cache.photographs(other_photos, tick)
        skipped += unreadable
        if not rest.names:
            raise UserError(f"`others` {others} has no readable image, for instance {unreadable[0]['path']}")
        negative, others_tuning, others_evaluation = split_others(rest, options.split, seed)
    for reason in skipped:
        say(f"{reason['path']} is skipped: {reason['reason']}")
    cache.save()
    check_no_duplicates(
        concatenated([summary, train]).hashes, tuning.hashes, "used in training too", "take one of each out of `train`"
    )
    return Splits(summary, train, tuning, negative, others_tuning, others_evaluation), skipped


def split_training(
    features: FeatureSet, members: set[str], fraction: float, seed: int
) -> tuple[FeatureSet, FeatureSet]:
    """Splits the training images of each class into those trained on and those held out for tuning.

    Args:
        features: Training images of the specialised classes.
        members: Hashes of members of the summaries, which are not held out.
        fraction: Of each class's images that is held out, in (0, 1).
        seed: Of the split.

    Returns:
        The images to train on, without members of summaries, and those held out.

    Raises:
        UserError: A class has too few images outside its summaries.
    """
    generator = np.random.default_rng(seed)
    free = np.array([value not in members for value in features.sha256], dtype=np.bool_)
    kept, held = [], []
    for label in np.unique(features.labels):
        rows = np.flatnonzero((features.labels == label) & free)
        count = min(max(1, round(fraction * int((features.labels == label).sum()))), len(rows) - 1)
        if count < 1:
            raise UserError(
                f"`train` has {len(rows)} images of class {label} outside its summaries: give more, some are held out"
            )
        drawn = generator.permutation(rows)
        held.append(drawn[:count])
        kept.append(drawn[count:])
    return features.take(np.sort(np.concatenate(kept))), features.take(np.sort(np.concatenate(held)))


def split_others(features: FeatureSet, options: SplitOptions, seed: int) -> tuple[FeatureSet, FeatureSet, FeatureSet]:
    """Splits photographs of other classes into negatives, tuning and evaluation; a class is not divided.

    Raises:
        UserError: One of the three would be empty.
    """
    classes = np.random.default_rng(seed).permutation(np.unique(features.labels))
    end, start = round(options.tuning * len(classes)), len(classes) - round(options.evaluation * len(classes))
    negative, tuning, evaluation = (
        features.take(np.flatnonzero(np.isin(features.labels, chosen)))
        for chosen in (classes[end:start], classes[:end], classes[start:])
    )
    if not (negative.names and tuning.names and evaluation.names):
        raise UserError(f"`others` has {len(classes)} classes: too few to split into negatives, tuning and evaluation")
    return negative, tuning, evaluation


def _members(cache: FeatureCache, run: Run, members: set[tuple[Path, str]]) -> FeatureSet:
    """A run's images that are members of a summary."""
    ids = [row.id for row in run.images if row.status == "ok"]
    features = cache.run(run, int(run.info["target"]["index"]))
    return features.take(np.array([k for k, name in enumerate(ids) if (run.path, name) in members], dtype=np.int64))
