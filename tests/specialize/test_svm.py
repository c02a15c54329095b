"""SVMs: the same as scikit-learn's linear ones; who is negative; k-means and random groups by seed."""

import numpy as np
import pytest
from sklearn.svm import SVC

from visual_summaries.specialize.controls import kmeans_groups, one_per_class, random_groups
from visual_summaries.specialize.options import SvmOptions
from visual_summaries.specialize.svm import Group, gram_of, negatives, train

OPTIONS = SvmOptions()


def group(owner: int, *rows: int) -> Group:
    return Group(owner, np.array(rows), np.array(rows))


GROUPS = [group(0, 0, 1, 2), group(0, 2, 3, 4), group(1, 5, 6, 7)]
OFF_CLASS = [np.array([5, 6, 7, 8, 9, 10]), np.array([0, 1, 2, 3, 4, 9, 10])]


def vectors(count: int = 11, width: int = 6) -> np.ndarray:
    found = np.random.default_rng(0).normal(0, 1, (count, width))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_siblings_are_negative_but_not_an_image_of_both():
    assert negatives(GROUPS, 0, OFF_CLASS, OPTIONS).tolist() == [3, 4, 5, 6, 7, 8, 9, 10]
    assert negatives(GROUPS, 1, OFF_CLASS, OPTIONS).tolist() == [0, 1, 5, 6, 7, 8, 9, 10]


def test_each_kind_of_negative_can_be_switched_off():
    assert negatives(GROUPS, 0, OFF_CLASS, SvmOptions(siblings=False)).tolist() == [5, 6, 7, 8, 9, 10]
    assert negatives(GROUPS, 0, OFF_CLASS, SvmOptions(others=False)).tolist() == [3, 4]


def test_crops_of_one_image_are_no_siblings_either():
    crops = [Group(0, np.array([11, 12]), np.array([0, 1])), Group(0, np.array([13, 14]), np.array([1, 2]))]
    assert negatives(crops, 0, [np.array([5])], OPTIONS).tolist() == [5, 14]


@pytest.mark.parametrize("cost", [0.1, 10.0])
def test_decisions_are_those_of_a_linear_svm(cost):
    data = vectors()
    found = train(data, GROUPS, OFF_CLASS, cost, options=OPTIONS, gram=gram_of(data)).decisions(data)
    for index, one in enumerate(GROUPS):
        rows = np.concatenate([one.rows, negatives(GROUPS, index, OFF_CLASS, OPTIONS)])
        truth = np.isin(np.arange(len(rows)), np.arange(len(one.rows)))
        expected = SVC(C=cost, kernel="linear", class_weight="balanced").fit(data[rows].astype(float), truth)
        np.testing.assert_allclose(found[:, index], expected.decision_function(data.astype(float)), atol=2e-3)


def test_a_summary_without_negatives_is_an_error():
    with pytest.raises(ValueError, match="0 negatives"):
        train(vectors(), GROUPS[2:], [np.zeros(0, int)] * 2, 1.0, options=SvmOptions(siblings=False))


def test_one_group_a_class_holds_every_image_once():
    whole = one_per_class(GROUPS)
    assert [(one.owner, one.rows.tolist()) for one in whole] == [(0, [0, 1, 2, 3, 4]), (1, [5, 6, 7])]


def test_random_groups_have_the_sizes_and_are_the_same_by_seed():
    one, same, other = ([g.rows.tolist() for g in random_groups(GROUPS, seed=seed)] for seed in (3, 3, 4))
    assert one == same != other
    assert [len(rows) for rows in one] == [3, 3, 3]
    assert all(len(set(rows)) == 3 for rows in one)
    assert set(one[0] + one[1]) <= {0, 1, 2, 3, 4}
    assert set(one[2]) == {5, 6, 7}


def test_kmeans_groups_are_as_many_and_the_same_by_seed():
    one, same = ([g.rows.tolist() for g in kmeans_groups(GROUPS, vectors(), seed=1)] for _ in range(2))
    assert one == same
    assert [g.owner for g in kmeans_groups(GROUPS, vectors(), seed=1)] == [0, 0, 1]
    assert sorted(one[0] + one[1]) == [0, 1, 2, 3, 4]
