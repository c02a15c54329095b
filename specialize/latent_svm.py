"""Latent SVM: an SVM of a part that scores an image by its best window.

    decision(image) = max over windows w of the image of  <weights, descriptor(w)> + intercept

This is multiple-instance learning: an image is a bag of windows, positive if at least one window shows the part
(Andrews et al., NeurIPS 2003, MI-SVM), and the latent variable is the window (Felzenszwalb et al., TPAMI 2010).
Training alternates as they do: search the best windows with the current weights, then train on them.

Here the latent variable of a summary's own images is known: their positives are the descriptors of their parts. A
summary has about a dozen members, and a class may have hundreds of training images. In each round every SVM searches
its part in the class's other training images, and the best window of each becomes a positive (departure: the paper
trains on the summary's own images alone).

Negatives from other classes are random windows, and the highest scoring windows of the current SVMs, which are added
in every round (hard negatives, Felzenszwalb et al. section 4.4). The parts of the class's other summaries, the
siblings, are negatives as well.

A user may exclude a summary, for instance one of a watermark. Its part is then searched in the class's images by an SVM
of its own, and the windows found are negatives of the class's other SVMs. Otherwise these could learn it from the
windows that they add. Figures are in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.specialize.options import SvmOptions
from visual_summaries.specialize.svm import Group, Svms, Vectors, negatives, solve
from visual_summaries.specialize.windows import WindowPooling

RANDOM_NEGATIVES = 400
"""Random windows of other classes, for each class; more make training slower and the SVMs hardly better."""

HARD_NEGATIVES = 100
"""Hard negatives added for each SVM in a round, at most one per image."""

_CHUNK = 32


@dataclass(frozen=True)
class Bags:
    """Images as bags of windows.

    Attributes:
        pooling: How windows are described.
        windows: float16 (F, W, D), descriptors of each image's windows.
        owner: int64 (F,), position of each image's class among the specialised ones; -1 for another class.
    """

    pooling: WindowPooling
    windows: NDArray[np.float16]
    owner: NDArray[np.int64]

    def take(self, numbers: NDArray[np.int64]) -> Vectors:
        """Windows by number, float32 (n, D); window w of image i has number i * W + w."""
        taken: Vectors = self.windows.reshape(-1, self.windows.shape[2])[numbers].astype(np.float32)
        return taken

    def best(self, svms: Svms) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best window of each image for each SVM: its decision without the intercept, and its number, (F, S)."""
        scores, positions = [], []
        for start in range(0, len(self.owner), _CHUNK):
            values = self.windows[start : start + _CHUNK].astype(np.float32) @ svms.weights.T  # (n, W, S)
            scores.append(values.max(axis=1))
            positions.append(values.argmax(axis=1))
        first = np.arange(len(self.owner))[:, None] * self.windows.shape[1]
        return np.concatenate(scores), np.concatenate(positions) + first


def make_bags(pooling: WindowPooling, vectors: Vectors, owner: NDArray[np.int64]) -> Bags:
    """The bags of images with vectors (F, M) and owners (F,)."""
    windows = [
        pooling.pool_windows(torch.from_numpy(vectors[start : start + _CHUNK])).numpy().astype(np.float16)
        for start in range(0, len(vectors), _CHUNK)
    ]
    return Bags(pooling, np.concatenate(windows), owner)


def latent_svms(
    bags: Bags,
    described: Vectors,
    groups: Sequence[Group],
    options: SvmOptions,
    *,
    seed: int,
    excluded_windows: Mapping[int, NDArray[np.int64]] | None = None,
) -> Callable[[float], Svms]:
    """Latent SVMs of groups of parts.

    Windows are searched with C = 1, once for all values of C.

    Args:
        bags: The training images, numbered as those of the groups.
        described: (P, D), descriptors of the parts.
        groups: Rows of these; one SVM each.
        options: Which images are negatives, and the number of rounds.
        seed: Of the random negatives.
        excluded_windows: For some classes, numbers of windows of their own images that are negatives (see
            `find_excluded_windows`).

    Returns:
        A function that trains the SVMs with a given C.
    """
    nothing = np.zeros(0, np.int64)
    excluded = [(excluded_windows or {}).get(group.owner, nothing) for group in groups]
    generator = np.random.default_rng(seed)
    count = bags.windows.shape[1]
    drawn = {}
    for owner in sorted({group.owner for group in groups}):
        images = np.flatnonzero(bags.owner != owner)
        drawn[owner] = generator.choice(images, RANDOM_NEGATIVES) * count + generator.integers(
            count, size=RANDOM_NEGATIVES
        )
    found = [nothing for _ in groups]
    off_class = [drawn[group.owner] for group in groups]
    for number in range(options.rounds + 1):
        svms = _prepare(bags, described, groups, found, off_class, excluded, options)(1.0)
        scores, windows = bags.best(svms)
        if number < options.rounds:
            found = [
                np.setdiff1d(windows[_further_images(bags, group), index], excluded[index])
                for index, group in enumerate(groups)
            ]
        off_class = [
            np.union1d(before, _hardest(bags, group, scores[:, index], windows[:, index]))
            for index, (group, before) in enumerate(zip(groups, off_class, strict=True))
        ]
    return _prepare(bags, described, groups, found, off_class, excluded, options)


