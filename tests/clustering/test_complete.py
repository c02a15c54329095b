"""Summaries look for their part in every image."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.complete import complete
from visual_summaries.clustering.options import PruneOptions

IMAGES, KINDS = 6, 3


def world(high=0.8, low=0.1, seed=0):
    """Six images with a box of each of three kinds and one of none; parts are the boxes of the first two kinds."""
    rng = np.random.default_rng(seed)
    kind = np.tile([*range(KINDS), -1], IMAGES)
    image = np.repeat(np.arange(IMAGES), KINDS + 1)
    alike = np.where((kind[:, None] == kind) & (kind >= 0), high, low) + rng.uniform(0, 0.05, (len(kind), len(kind)))
    alike = np.where(image[:, None] == image, 0, (alike + alike.T) / 2).astype(np.float32)
    return kind, image, alike, np.flatnonzero((kind == 0) | (kind == 1))


def run(members, *, exemplars, merged=(), closed=(), goal=0.5, pairs=None, high=0.8, options=None):
    kind, image, alike, parts = world(high)
    found = complete(
        [np.searchsorted(parts, boxes) for boxes in members],
        csr_array(alike[:, parts]),
        image,
        image[parts],
        centres=[np.array([exemplar, *merged]) for exemplar in exemplars],
        taken=np.zeros(0, np.int64),
        closed=[np.array(closed, dtype=np.int64)] * len(members),
        goal=goal,
        pairs=pairs,
        options=options,
    )
    return kind, image, found


def box(image, kind):
    return image * (KINDS + 1) + kind


def test_a_part_is_found_in_all_images():
    members = [[box(0, 0), box(1, 0), box(2, 0)], [box(3, 1), box(4, 1), box(5, 1)]]
    kind, image, found = run(members, exemplars=[box(0, 0), box(4, 1)])
    for number, boxes in enumerate(found):
        assert (kind[boxes] == number).all()
        assert sorted(image[boxes]) == list(range(IMAGES))
    assert found[0][0] == box(0, 0)
    assert found[1][0] == box(4, 1)


def test_a_member_that_is_off_is_put_right():
    members = [[box(0, 0), box(1, 0), box(2, 0), box(3, 1)]]
    kind, _, found = run(members, exemplars=[box(0, 0)])
    assert (kind[found[0]] == 0).all()


def test_what_does_not_match_is_not_taken():
    _, _, found = run([[box(0, 0), box(1, 0), box(2, 0)]], exemplars=[box(0, 0)], goal=0.9)
    assert found[0].tolist() == [box(0, 0)]


def test_a_box_belongs_to_one_summary_and_no_exemplar_is_taken():
    same = [[box(0, 0), box(1, 0), box(2, 0)], [box(3, 0), box(4, 0), box(5, 0)]]
    kind, _, found = run(same, exemplars=[box(0, 0), box(3, 0)], closed=[box(5, 0)])
    both = np.concatenate(found)
    assert len(np.unique(both)) == len(both)
    assert box(5, 0) not in both
    assert box(3, 0) not in found[0]
    assert (kind[both] == 0).all()


def test_only_images_that_were_matched_with_the_exemplars_count():
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [1, 4], [2, 3], [2, 4]])
    _, image, found = run([[box(0, 0), box(1, 0), box(2, 0)]], exemplars=[box(0, 0)], pairs=pairs)
    assert sorted(image[found[0]]) == [0, 1, 2, 3]  # 4 was matched with members, but not with the exemplar


def test_what_was_merged_counts_too():
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [1, 4], [2, 3], [2, 4]])
    members = [[box(0, 0), box(1, 0), box(2, 0)]]
    _, image, found = run(members, exemplars=[box(0, 0)], merged=[box(1, 0)], pairs=pairs)
    assert sorted(image[found[0]]) == [0, 1, 2, 3, 4]
    assert found[0][0] == box(0, 0)


def test_members_that_were_matched_with_the_exemplar_alone_stay():
    star = np.array([[0, image] for image in range(1, IMAGES)])
    members = [[box(image, 0) for image in range(IMAGES)]]
    _, _, found = run(members, exemplars=[box(0, 0)], pairs=star)
    assert sorted(found[0]) == members[0]


def test_two_members_are_a_summary():
    _, image, found = run([[box(0, 0), box(1, 0)]], exemplars=[box(0, 0)])
    assert sorted(image[found[0]]) == list(range(IMAGES))


def test_no_goal_takes_no_box_that_matches_nothing():
    kind, image, alike, parts = world()
    none = np.where(kind[:, None] == kind, alike, 0)
    (found,) = complete(
        [np.searchsorted(parts, [box(0, 0), box(1, 0)])],
        csr_array(none[:, parts]),
        image,
        image[parts],
        centres=[np.array([box(0, 0)])],
        taken=np.zeros(0, np.int64),
        closed=[np.array([box(3, 0)])],
        goal=0.0,
    )
    assert sorted(found) == [box(i, 0) for i in range(IMAGES) if i != 3]


def test_an_image_gives_its_second_box_where_the_first_belongs_to_another_summary():
    # two boxes of kind 0 in image 2: the twin stands at the place of kind 2
    _, image, alike, parts = world()
    twin = box(2, 2)
    alike[twin], alike[:, twin] = alike[box(2, 0)] * 0.95, alike[:, box(2, 0)] * 0.95
    members = [[box(0, 0), box(1, 0), box(3, 0)], [box(4, 0), box(5, 0), box(3, 0)]]
    found = complete(
        [np.searchsorted(parts, own) for own in members],
        csr_array(alike[:, parts]),
        image,
        image[parts],
        centres=[np.array([box(0, 0)]), np.array([box(4, 0)])],
        taken=np.zeros(0, np.int64),
        closed=[np.zeros(0, np.int64)] * 2,
        goal=0.5,
    )
    assert {int(b) for boxes in found for b in boxes if image[b] == 2} == {box(2, 0), twin}


def test_the_share_of_low_similarities_decides():
    mixed = [[box(0, 0), box(1, 0), box(2, 1), box(3, 1)]]  # half of the members are of another kind
    strict, loose = (
        run(mixed, exemplars=[box(0, 0)], options=PruneOptions(joins_share=share))[2][0] for share in (0.5, 0.9)
    )
    assert len(strict) < len(loose) == IMAGES


def test_no_summary_and_no_box():
    empty = np.zeros(0, np.int64)
    none = complete([], csr_array((0, 0)), empty, empty, centres=[], taken=empty, closed=[], goal=0.5)
    assert none == []


def test_a_slow_definition_agrees():
    _, image, alike, parts = world(high=0.3, low=0.2, seed=4)
    own = np.array([box(0, 0), box(1, 1), box(2, 0), box(3, 0)])
    (found,) = complete(
        [np.searchsorted(parts, own)],
        csr_array(alike[:, parts]),
        image,
        image[parts],
        centres=[own[:1]],
        taken=np.zeros(0, np.int64),
        closed=[np.zeros(0, np.int64)],
        goal=0.25,
    )
    expected = {0: own[0]}
    for other in range(1, IMAGES):
        members = [m for m in own if image[m] != other]
        scores = {b: float(np.mean([alike[b, m] for m in members])) for b in np.flatnonzero(image == other)}
        best = max(scores, key=scores.get)
        if np.mean([alike[best, m] < 0.25 for m in members]) < 0.4:
            expected[other] = best
    assert {int(image[b]): b for b in found} == expected
    scores = [np.mean([alike[b, m] for m in own if image[m] != image[b]]) for b in found[1:]]
    assert scores == pytest.approx(sorted(scores, reverse=True))
