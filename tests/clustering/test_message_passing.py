"""Message passing on sparse similarities: against scikit-learn, a slow definition, and on what is degenerate."""

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array
from sklearn.cluster import AffinityPropagation
from sklearn.metrics import adjusted_rand_score

from tests.reference.affinity import exemplars as slow_exemplars
from visual_summaries.clustering.clusters import message_passing
from visual_summaries.clustering.clusters.affinity import ranked
from visual_summaries.clustering.clusters.message_passing import pass_messages


def clouds(parts, seed=0, centers=5):
    """Ranks of the closeness of points around some centers, float32 (P, P), no zero outside of the diagonal."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(parts, 3)) + 4 * rng.normal(size=(centers, 3))[rng.integers(centers, size=parts)]
    matrix = np.exp(-((points[:, None] - points) ** 2).sum(axis=2) / 20).astype(np.float32)
    np.fill_diagonal(matrix, 0)
    return ranked(matrix)


def library(similarity, preference, damping=0.9):
    model = AffinityPropagation(
        damping=damping,
        max_iter=1000,
        convergence_iter=100,
        preference=preference,
        affinity="precomputed",
        random_state=0,
    )
    model.fit(similarity.astype(np.float64))
    return np.asarray(model.cluster_centers_indices_), model.labels_


@pytest.mark.parametrize("preference", [0.7, 0.0, -1.0, -4.0])
@pytest.mark.parametrize("parts", [25, 90, 250])
def test_full_matrices_give_the_clusters_of_scikit_learn(parts, preference):
    similarity = clouds(parts, seed=parts)
    exemplars, labels = library(similarity, preference)
    found = pass_messages(csr_array(similarity), preference)
    assert adjusted_rand_score(found.labels, labels) == 1
    sizes = np.bincount(labels)
    large = [exemplar for exemplar, size in zip(exemplars, sizes, strict=True) if size > 2]  # of two, either may be it
    assert set(large) <= set(found.exemplars)
    assert len(found.exemplars) == len(exemplars)
    assert found.iterations < 1000


def sparse_graph(parts, degree, seed):
    rng = np.random.default_rng(seed)
    dense = np.triu(rng.random((parts, parts)) * (rng.random((parts, parts)) < degree / parts), 1)
    return (dense + dense.T).astype(np.float32)


@pytest.mark.parametrize("iterations", [1, 2, 7, 40])
def test_missing_similarities_are_those_of_the_slow_definition(iterations):
    dense = sparse_graph(30, 6, seed=4)
    dense[3] = dense[:, 3] = 0  # alone
    full = np.where(dense > 0, dense.astype(np.float64), -np.inf)
    np.fill_diagonal(full, 0.4)
    expected = slow_exemplars(full, 0.8, iterations)
    found = pass_messages(csr_array(dense), 0.4, damping=0.8, iterations=iterations)
    chosen = np.flatnonzero(expected)
    reachable = np.isfinite(full[:, chosen]).any(axis=1) if len(chosen) else np.zeros(30, bool)
    assert np.array_equal(found.labels >= 0, reachable)
    assert len(found.exemplars) == len(chosen)
    for part, label in enumerate(found.labels):
        if label >= 0:
            assert np.isfinite(full[part, found.exemplars[label]])


def test_parts_without_a_common_neighbour_are_clustered_as_if_alone():
    blocks = [clouds(parts, seed=parts, centers=2) for parts in (20, 33, 26)]
    found = pass_messages(csr_array(block_diag(blocks)), 0.3)
    start = 0
    for block in blocks:
        _, labels = library(block, 0.3)
        assert adjusted_rand_score(found.labels[start : start + len(block)], labels) == 1
        start += len(block)
    assert len(set(found.labels[:20]) & set(found.labels[20:])) == 0


def test_a_part_alone_is_its_own_cluster():
    dense = sparse_graph(12, 5, seed=1)
    dense[[2, 7]] = dense[:, [2, 7]] = 0
    found = pass_messages(csr_array(dense), 0.5)
    assert {2, 7} <= set(found.exemplars)
    assert (found.labels[[2, 7]] == np.searchsorted(found.exemplars, [2, 7])).all()
    assert pass_messages(csr_array((1, 1), dtype=np.float32), -3.0).labels.tolist() == [0]


def test_stored_zeros_are_similarities_and_missing_ones_are_none():
    pair = csr_array((np.zeros(2, np.float32), ([0, 1], [1, 0])), shape=(3, 3))
    found = pass_messages(pair, -1.0)
    assert found.labels[0] == found.labels[1] != found.labels[2]


def test_the_diagonal_is_not_used_and_the_input_is_left_alone():
    similarity = csr_array(clouds(40))
    filled = csr_array(similarity + csr_array(np.diag(np.full(40, 9.0, np.float32))))
    before = similarity.data.copy()
    assert np.array_equal(pass_messages(filled, 0.2).labels, pass_messages(similarity, 0.2).labels)
    assert np.array_equal(similarity.data, before)


def test_blocks_of_rows_change_nothing(monkeypatch):
    similarity = csr_array(sparse_graph(60, 15, seed=2))
    whole = pass_messages(similarity, 0.6)
    monkeypatch.setattr(message_passing, "_ENTRIES", 40)
    parts = pass_messages(similarity, 0.6)
    assert np.array_equal(whole.labels, parts.labels)
    assert whole.iterations == parts.iterations


def test_too_few_iterations():
    similarity = csr_array(clouds(40))
    found = pass_messages(similarity, 0.2, iterations=3)
    assert found.iterations == 3
    assert found.labels.min() >= -1
    assert found.labels.max() < max(len(found.exemplars), 1)


def test_equal_similarities_do_not_fail_and_the_seed_decides():
    equal = np.full((9, 9), 0.5, np.float32)
    np.fill_diagonal(equal, 0)
    one, again = (pass_messages(csr_array(equal), 0.2, seed=3) for _ in range(2))
    assert np.array_equal(one.labels, again.labels)
    assert (one.labels >= 0).all()
    assert len(one.exemplars) < 9
