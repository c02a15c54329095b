"""Ranks, and affinity propagation on planted blocks and on what is degenerate."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.cluster import AffinityPropagation

from visual_summaries.clustering.clusters import affinity
from visual_summaries.clustering.clusters.affinity import propagate, ranked
from visual_summaries.clustering.options import AffinityOptions


def planted(sizes, seed=0, inside=0.9, outside=0.1):
    """Similarities of blocks: high inside, low outside, no value twice; with the block of each part, shuffled."""
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    matrix = np.where(block[:, None] == block, inside, outside) + rng.uniform(-0.09, 0.09, (len(block), len(block)))
    matrix = np.triu(matrix, 1)
    return (matrix + matrix.T).astype(np.float32), block


def slow_ranks(matrix):
    """Share of the values above zero that are at most this one."""
    values = [value for value in matrix.ravel().tolist() if value > 0]
    result = np.zeros(matrix.shape)
    for place in np.ndindex(matrix.shape):
        value = float(matrix[place])
        if value > 0:
            result[place] = sum(v <= value for v in values) / len(values)
    return result


def matrix_of(similarity):
    return similarity if isinstance(similarity, np.ndarray) else similarity.toarray()


def same_partition(one, other):
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


def test_planted_blocks_are_found_largest_first():
    matrix, block = planted([4, 9, 6])
    found = propagate(matrix, AffinityOptions(preference=0.2))
    assert same_partition(found.labels, block)
    assert np.bincount(found.labels).tolist() == [9, 6, 4]
    assert found.converged
    assert found.labels[found.exemplars].tolist() == [0, 1, 2]


def test_a_lower_preference_gives_no_more_clusters():
    matrix, _ = planted([4, 9, 6], inside=0.5, outside=0.3)
    counts = [
        len(propagate(matrix, AffinityOptions(preference=preference)).exemplars) for preference in (1.0, 0.5, -3.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_ranks_are_those_of_the_slow_definition():
    rng = np.random.default_rng(0)
    matrix = (rng.integers(0, 6, (9, 9)) / 3).astype(np.float32)  # zeros and many ties
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    found = ranked(matrix)
    np.testing.assert_allclose(found, slow_ranks(matrix), rtol=0, atol=1e-6)
    assert np.array_equal(found == 0, matrix == 0)
    assert found.dtype == np.float32


def test_the_scale_of_clusters_is_that_of_the_ranks_ties_included():
    rng = np.random.default_rng(1)
    matrix = (rng.integers(0, 6, (9, 9)) / 3).astype(np.float32)
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    found = propagate(matrix)
    scaled = np.vectorize(found.scale)(matrix)
    np.testing.assert_allclose(scaled, slow_ranks(matrix), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.similarity, scaled, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("diagonal", [0, 1, 7])
def test_groups_that_are_alike_within_and_unlike_between_are_the_clusters(kind, diagonal):
    matrix = np.kron(np.eye(4), np.ones((10, 10))).astype(np.float32)
    np.fill_diagonal(matrix, diagonal)
    before = matrix.copy()
    found = propagate(kind(matrix))
    assert np.bincount(found.labels).tolist() == [10] * 4
    assert same_partition(found.labels, np.repeat(np.arange(4), 10))
    assert np.array_equal(matrix, before)
    assert np.unique(found.known).tolist() == [1.0]
    assert not np.diag(matrix_of(found.similarity)).any()


def test_ranks_see_the_order_of_similarities_only():
    matrix, _ = planted([3, 4])
    assert np.array_equal(ranked(matrix), ranked(matrix**3 * 50))


def test_zeros_stay_zero():
    assert not ranked(np.zeros((4, 4), np.float32)).any()
    matrix, block = planted([5, 5])
    matrix[block[:, None] != block] = 0
    found = propagate(matrix, AffinityOptions(preference=-0.3))
    assert not found.similarity[block[:, None] != block].any()
    assert same_partition(found.labels, block)


@pytest.mark.filterwarnings("ignore:All samples have mutually equal")
def test_all_equal_similarities_do_not_fail():
    matrix = np.full((6, 6), 0.4, np.float32)
    np.fill_diagonal(matrix, 0)
    found = propagate(matrix)
    assert found.labels.shape == (6,)
    assert set(found.labels.tolist()) <= set(range(-1, len(found.exemplars)))
    off_diagonal = found.similarity[~np.eye(6, dtype=bool)]
    assert np.unique(off_diagonal).size == 1
    again = propagate(matrix)
    assert np.array_equal(found.labels, again.labels)


@pytest.mark.parametrize("parts", [0, 1])
def test_no_part_and_one_part(parts):
    found = propagate(np.zeros((parts, parts), np.float32))
    assert found.labels.tolist() == [0] * parts
    assert found.exemplars.tolist() == [0] * parts
    assert found.similarity.shape == (parts, parts)
    assert found.converged


def test_too_few_iterations_are_reported_and_raise_nothing():
    matrix, _ = planted([5, 7])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = propagate(matrix, AffinityOptions(iterations=2))
    assert not found.converged
    assert found.labels.shape == (12,)
    assert set(found.labels.tolist()) <= set(range(-1, len(found.exemplars)))


def test_agrees_with_scikit_learn_called_on_the_ranks():
    matrix, _ = planted([4, 6, 5, 3], seed=3, inside=0.5, outside=0.35)
    options = AffinityOptions(preference=0.4, damping=0.8)
    found = propagate(matrix, options, seed=7)
    model = AffinityPropagation(
        damping=options.damping,
        max_iter=options.iterations,
        convergence_iter=options.convergence,
        preference=options.preference,
        affinity="precomputed",
        random_state=7,
    ).fit(slow_ranks(matrix))
    assert sorted(found.exemplars.tolist()) == sorted(model.cluster_centers_indices_.tolist())
    theirs = model.cluster_centers_indices_[model.labels_]  # the numbers differ, the exemplars do not
    assert np.array_equal(found.exemplars[found.labels], theirs)


def test_the_seed_decides_and_the_matrix_is_left_alone():
    matrix, _ = planted([5, 5], inside=0.4, outside=0.35)
    before = matrix.copy()
    assert np.array_equal(propagate(matrix, seed=1).labels, propagate(matrix, seed=1).labels)
    assert np.array_equal(matrix, before)


@pytest.mark.parametrize("shape", [(3, 4), (9,), (2, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="matrix: expected"):
        propagate(np.zeros(shape, np.float32))


def test_sparse_similarities_give_the_clusters_of_dense_ones():
    matrix, block = planted([4, 9, 6])
    dense = propagate(matrix, AffinityOptions(preference=0.2))
    sparse = propagate(csr_array(matrix), AffinityOptions(preference=0.2))
    assert np.array_equal(sparse.labels, dense.labels)
    assert np.array_equal(sparse.exemplars, dense.exemplars)
    assert np.array_equal(sparse.similarity.toarray(), dense.similarity)
    assert sparse.converged
    parts = np.flatnonzero(block == block[0])
    for exemplar in dense.exemplars:
        assert np.array_equal(sparse.similarity_to(exemplar, parts), dense.similarity_to(exemplar, parts))


def test_more_parts_than_scikit_learn_is_given_are_clustered_on_the_non_zero_similarities(monkeypatch):
    matrix, block = planted([5, 8, 7])
    matrix[block[:, None] != block] = 0
    monkeypatch.setattr(affinity, "DENSE_PARTS", 19)
    monkeypatch.setattr(affinity, "AffinityPropagation", lambda **options: pytest.fail("scikit-learn"))
    found = propagate(matrix, AffinityOptions(preference=-5.0))
    assert same_partition(found.labels, block)
    assert np.array_equal(found.similarity, ranked(matrix))


def test_ranks_of_sparse_similarities_leave_stored_zeros_out():
    matrix, _ = planted([3, 4])
    stored = csr_array(matrix)
    stored.data[:4] = 0
    expected = ranked(stored.toarray())
    found = propagate(stored).similarity
    assert np.array_equal(found.toarray(), expected)
    assert found.nnz == np.count_nonzero(expected)


def test_sparse_parts_without_convergence():
    matrix, _ = planted([5, 7])
    found = propagate(csr_array(matrix), AffinityOptions(iterations=2))
    assert not found.converged
    assert set(found.labels.tolist()) <= set(range(-1, len(found.exemplars)))


@pytest.mark.parametrize("parts", [0, 1])
def test_no_sparse_part_and_one(parts):
    found = propagate(csr_array((parts, parts), dtype=np.float32))
    assert found.labels.tolist() == found.exemplars.tolist() == [0] * parts
    assert found.converged
