"""Purity, recall and chance."""

import numpy as np
import pytest

from visual_summaries.clustering.metrics.purity import (
    MIN_IOU,
    Landmarks,
    Majority,
    consistency,
    consistent_landmark,
    iou,
    majority,
    part_under,
    point_under,
    random_clusters,
    recall,
    visible_boxes,
)


def test_iou_agrees_with_counted_pixels():
    rng = np.random.default_rng(0)
    for _ in range(30):
        boxes = np.sort(rng.integers(0, 20, (2, 2, 2)), axis=1).reshape(2, 4)
        covered = np.zeros((2, 20, 20), bool)
        for pixels, (x0, y0, x1, y1) in zip(covered, boxes, strict=True):
            pixels[y0:y1, x0:x1] = True
        union = covered.any(0).sum()
        expected = covered.all(0).sum() / union if union else 0.0
        assert iou(*boxes) == pytest.approx(expected, abs=1e-12)


def test_iou_of_boxes_apart_touching_equal_and_empty():
    assert iou((0, 0, 4, 4), (6, 6, 8, 8)) == 0
    assert iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    assert iou((1, 2, 5, 9), (1, 2, 5, 9)) == 1
    assert iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0


def test_the_part_of_the_highest_iou_wins():
    visible = {
        "wheel": np.array([0.0, 0, 10, 10]),
        "door": np.array([2.0, 0, 12, 10]),
        "roof": np.array([50.0, 50, 60, 60]),
    }
    assert part_under((2, 0, 11, 10), visible) == "door"
    assert part_under((0, 0, 9, 10), visible) == "wheel"
    assert part_under((30, 30, 40, 40), visible) is None
    assert part_under((0, 0, 10, 10), {}) is None


def test_from_an_iou_of_three_tenths_a_box_lies_on_a_part():
    assert MIN_IOU == 0.3
    visible = {"wheel": np.array([0.0, 0, 10, 10])}
    assert part_under((0, 0, 10, 3), visible) == "wheel"  # exactly 0.3
    assert part_under((0, 0, 10, 2.9), visible) is None


def test_visible_boxes_are_half_open_and_leave_hidden_parts_out():
    pixels = np.zeros((12, 20), bool)
    pixels[3:7, 5:15] = True
    found = visible_boxes({"hull": pixels, "mast": np.zeros((12, 20), bool)})
    assert list(found) == ["hull"]
    assert found["hull"].tolist() == [5, 3, 15, 7]


@pytest.mark.parametrize(
    ("members", "part", "purity"),
    [
        (["a", "a", "b", None], "a", 0.5),
        ([None, None, None, "b"], "b", 0.25),  # None is most frequent and never a majority
        (["b", "a", "a", "b"], "a", 0.5),  # of equals the first by name
        ([None, None], "", 0.0),
        ([], "", 0.0),
        (["c"], "c", 1.0),
    ],
)
def test_majority(members, part, purity):
    assert majority(members) == Majority(part, purity)


def test_recall_counts_wanted_parts_once():
    found = [Majority("a", 1.0), Majority("a", 0.5), Majority("c", 0.4), Majority("", 0.0)]
    assert recall(found, ["a", "b"]) == 0.5
    assert recall(found, ["a", "c"]) == 1.0
    assert recall([], ["a"]) == 0.0
    assert recall(found, []) is None


def test_random_clusters_have_the_sizes_and_one_part_an_image():
    image = np.repeat(np.arange(8), [1, 5, 2, 9, 1, 4, 3, 6])
    clusters = random_clusters([8, 3, 1, 20], image, np.random.default_rng(0))
    assert [len(cluster) for cluster in clusters] == [8, 3, 1, 8]  # more members than images cannot be had
    for cluster in clusters:
        assert len(set(image[cluster].tolist())) == len(cluster)


