"""SVMs that look for a summary's part (see `specialize.windows`), trained on more than the summary shows.

The positives of an SVM are the descriptors of its summary's parts. Of the windows of other classes' images some are
drawn at random, SVMs are trained against them, and the windows that these take for their part most firmly are
added: hard negatives. Siblings are the parts of the class's other summaries.

A summary shows its part in a dozen images, and a class may have hundreds to train on. So, round after round, each SVM
looks for its part in the class's other training images, their best windows become positive, and it is trained anew
(departure: the paper trains on the summary's own images alone).

A summary that is left out, a watermark's, is not forgotten: an SVM of its own looks for it in the class's images, and
what it finds is negative for the class's others, which would learn it otherwise. Figures in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.options import SvmOptions
from visual_summaries.specialize.svm import Group, Svms, Vectors, negatives, solve
from visual_summaries.specialize.windows import Places

DRAWN = 400
"""Windows of strangers drawn at random, for each class; more make SVMs slow and hardly better."""

HARD = 100
"""Hard negatives that each SVM gets in a round, at most one an image."""

_CHUNK = 32


@dataclass(frozen=True)
class Field:
    """The windows in which positives and negatives are looked for.

    Attributes:
        places: How images become places.
        windows: float16 (F, W, D), of each image.
        owner: int64 (F,), place of each image's class among the specialised ones; -1 for another class.
    """

    places: Places
    windows: NDArray[np.float16]
    owner: NDArray[np.int64]

    def take(self, numbers: NDArray[np.int64]) -> Vectors:
        """Windows by their numbers, those of image i from i * W on: float32 (n, D)."""
        taken: Vectors = self.windows.reshape(-1, self.windows.shape[2])[numbers].astype(np.float32)
        return taken

    def best(self, svms: Svms) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """For each image and SVM the decision of the best window, less its intercept, and its number, both (F, S)."""
        scores, places = [], []
        for start in range(0, len(self.owner), _CHUNK):
            values = self.windows[start : start + _CHUNK].astype(np.float32) @ svms.weights.T  # (n, W, S)
            scores.append(values.max(axis=1))
            places.append(values.argmax(axis=1))
        first = np.arange(len(self.owner))[:, None] * self.windows.shape[1]
        return np.concatenate(scores), np.concatenate(places) + first


def look_everywhere(places: Places, vectors: Vectors, owner: NDArray[np.int64]) -> Field:
    """All windows of images with vectors (F, M) and owners (F,)."""
    parts = [
        places.everywhere(torch.from_numpy(vectors[start : start + _CHUNK])).numpy().astype(np.float16)
        for start in range(0, len(vectors), _CHUNK)
    ]
    return Field(places, np.concatenate(parts), owner)


def part_machines(
    field: Field,
    described: Vectors,
    groups: Sequence[Group],
    options: SvmOptions,
    *,
    seed: int,
    shown: Mapping[int, NDArray[np.int64]] | None = None,
) -> Callable[[float], Svms]:
    """SVMs of groups of parts, for any C.

    Args:
        field: Where positives and negatives are looked for; its images are numbered as those of the groups.
        described: (P, D), the descriptors of parts.
        groups: Rows of these.
        options: What is negative, and how often parts are looked for.
        seed: Of the windows that are drawn.
        shown: For some classes the numbers of windows of their own that are negative (see `find_shown`).
    """
    nothing = np.zeros(0, np.int64)
    avoid = [(shown or {}).get(group.owner, nothing) for group in groups]
    generator = np.random.default_rng(seed)
    count = field.windows.shape[1]
    drawn = {}
    for owner in sorted({group.owner for group in groups}):
        images = np.flatnonzero(field.owner != owner)
        drawn[owner] = generator.choice(images, DRAWN) * count + generator.integers(count, size=DRAWN)
    found = [nothing for _ in groups]
    against = [drawn[group.owner] for group in groups]
    for number in range(options.rounds + 1):
        svms = _train(field, described, groups, found, against, avoid, options)(1.0)
        scores, windows = field.best(svms)
        if number < options.rounds:
            found = [
                np.setdiff1d(windows[_further(field, group), place], avoid[place]) for place, group in enumerate(groups)
            ]
        against = [
            np.union1d(before, _hardest(field, group, scores[:, place], windows[:, place]))
            for place, (group, before) in enumerate(zip(groups, against, strict=True))
        ]
    return _train(field, described, groups, found, against, avoid, options)


def find_shown(
    field: Field,
    described: Vectors,
    groups: Sequence[Group],
    shunned: Sequence[Group],
    options: SvmOptions,
    *,
    seed: int,
) -> dict[int, NDArray[np.int64]]:
    """What shows the parts of groups that are left out: the windows of their class that SVMs of theirs take for them.

    Args:
        field: Where they are looked for.
        described: (P, D), the descriptors of parts.
        groups: Those that are not left out.
        shunned: Those that are.
        options: What is negative.
        seed: Of the windows that are drawn.

    Returns:
        For the class of each group that is left out the numbers of these windows.
    """
    if not shunned:
        return {}
    svms = part_machines(field, described, [*groups, *shunned], replace(options, rounds=0), seed=seed)(1.0)
    scores, windows = field.best(svms)
    taken: dict[int, NDArray[np.int64]] = {}
    for place, group in enumerate(shunned, len(groups)):
        seen = (field.owner == group.owner) & (scores[:, place] + svms.intercepts[place] > 0)
        taken[group.owner] = np.union1d(taken.get(group.owner, np.zeros(0, np.int64)), windows[seen, place])
    return taken


def _further(field: Field, group: Group) -> NDArray[np.int64]:
    """The images of a group's class that are not its own."""
    return np.setdiff1d(np.flatnonzero(field.owner == group.owner), group.images)