def find_excluded_windows(
    bags: Bags,
    described: Vectors,
    groups: Sequence[Group],
    excluded: Sequence[Group],
    options: SvmOptions,
    *,
    seed: int,
) -> dict[int, NDArray[np.int64]]:
    """The windows that show the parts of excluded groups: the best window of each image with a positive decision.

    Args:
        bags: The training images.
        described: (P, D), descriptors of the parts.
        groups: Groups that are not excluded.
        excluded: Groups that are.
        options: Which images are negatives.
        seed: Of the random negatives.

    Returns:
        For the class of each excluded group, the numbers of these windows.
    """
    if not excluded:
        return {}
    svms = latent_svms(bags, described, [*groups, *excluded], replace(options, rounds=0), seed=seed)(1.0)
    scores, windows = bags.best(svms)
    taken: dict[int, NDArray[np.int64]] = {}
    for index, group in enumerate(excluded, len(groups)):
        positive = (bags.owner == group.owner) & (scores[:, index] + svms.intercepts[index] > 0)
        taken[group.owner] = np.union1d(taken.get(group.owner, np.zeros(0, np.int64)), windows[positive, index])
    return taken


def _further_images(bags: Bags, group: Group) -> NDArray[np.int64]:
    """The images of a group's class that are not in the group."""
    return np.setdiff1d(np.flatnonzero(bags.owner == group.owner), group.images)


def _hardest(bags: Bags, group: Group, scores: NDArray[np.float32], windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The windows of other classes with the highest scores, given each image's best window."""
    images = np.flatnonzero(bags.owner != group.owner)
    return windows[images[np.argsort(-scores[images], kind="stable")[:HARD_NEGATIVES]]]


@dataclass(frozen=True)
class _Samples:
    """The training samples of one SVM: rows of parts, then numbers of windows, and which of all are positive."""

    parts: NDArray[np.int64]
    windows: NDArray[np.int64]
    positive: NDArray[np.bool_]

    def vectors(self, bags: Bags, described: Vectors) -> Vectors:
        """Their descriptors, float32 (n, D)."""
        return np.concatenate([described[self.parts], bags.take(self.windows)])


def _prepare(
    bags: Bags,
    described: Vectors,
    groups: Sequence[Group],
    found: Sequence[NDArray[np.int64]],
    off_class: Sequence[NDArray[np.int64]],
    excluded: Sequence[NDArray[np.int64]],
    options: SvmOptions,
) -> Callable[[float], Svms]:
    """A trainer of SVMs: positives are parts and windows found; negatives siblings, other classes, excluded windows."""
    nothing = np.zeros(0, np.int64)
    samples = []
    for index, group in enumerate(groups):
        siblings = negatives(groups, index, {group.owner: nothing}, options)
        negative = np.union1d(off_class[index] if options.others else nothing, excluded[index])
        signs = [(group.rows, True), (siblings, False), (found[index], True), (negative, False)]
        positive = np.concatenate([np.full(len(rows), sign, dtype=np.bool_) for rows, sign in signs])
        samples.append(
            _Samples(np.concatenate([group.rows, siblings]), np.concatenate([found[index], negative]), positive)
        )
    grams = [(vectors := one.vectors(bags, described)) @ vectors.T for one in samples]

    def with_cost(cost: float) -> Svms:
        solved = [
            solve(
                one.vectors(bags, described),
                np.flatnonzero(one.positive),
                np.flatnonzero(~one.positive),
                cost,
                options,
                gram,
            )
            for one, gram in zip(samples, grams, strict=True)
        ]
        weights, intercepts = (np.array(values, dtype=np.float32) for values in zip(*solved, strict=True))
        return Svms(np.array([group.owner for group in groups], dtype=np.int64), weights, intercepts, bags.pooling)

    return with_cost