def test_random_clusters_follow_the_seed():
    image = np.repeat(np.arange(6), 4)
    one, same, other = (random_clusters([4, 5], image, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_part_can_be_drawn():
    image = np.array([0, 0, 0, 1])
    generator = np.random.default_rng(0)
    drawn = {int(part) for _ in range(60) for (part,) in [random_clusters([1], image, generator)[0]]}
    assert drawn == {0, 1, 2, 3}


def test_of_the_landmarks_in_a_box_the_nearest_to_its_centre_counts():
    points = {"nose": np.array([4.0, 5.0]), "tail": np.array([9.0, 5.0]), "ear": np.array([5.0, 30.0])}
    assert point_under((0, 0, 10, 10), points) == "nose"
    assert point_under((2, 0, 20, 10), points) == "tail"
    assert point_under((10, 0, 20, 10), points) is None
    assert point_under((9, 5, 20, 10), points) == "tail"  # half open: the lower side belongs to the box
    assert point_under((0, 0, 9, 10), {"tail": points["tail"]}) is None
    assert point_under((0, 0, 9, 10), {}) is None


WHOLE = np.array([0.0, 0, 100, 100])


def seen(**points):
    return Landmarks({name: np.array(point, float) for name, point in points.items()}, WHOLE)


def test_a_landmark_held_in_four_of_five_images_makes_a_cluster_consistent():
    boxes = np.tile([10.0, 10, 30, 30], (5, 1))
    held, missed = seen(wheel=(20, 20)), seen(wheel=(50, 50))
    assert consistent_landmark(boxes, [held] * 4 + [missed]) == "wheel"
    assert consistent_landmark(boxes, [held] * 3 + [missed] * 2) == ""
    assert consistent_landmark(boxes, [held] * 4 + [seen()]) == "wheel"  # not visible is not missed
    assert consistent_landmark(boxes, [held] * 3 + [seen()] * 2) == ""  # three images that show it are too few
    assert consistent_landmark(boxes[:4], [held] * 4) == "wheel"
    assert consistent_landmark(boxes[:3], [held] * 3) is None


def test_of_several_landmarks_the_best_held_is_named():
    boxes = np.tile([10.0, 10, 30, 30], (5, 1))
    both, one = seen(axle=(25, 25), wheel=(20, 20)), seen(axle=(60, 60), wheel=(20, 20))
    assert consistent_landmark(boxes, [both] * 4 + [one]) == "wheel"
    assert consistent_landmark(boxes, [both] * 5) == "axle"


def test_boxes_over_a_quarter_of_the_object_do_not_count():
    small, quarter, large = [0.0, 0, 20, 20], [0.0, 0, 50, 50], [0.0, 0, 51, 50]
    images = [seen(wheel=(10, 10))] * 5
    assert consistent_landmark(np.array([small] * 4 + [large]), images) == "wheel"
    assert consistent_landmark(np.array([small] * 3 + [large] * 2), images) is None
    assert consistent_landmark(np.array([small] * 3 + [quarter] * 2), images) == "wheel"
    nothing = Landmarks({}, np.zeros(4))
    assert consistent_landmark(np.array([small] * 4), [nothing] * 4) is None


def test_consistent_landmarks_agree_with_a_slow_definition():
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        count = int(rng.integers(1, 9))
        corners = rng.integers(0, 40, (count, 2))
        boxes = np.concatenate([corners, corners + rng.integers(30, 60, (count, 2))], axis=1).astype(float)
        images = []
        for _ in range(count):
            places = {name: rng.integers(25, 65, 2).astype(float) for name in "abc" if rng.random() < 0.8}
            images.append(Landmarks(places, WHOLE))
        counted = []
        for box, image in zip(boxes, images, strict=True):
            if (box[2] - box[0]) * (box[3] - box[1]) <= 2500:
                counted.append((box, image.points))
        shares = []
        for name in "abc":
            inside = [
                box[0] <= points[name][0] < box[2] and box[1] <= points[name][1] < box[3]
                for box, points in counted
                if name in points
            ]
            if len(inside) >= 4 and sum(inside) >= 0.8 * len(inside):
                shares.append((-sum(inside) / len(inside), name))
        expected = None if len(counted) < 4 else min(shares)[1] if shares else ""
        assert consistent_landmark(boxes, images) == expected
        outcomes.add(expected)
    assert outcomes == {None, "", "a", "b", "c"}


def test_consistency_is_the_share_of_the_clusters_that_count():
    assert consistency(["wheel", "", None, "wheel", None]) == pytest.approx(2 / 3)
    assert consistency([None]) is None
    assert consistency([]) is None
