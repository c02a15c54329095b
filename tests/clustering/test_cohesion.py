"""Cohesion and separation against loops, and where there is little to compare."""

import numpy as np
import pytest

from visual_summaries.clustering.metrics.cohesion import cohesion, separation, unit


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32)


def test_cohesion_is_the_mean_cosine_over_pairs(vectors):
    cluster = np.array([4, 9, 2, 17, 20])
    pairs = [(a, b) for a in cluster for b in cluster if a < b]
    expected = np.mean([cosine(vectors[a], vectors[b]) for a, b in pairs])
    assert cohesion(unit(vectors), cluster) == pytest.approx(expected, abs=1e-6)


def test_cohesion_needs_two_members(vectors):
    assert cohesion(unit(vectors), np.array([3])) is None
    assert cohesion(unit(vectors), np.zeros(0, np.int64)) is None
    assert cohesion(unit(vectors), np.array([3, 3])) == pytest.approx(1)


def test_separation_is_the_mean_silhouette(vectors):
    clusters = [np.array([0, 1, 2, 3]), np.array([4, 5]), np.array([6]), np.array([7, 8, 9])]
    found = separation(unit(vectors), clusters)
    for number, cluster in enumerate(clusters):
        values = []
        for member in cluster:
            own = [1 - cosine(vectors[member], vectors[other]) for other in cluster if other != member]
            others = [
                np.mean([1 - cosine(vectors[member], vectors[one]) for one in other])
                for place, other in enumerate(clusters)
                if place != number
            ]
            a, b = np.mean(own) if own else 0, min(others)
            values.append((b - a) / max(a, b) if own else 0)
        assert found[number] == pytest.approx(np.mean(values), abs=1e-6)


def test_clusters_apart_and_clusters_mixed():
    apart = unit(np.repeat(np.eye(3), 4, axis=0) + 1e-3 * np.arange(12)[:, None])
    assert separation(apart, [np.arange(4), np.arange(4, 8), np.arange(8, 12)]) == pytest.approx([1] * 3, abs=0.01)
    mixed = separation(apart, [np.array([0, 4, 8]), np.array([1, 5, 9])])
    assert max(value for value in mixed if value is not None) < 0


def test_separation_needs_two_clusters_and_a_pair(vectors):
    assert separation(unit(vectors), []) == []
    assert separation(unit(vectors), [np.array([1, 2])]) == [None]
    assert separation(unit(vectors), [np.array([1]), np.array([2])]) == [None, None]


def test_a_vector_of_no_length_is_like_nothing():
    assert cohesion(unit(np.array([[0.0, 0.0], [1.0, 0.0]])), np.array([0, 1])) == 0
