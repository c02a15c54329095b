"""Transfer rules on planted matches, and the mode against a search of the whole plane."""

import dataclasses

import numpy as np
import pytest
import torch

from visual_summaries.clustering.matching.keypoint_transfer import (
    TransferOptions,
    Votes,
    best,
    cast_votes,
    dense,
    look_everywhere,
    mean_cosines,
    mode,
    nearest,
    unmoved,
)
from visual_summaries.clustering.matching.proposal_flow import Features

FRAME = (224, 280)


def features(boxes, frame=FRAME):
    return Features(np.zeros((len(boxes), 1), np.float32), np.asarray(boxes, np.float32).reshape(-1, 4), frame)


def planted(boxes, seed=0):
    """Boxes of A, the same in B under one affine map, and scores that find them."""
    a = boxes(60, seed=seed)
    stretch, shift = np.float32([0.8, 1.1]), np.float32([20, -9])
    b = a * np.tile(stretch, 2) + np.tile(shift, 2)
    order = np.random.default_rng(seed).permutation(60)
    scores = np.zeros((60, 60), np.float32)
    scores[order, np.arange(60)] = np.random.default_rng(seed + 1).random(60) + 0.5
    points = np.array([[80.0, 70.0], [120.5, 130.25], [60.0, 150.0]])
    return scores, features(a), features(b[order]), points, points * stretch + shift


def test_every_rule_follows_the_planted_map(boxes):
    scores, a, b, points, expected = planted(boxes)
    votes = cast_votes(scores, a, b, points)
    assert best(votes, points, a, b) == pytest.approx(expected, abs=1e-3)
    assert mode(votes, points, a, b) == pytest.approx(expected, abs=1e-3)
    flat = np.full((3, 56, 70), 0.5, np.float32)
    assert dense(votes, points, a, b, flat) == pytest.approx(expected, abs=1.0)


def test_votes_are_those_of_the_best_boxes_around_the_point():
    a = features([[0, 0, 10, 10], [0, 0, 20, 40], [5, 5, 9, 9], [30, 30, 40, 40], [0, 0, 12, 12]])
    b = features([[100, 100, 110, 120], [0, 0, 10, 10]])
    scores = np.array([[3, 1], [0, 5], [4, 2], [9, 9], [0, 0]], np.float32)
    (votes,) = cast_votes(scores, a, b, np.array([[6.0, 8.0]]), TransferOptions(area_power=0.5))
    assert votes.scores.tolist() == [5, 4, 3]  # the fourth box is elsewhere, the fifth has no match
    assert votes.places == pytest.approx(np.array([[3.0, 2.0], [102.5, 115.0], [106.0, 116.0]]))
    assert votes.weights == pytest.approx([5 / 800**0.5, 4 / 4, 3 / 10])
    (few,) = cast_votes(scores, a, b, np.array([[6.0, 8.0]]), TransferOptions(votes=2))
    assert few.scores.tolist() == [5, 4]


@pytest.mark.parametrize("seed", range(4))
def test_the_mode_is_a_summit_of_the_density(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(60, 160, (3, 2))
    places = np.concatenate([centre + rng.normal(0, 6, (n, 2)) for centre, n in zip(centres, (40, 12, 9), strict=True)])
    weights = rng.uniform(0.5, 1.5, len(places))
    options = TransferOptions(mode_width=10.0)
    (found,) = mode([Votes(places, weights, weights)], np.zeros((1, 2)), features([]), features([]), options)
    x, y = np.meshgrid(np.arange(40, 190, 0.25), np.arange(40, 190, 0.25))
    density = sum(w * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 200) for w, (u, v) in zip(weights, places, strict=True))
    at = np.unravel_index(density.argmax(), density.shape)
    assert found == pytest.approx([x[at], y[at]], abs=0.5)


def test_widths_grow_with_the_frame():
    places = np.array([[100.0, 100.0], [103.0, 101.0], [120.0, 130.0]])
    votes, weights = Votes(places, np.ones(3), np.ones(3)), np.zeros((1, 2))
    twice = Votes(2 * places, np.ones(3), np.ones(3))
    small, large = features([]), features([], (448, 560))
    assert mode([twice], weights, large, large) == pytest.approx(2 * mode([votes], weights, small, small))


def test_the_dense_rule_weighs_votes_by_features():
    # Two equal votes; the features at the point are those of the second one's place.
    places = np.array([[60.0, 60.0], [180.0, 140.0]])
    votes = Votes(places, np.ones(2), np.ones(2))
    a = b = features([])
    point = np.array([[30.0, 40.0]])
    of_b = torch.zeros(2, 28, 35)
    of_b[0] = 1.0
    of_b[:, 15:20, 20:25] = torch.tensor([0.0, 1.0])[:, None, None]
    of_a = torch.zeros(2, 28, 35)
    of_a[1] = 1.0
    cosines = mean_cosines([of_a], point, FRAME, look_everywhere([of_b], FRAME))
    assert cosines.shape == (1, 56, 70)
    assert cosines[0, 35, 45] == pytest.approx(1.0)
    assert cosines[0, 15, 15] == pytest.approx(0.0)
    (found,) = dense([votes], point, a, b, cosines)
    assert np.abs(found - places[1]).max() < 6
    (alone,) = nearest(point, a, b, cosines)
    assert np.abs(alone - [180, 140]).max() < 8  # inside the square
    # Where no feature agrees, votes decide; so they do between places that agree alike.
    for cosine in (-1.0, 0.3):
        heavier = dataclasses.replace(votes, weights=np.array([1.0, 1.2]))
        (found,) = dense([heavier], point, a, b, np.full((1, 56, 70), cosine, np.float32))
        assert np.abs(found - places[1]).max() < 2


def test_points_that_no_match_contains_stay_where_they_are():
    a, b = features([[0, 0, 10, 10]]), features([[5, 5, 50, 50]], (112, 140))
    points = np.array([[100.0, 80.0], [4.0, 4.0]])
    for scores in (np.zeros((1, 1), np.float32), np.zeros((1, 0), np.float32), np.zeros((0, 1), np.float32)):
        votes = cast_votes(scores, a, b, points)
        flat = np.ones((2, 28, 35), np.float32)
        for found in (best(votes, points, a, b), mode(votes, points, a, b), dense(votes, points, a, b, flat)):
            assert found == pytest.approx(points / 2)
    assert unmoved(points, a, b) == pytest.approx(points / 2)
    assert nearest(points, a, b, -np.ones((2, 28, 35), np.float32)) == pytest.approx(points / 2)
