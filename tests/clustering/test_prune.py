"""Which clusters and which members stay."""

import numpy as np
import pytest

from visual_summaries.clustering.clusters.prune import cohere, one_per_input, prune
from visual_summaries.clustering.options import PruneOptions

REFERENCE = PruneOptions(min_members=4, cluster_share=0.9, member_share=0.6)


def cluster(members, value, odd=None, odd_value=0.0):
    """SSIMs of a cluster, all pairs equal but those of one odd member."""
    matrix = np.full((members, members), value)
    if odd is not None:
        matrix[odd] = matrix[:, odd] = odd_value
    np.fill_diagonal(matrix, 1.0)
    return matrix


def test_one_part_an_image_stays_the_most_similar_one():
    similarity = np.array([0.3, 1.0, 0.8, 0.5, 0.7], np.float32)
    image = np.array([4, 2, 4, 0, 2])
    assert one_per_input(similarity, image).tolist() == [1, 2, 3]


def test_equals_go_to_the_earlier_member():
    assert one_per_input(np.full(4, 0.5, np.float32), np.array([1, 0, 1, 0])).tolist() == [0, 1]
    assert one_per_input(np.zeros(0, np.float32), np.zeros(0, np.int64)).tolist() == []


def test_alike_clusters_are_kept_with_the_figures_of_their_pairs():
    matrix = cluster(4, 0.5)
    matrix[0, 1] = matrix[1, 0] = 0.6
    (verdict,) = prune([matrix], PruneOptions(min_members=4))
    assert verdict.kept
    assert verdict.reason == ""
    assert verdict.leaves == ("", "", "", "")
    assert verdict.median_ssim == pytest.approx(0.5)
    assert verdict.member_ssim == pytest.approx([0.5] * 4)


def test_singletons_and_small_clusters_do_not_enter_the_class_median():
    good = [cluster(5, 0.5), cluster(4, 0.5), cluster(3, 0.5)]
    small = [cluster(2, 0.99), cluster(1, 1.0), cluster(2, 0.98), cluster(2, 0.99), cluster(2, 0.97)]
    alone = prune(good, PruneOptions(min_members=3))
    mixed = prune([*good, *small], PruneOptions(min_members=3))
    assert [verdict.kept for verdict in alone] == [True, True, True]
    assert mixed[:3] == alone  # with the small ones the class median would be over 0.9 and none would stay
    assert not any(verdict.kept for verdict in mixed[3:])
    assert all("member" in verdict.reason and "3" in verdict.reason for verdict in mixed[3:])
    assert mixed[3].median_ssim == pytest.approx(0.99)
    assert mixed[4].median_ssim is None
    assert mixed[4].member_ssim == (None,)


def test_only_singletons_prune_nothing_but_themselves():
    verdicts = prune([cluster(1, 1.0)] * 3)
    assert [verdict.kept for verdict in verdicts] == [False] * 3
    assert prune([]) == []


def test_min_members_decides_what_is_small():
    assert prune([cluster(3, 0.5)], PruneOptions(min_members=3))[0].kept
    assert not prune([cluster(3, 0.5)], PruneOptions(min_members=4))[0].kept


def test_a_cluster_that_does_not_hold_together_is_pruned_with_its_reason():
    verdicts = prune([cluster(4, 0.50), cluster(4, 0.44), cluster(4, 0.56)], REFERENCE)
    assert [verdict.kept for verdict in verdicts] == [True, False, True]  # 0.9 of the median 0.5 is 0.45
    assert "0.440" in verdicts[1].reason
    assert "0.500" in verdicts[1].reason
    assert all(verdict.reason == "" for verdict in verdicts[::2])
    assert verdicts[1].leaves == ("",) * 4


def test_a_cluster_at_the_bound_stays():
    verdicts = prune([cluster(3, 0.5), cluster(3, 0.25)], PruneOptions(min_members=3, cluster_share=0.5))
    assert verdicts[1].median_ssim == pytest.approx(0.25)
    assert [
        verdict.kept for verdict in prune([cluster(3, 0.5)] * 2, PruneOptions(min_members=3, cluster_share=1.0))
    ] == [True, True]


def test_an_odd_member_leaves_with_its_reason():
    verdicts = prune([cluster(6, 0.6, odd=2, odd_value=0.1), cluster(5, 0.6)])
    assert verdicts[0].kept
    assert [bool(reason) for reason in verdicts[0].leaves] == [k == 2 for k in range(6)]
    assert "SSIM" in verdicts[0].leaves[2]
    assert verdicts[0].member_ssim[2] == pytest.approx(0.1)
    assert not any(verdicts[1].leaves)


def test_from_sixty_percent_of_its_pairs_a_member_leaves():
    def with_low_pairs(count):
        matrix = cluster(11, 0.6)
        matrix[0, 1 : 1 + count] = matrix[1 : 1 + count, 0] = 0.1
        return prune([matrix, cluster(11, 0.6)], REFERENCE)[0].leaves[0]

    assert with_low_pairs(5) == ""
    assert with_low_pairs(6) != ""


def test_a_cluster_that_too_many_leave_is_pruned():
    matrix = cluster(4, 0.6)
    matrix[2] = matrix[:, 2] = matrix[3] = matrix[:, 3] = 0.58
    np.fill_diagonal(matrix, 1.0)
    verdict = prune([matrix, cluster(5, 0.6), cluster(5, 0.6)])[0]
    assert not verdict.kept
    assert "alike" in verdict.reason or "members" in verdict.reason


def test_clusters_and_members_of_low_similarity_go_with_their_reasons():
    good, loose, odd = cluster(5, 0.5), cluster(5, 0.3), cluster(6, 0.5, odd=4, odd_value=0.1)
    options = PruneOptions(min_members=3, similarity_quantile=0.5)
    verdicts = cohere([good, loose, odd, cluster(2, 0.9)], options)
    assert [verdict.kept for verdict in verdicts] == [True, False, True, False]
    assert not any(verdicts[0].leaves)
    assert "0.3" in verdicts[1].reason
    assert [bool(reason) for reason in verdicts[2].leaves] == [k == 4 for k in range(6)]
    assert "2 members" in verdicts[3].reason


def test_the_quantile_decides_how_many_clusters_cohere():
    clusters = [cluster(5, value) for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    for quantile, kept in ((0.0, 5), (0.5, 3), (1.0, 1)):
        verdicts = cohere(clusters, PruneOptions(min_members=3, similarity_quantile=quantile))
        assert [verdict.kept for verdict in verdicts] == [False] * (5 - kept) + [True] * kept
    assert cohere([]) == []


def test_pairs_that_nobody_matched_have_no_say():
    options = PruneOptions(min_members=4, similarity_quantile=0.5)
    strong = np.full((6, 6), 0.8, np.float32)
    weak = np.full((6, 6), 0.2, np.float32)
    strong[5, 1:] = strong[1:, 5] = np.nan  # matched with one other member only
    weak[:3, 3:] = weak[3:, :3] = np.nan
    alone = np.full((6, 6), np.nan, np.float32)
    for matrix in (strong, weak, alone):
        np.fill_diagonal(matrix, 0)
    one, two, three = cohere([strong, weak, alone], options)
    assert one.kept
    assert one.leaves == ("",) * 6
    assert not two.kept
    assert "median similarity 0.2 is under the class's 0.5" in two.reason
    assert not three.kept
    strong[5, 0] = strong[0, 5] = 0.1  # all that is known of it speaks against it
    assert [bool(reason) for reason in cohere([strong, weak], options)[0].leaves] == [False] * 5 + [True]
