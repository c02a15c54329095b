"""k-means and agglomerative clustering as they stand beside summaries."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from visual_summaries.clustering.metrics.baselines import (
    agglomerate,
    distance_to_centre,
    distance_to_members,
    kmeans,
    tightest,
)


def planted(groups=5, each=8, noise=0.15, seed=0):
    """Vectors of random lengths around a few directions, and the groups they are of."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(groups), each)
    directions = rng.normal(size=(groups, 30))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vectors = directions[truth] + noise * rng.normal(size=(len(truth), 30)) / np.sqrt(30)
    return (vectors * rng.uniform(0.1, 10, (len(truth), 1))).astype(np.float32), truth


def random_similarity(parts, seed=0):
    matrix = np.random.default_rng(seed).random((parts, parts)).astype(np.float32)
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    return matrix


def test_kmeans_finds_planted_directions_whatever_the_lengths():
    vectors, truth = planted()
    labels = kmeans(vectors, 5, seed=0)
    assert adjusted_rand_score(truth, labels) == 1
    assert np.array_equal(labels, kmeans(vectors, 5, seed=0))


def test_agglomeration_finds_planted_groups():
    truth = np.repeat(np.arange(6), [7, 3, 1, 5, 2, 9])
    matrix = np.where(truth[:, None] == truth, np.float32(0.9), np.float32(0.2)) - 0.1 * random_similarity(27)
    assert adjusted_rand_score(truth, agglomerate(matrix, 6)) == 1


def test_agglomeration_is_average_linkage():
    matrix = random_similarity(40)
    distance = 1 - matrix.astype(np.float64)
    np.fill_diagonal(distance, 0)
    expected = fcluster(linkage(squareform(distance, checks=False), "average"), 9, "maxclust")
    labels = agglomerate(matrix, 9)
    assert adjusted_rand_score(expected, labels) == 1
    assert np.array_equal(labels, agglomerate(csr_array(matrix), 9))


@pytest.mark.parametrize("parts", [0, 1])
def test_agglomeration_of_next_to_nothing(parts):
    assert agglomerate(np.zeros((parts, parts), np.float32), 1).tolist() == [0] * parts


def test_distances_agree_with_their_definitions():
    vectors, _ = planted(noise=1.0)
    labels = np.random.default_rng(1).integers(0, 6, len(vectors))
    labels[0] = 9  # alone
    matrix = random_similarity(len(vectors))
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    centre, members = distance_to_centre(vectors, labels), distance_to_members(matrix, labels)
    for part, label in enumerate(labels):
        own = [other for other in range(len(labels)) if labels[other] == label]
        assert centre[part] == pytest.approx(np.linalg.norm(unit[part] - np.mean(unit[own], axis=0)), abs=1e-5)
        others = [1 - float(matrix[part, other]) for other in own if other != part]
        assert members[part] == pytest.approx(np.mean(others) if others else 0, abs=1e-6)
    assert members == pytest.approx(distance_to_members(csr_array(matrix), labels))


def test_the_tightest_clusters_are_taken_and_cut_to_size():
    #        cluster 0: images 0 0 1 2 3   1: images 0 1 2   2: images 0 1 2 3   3: image 5 alone
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3])
    image = np.array([0, 0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 5])
    distance = np.array([0.3, 0.1, 0.4, 0.2, 0.3, 0.9, 0.9, 0.9, 0.5, 0.5, 0.4, 0.5, 0.0])
    found = tightest(labels, image, distance, [9, 9, 9], min_members=3)
    assert [parts.tolist() for parts in found] == [[1, 3, 4, 2], [10, 8, 9, 11], [5, 6, 7]]
    found = tightest(labels, image, distance, [3, 2], min_members=3)
    assert [parts.tolist() for parts in found] == [[1, 3, 4], [10, 8]]  # cluster 1 is the loosest
    assert len(tightest(labels, image, distance, [9] * 8, min_members=4)) == 2
    assert tightest(labels, image, distance, [], min_members=1) == []
    none = np.zeros(0, np.int64)
    assert tightest(none, none, np.zeros(0), [4], min_members=1) == []