def _hardest(field: Field, group: Group, scores: NDArray[np.float32], windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The strangers' windows that an SVM takes for its part most firmly, given each image's best."""
    images = np.flatnonzero(field.owner != group.owner)
    return windows[images[np.argsort(-scores[images], kind="stable")[:HARD]]]


@dataclass(frozen=True)
class _Task:
    """What one SVM is trained on: parts by their rows, then windows by their numbers; which of them are positive."""

    parts: NDArray[np.int64]
    windows: NDArray[np.int64]
    positive: NDArray[np.bool_]

    def vectors(self, field: Field, described: Vectors) -> Vectors:
        """Their descriptors, float32 (n, D)."""
        return np.concatenate([described[self.parts], field.take(self.windows)])


def _train(
    field: Field,
    described: Vectors,
    groups: Sequence[Group],
    found: Sequence[NDArray[np.int64]],
    against: Sequence[NDArray[np.int64]],
    avoid: Sequence[NDArray[np.int64]],
    options: SvmOptions,
) -> Callable[[float], Svms]:
    """SVMs on each group's parts and what was found of them, against siblings, strangers and what is to be avoided."""
    nothing = np.zeros(0, np.int64)
    tasks = []
    for place, group in enumerate(groups):
        siblings = negatives(groups, place, {group.owner: nothing}, options)
        strangers = np.union1d(against[place] if options.others else nothing, avoid[place])
        sides = [(group.rows, True), (siblings, False), (found[place], True), (strangers, False)]
        positive = np.concatenate([np.full(len(rows), side, dtype=np.bool_) for rows, side in sides])
        tasks.append(_Task(np.concatenate([group.rows, siblings]), np.concatenate([found[place], strangers]), positive))
    grams = [(vectors := task.vectors(field, described)) @ vectors.T for task in tasks]

    def machines(cost: float) -> Svms:
        solved = [
            solve(
                task.vectors(field, described),
                np.flatnonzero(task.positive),
                np.flatnonzero(~task.positive),
                cost,
                options,
                gram,
            )
            for task, gram in zip(tasks, grams, strict=True)
        ]
        weights, intercepts = (np.array(values, dtype=np.float32) for values in zip(*solved, strict=True))
        return Svms(np.array([group.owner for group in groups], dtype=np.int64), weights, intercepts, field.places)

    return machines
