"""Summaries of one part in different neighbourhoods are merged."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.merge import SHARE, merge
from visual_summaries.clustering.options import PruneOptions

IMAGES, KINDS, NEAR = 30, 3, 8


@pytest.fixture
def planted():
    """A part of each of three kinds in each of thirty images in a row, each matched with the eight next to it."""
    rng = np.random.default_rng(0)
    image, kind = np.repeat(np.arange(IMAGES), KINDS), np.tile(np.arange(KINDS), IMAGES)
    pairs = np.array([(i, j) for i, j in itertools.combinations(range(IMAGES), 2) if j - i <= NEAR])
    near = np.abs(image[:, None] - image) <= NEAR
    values = np.where(kind[:, None] == kind, 0.8, 0.1) + rng.uniform(-0.05, 0.05, near.shape)
    values = np.where(near & (image[:, None] != image), (values + values.T) / 2, 0).astype(np.float32)
    return kind, image, pairs, csr_array(values)


def neighbourhoods(kind, image, size=5):
    """The parts of each kind in each five images in a row."""
    return [np.flatnonzero((kind == k) & (image // size == at)) for k in range(KINDS) for at in range(IMAGES // size)]


def test_neighbourhoods_of_a_part_become_one(planted):
    kind, image, pairs, similarity = planted
    members = neighbourhoods(kind, image)
    found = merge(members, similarity, image, pairs, goal=0.5)
    assert found == [list(range(start, start + 6)) for start in (0, 6, 12)]


def test_what_was_never_matched_stays_apart(planted):
    kind, image, pairs, similarity = planted
    members = [np.flatnonzero((kind == 0) & (image < 6)), np.flatnonzero((kind == 0) & (image >= 24))]
    assert merge(members, similarity, image, pairs, goal=0.5) == [[0], [1]]


def test_few_similarities_prove_nothing(planted):
    kind, image, pairs, similarity = planted
    members = [np.flatnonzero((kind == 0) & (image < 2)), np.flatnonzero((kind == 0) & (image >= 8) & (image < 10))]
    # known are 0-8, 1-8 and 1-9
    assert merge(members, similarity, image, pairs, goal=0.5, options=PruneOptions(min_members=4)) == [[0], [1]]
    assert merge(members, similarity, image, pairs, goal=0.5, options=PruneOptions(min_members=3)) == [[0, 1]]


def test_a_goal_of_zero_does_not_merge_what_has_nothing_in_common(planted):
    kind, image, pairs, similarity = planted
    similarity = csr_array(similarity * (kind[:, None] == kind))
    members = [np.flatnonzero((kind == k) & (image < 9)) for k in range(KINDS)]
    assert merge(members, similarity, image, pairs, goal=0.0) == [[0], [1], [2]]


def test_images_without_parts_change_nothing(planted):
    kind, image, pairs, similarity = planted
    pairs = np.concatenate([pairs, [[IMAGES - 1, IMAGES + 3]]])
    assert len(merge(neighbourhoods(kind, image), similarity, image, pairs, goal=0.5)) == KINDS


def test_no_summary():
    empty = np.zeros(0, np.int64)
    assert merge([], csr_array((0, 0), dtype=np.float32), empty, np.zeros((0, 2), np.int64), goal=0.5) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_definition_agrees(planted, seed):
    kind, image, pairs, _ = planted
    rng = np.random.default_rng(seed)
    near = np.abs(image[:, None] - image) <= NEAR
    values = rng.random(near.shape) * (0.6 + 0.4 * (kind[:, None] == kind))
    values = np.where(near & (image[:, None] != image), (values + values.T) / 2, 0).astype(np.float32)
    drawn = rng.permutation(len(image))[:60]
    members = [np.sort(own) for own in np.split(drawn, 12)]
    goal, least = 0.42, PruneOptions().min_members

    def share(one, other):
        matched = set(map(tuple, pairs.tolist()))
        known = [
            values[a, b] >= goal
            for a in one
            for b in other
            if (min(image[a], image[b]), max(image[a], image[b])) in matched
        ]
        return np.mean(known) if len(known) >= least else 0.0

    groups = {number: (own.tolist(), [number]) for number, own in enumerate(members)}
    while True:
        shares = {(a, b): share(groups[a][0], groups[b][0]) for a, b in itertools.combinations(sorted(groups), 2)}
        best = max(shares, key=lambda pair: (shares[pair], -pair[0], -pair[1]))
        if shares[best] < SHARE:
            break
        parts, numbers = groups.pop(best[1])
        groups[best[0]] = (groups[best[0]][0] + parts, groups[best[0]][1] + numbers)
    expected = [sorted(numbers) for _, numbers in (groups[one] for one in sorted(groups))]
    assert 1 < len(expected) < 12
    assert merge(members, csr_array(values), image, pairs, goal=goal) == expected
