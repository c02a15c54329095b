"""Controls of the method of the summaries: the same SVMs on other groups of the same images, and no SVMs.

    ========================  ==========================================================================================
    ``one_per_class``         one SVM a class, on all members of its summaries
    ``kmeans``                k-means of the features of these members, into as many clusters as the class has summaries
    ``random``                random groups of the same sizes
    ``random_no_siblings``    the same, without siblings as negatives
    ``logit_bonus``           a constant added to the logits of the specialised classes (uninformed)
    ``uniform``               a convex sum with the same score for every specialised class (uninformed)
    ``one_per_class_all``     one SVM a class, on all of its training images; not in the paper: the usual choice without
                              summaries
    ========================  ==========================================================================================

The uninformed controls look at no feature of the image. Results of random groups are means over `DRAWS` draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visual_summaries.clustering.metrics.baselines import kmeans
from visual_summaries.clustering.metrics.purity import random_clusters
from visual_summaries.specialize.svm import Group

DRAWS = 3
"""Draws of random groups."""

METHODS = ("summaries", "one_per_class", "kmeans", "random", "random_no_siblings", "logit_bonus", "uniform")
"""In the order of the tables."""

FURTHER = ("summaries_no_siblings", "one_per_class_all")
"""Reported apart."""


def one_per_class(groups: Sequence[Group]) -> list[Group]:
    """One group a class: every image of the class's groups, once.

    Examples:
        >>> groups = [Group(0, np.array([0, 1]), np.array([0, 1])), Group(0, np.array([1, 2]), np.array([1, 2]))]
        >>> [group.rows.tolist() for group in one_per_class(groups)]
        [[0, 1, 2]]
    """
    owners = sorted({group.owner for group in groups})
    return [_merged(owner, [group for group in groups if group.owner == owner]) for owner in owners]


def _merged(owner: int, groups: Sequence[Group]) -> Group:
    rows, first = np.unique(np.concatenate([group.rows for group in groups]), return_index=True)
    return Group(owner, rows, np.concatenate([group.images for group in groups])[first])


def kmeans_groups(groups: Sequence[Group], vectors: NDArray[np.float32], *, seed: int) -> list[Group]:
    """Clusters the rows of each class's groups with k-means, into as many clusters as there are groups.

    Args:
        groups: Those of the summaries.
        vectors: (N, D).
        seed: Of the initial centres.
    """
    found = []
    for whole in one_per_class(groups):
        count = min(sum(group.owner == whole.owner for group in groups), len(whole.rows))
        labels = kmeans(vectors[whole.rows], count, seed=seed)
        found += [Group(whole.owner, whole.rows[labels == k], whole.images[labels == k]) for k in np.unique(labels)]
    return found


def random_groups(groups: Sequence[Group], *, seed: int) -> list[Group]:
    """Random groups of the same sizes, from the rows of each class's groups, at most one row per image.

    Args:
        groups: Those of the summaries.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    found = []
    for whole in one_per_class(groups):
        sizes = [len(group.rows) for group in groups if group.owner == whole.owner]
        drawn = random_clusters(sizes, whole.images, generator)
        found += [Group(whole.owner, whole.rows[chosen], whole.images[chosen]) for chosen in drawn]
    return found
