"""SVMs that look for a summary's part (see `specialize.places`): what is negative is found where they fail.

The positives of an SVM are the descriptors of its summary's parts. Of the windows of other classes' images some are
drawn at random, SVMs are trained against them, and the windows that these take for their part most firmly are
added: hard negatives. Siblings are the parts of the class's other summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from specialize.places import Places
from specialize.svm import Group, SvmOptions, Svms, Vectors, gram_of, negatives, solve

DRAWN = 400
"""Windows of strangers drawn at random, for each class; more make SVMs slow and hardly better."""

HARD = 100
"""Hard negatives of each SVM, at most one an image."""

_CHUNK = 32


@dataclass(frozen=True)
class Field:
    """The windows in which negatives are looked for.

    Attributes:
        places: How images become places.
        windows: float16 (F, W, D), of each image.
        owner: int64 (F,), place of each image's class among the specialised ones; -1 for another class.
    """

    places: Places
    windows: NDArray[np.float16]
    owner: NDArray[np.int64]


def look_everywhere(places: Places, vectors: Vectors, owner: NDArray[np.int64]) -> Field:
    """All windows of images with vectors (F, M) and owners (F,)."""
    parts = [
        places.everywhere(torch.from_numpy(vectors[start : start + _CHUNK])).numpy().astype(np.float16)
        for start in range(0, len(vectors), _CHUNK)
    ]
    return Field(places, np.concatenate(parts), owner)


def part_machines(
    field: Field, described: Vectors, groups: Sequence[Group], options: SvmOptions, *, seed: int
) -> Callable[[float], Svms]:
    """SVMs of groups of parts, for any C.

    Args:
        field: Where negatives are looked for.
        described: (P, D), the descriptors of parts.
        groups: Rows of these.
        options: What is negative.
        seed: Of the windows that are drawn.
    """
    generator = np.random.default_rng(seed)
    count = field.windows.shape[1]
    drawn = {}
    for owner in sorted({group.owner for group in groups}):
        images = np.flatnonzero(field.owner != owner)
        drawn[owner] = generator.choice(images, DRAWN) * count + generator.integers(count, size=DRAWN)
    places = [drawn[group.owner] for group in groups]
    easy = _train(field, described, groups, places, options)(1.0)
    hard = _hardest(field, easy)
    return _train(field, described, groups, [*map(np.union1d, places, hard)], options)


def _train(
    field: Field,
    described: Vectors,
    groups: Sequence[Group],
    places: Sequence[NDArray[np.int64]],
    options: SvmOptions,
) -> Callable[[float], Svms]:
    """SVMs against some windows of strangers, given for each group by their numbers in the field."""
    flat = field.windows.reshape(-1, field.windows.shape[2])
    tasks: list[_Task] = []
    for owner in sorted({group.owner for group in groups}):
        own = [place for place, group in enumerate(groups) if group.owner == owner]
        wanted = np.unique(np.concatenate([places[place] for place in own]))
        vectors = np.concatenate([described, flat[wanted].astype(np.float32)])
        gram = gram_of(vectors).astype(np.float32)
        for place in own:
            strangers = len(described) + np.searchsorted(wanted, places[place])
            negative = negatives(groups, place, {owner: strangers}, options)
            tasks.append(_Task(place, vectors, groups[place].rows, negative, gram))
    tasks.sort(key=lambda task: task.place)

    def machines(cost: float) -> Svms:
        found = [solve(task.vectors, task.positive, task.negative, cost, options, task.gram) for task in tasks]
        weights, intercepts = (np.array(values, dtype=np.float32) for values in zip(*found, strict=True))
        return Svms(np.array([group.owner for group in groups], dtype=np.int64), weights, intercepts, field.places)

    return machines


@dataclass(frozen=True)
class _Task:
    """One SVM to train: its place among the groups, and rows of the vectors that its class has in common."""

    place: int
    vectors: Vectors
    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    gram: NDArray[np.float32]


def _hardest(field: Field, svms: Svms) -> list[NDArray[np.int64]]:
    """For each SVM the best windows of the strangers' images that it takes for its part most firmly."""
    count = field.windows.shape[1]
    best, where = [], []
    for start in range(0, len(field.owner), _CHUNK):
        values = field.windows[start : start + _CHUNK].astype(np.float32) @ svms.weights.T  # (n, W, S)
        best.append(values.max(axis=1))
        where.append(values.argmax(axis=1))
    scores, windows = np.concatenate(best), np.concatenate(where)
    found = []
    for place, owner in enumerate(svms.owner):
        images = np.flatnonzero(field.owner != owner)
        images = images[np.argsort(-scores[images, place], kind="stable")[:HARD]]
        found.append(images * count + windows[images, place])
    return found
