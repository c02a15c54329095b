import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from visual_summaries.clustering.options import ProposalOptions
from visual_summaries.clustering.parts.proposals import choose, not_redundant, on_mask, selective_search
from visual_summaries.clustering.parts.selective_search import (
    STRATEGIES,
    _colour_spaces,
    _Segments,
    _texture_bins,
    groupings,
)

OPTIONS = ProposalOptions()

CHILD = """
import hashlib, sys
import cv2, numpy as np
from visual_summaries.clustering.options import ProposalOptions
from visual_summaries.clustering.parts.proposals import selective_search
image = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(64, 64, 3)
print(hashlib.sha256(selective_search(image, ProposalOptions(), 7).tobytes()).hexdigest())
"""


def test_same_boxes_in_another_process_and_after_other_work(scene):
    image = scene(64)
    first = selective_search(image, OPTIONS, 7)
    selective_search(scene(48, seed=3), OPTIONS, 1)
    assert np.array_equal(first, selective_search(image, OPTIONS, 7))
    child = subprocess.run([sys.executable, "-c", CHILD], input=image.tobytes(), capture_output=True, check=True)
    assert child.stdout.decode().strip() == hashlib.sha256(first.tobytes()).hexdigest()


def test_seed_changes_ranks_only(scene):
    image = scene(64)
    one, other = (selective_search(image, OPTIONS, seed) for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert set(map(tuple, one)) == set(map(tuple, other))


def test_boxes_obey_side_border_and_are_distinct(scene):
    image = scene(96)[:, :80].copy()
    options = dataclasses.replace(OPTIONS, min_side=0.2, border=0.05)
    boxes = selective_search(image, options, 0)
    assert boxes.dtype == np.float32
    assert len(boxes) > 10
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 0.2 * 80
    assert boxes[:, 0].min() >= 4
    assert boxes[:, 2].max() <= 76
    assert boxes[:, 1].min() >= 4.8
    assert boxes[:, 3].max() <= 91.2


def test_a_plain_image_gives_no_proposal():
    assert selective_search(np.full((32, 32, 3), 90, np.uint8), OPTIONS, 0).shape == (0, 4)


def test_refuses_float_images():
    with pytest.raises(ValueError, match="image"):
        selective_search(np.zeros((32, 32, 3), np.float32), OPTIONS, 0)


def test_finds_a_planted_object():
    image = np.random.default_rng(0).integers(90, 110, (96, 96, 3)).astype(np.uint8)
    image[30:62, 20:70] = (200, 30, 40)
    boxes = selective_search(image, OPTIONS, 0)
    assert np.abs(boxes - (20, 30, 70, 62)).max(axis=1).min() <= 2


def test_hierarchy_starts_with_the_image_and_nests(scene):
    for boxes in groupings(scene(48)):
        assert len(boxes) % 2 == 1
        assert tuple(boxes[0]) == (0, 0, 48, 48)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_merge_order_agrees_with_the_definition(strategy, scene):
    channels = _colour_spaces(scene(40))[0]
    labels = (np.arange(40)[:, None] // 8 * 5 + np.arange(40) // 8).astype(np.int32)
    texture = _texture_bins(channels)
    boxes = _Segments(labels, channels, texture).merge(strategy)
    expected = merge_slowly(labels, channels, texture, strategy)
    assert [tuple(box) for box in boxes.tolist()] == expected


def merge_slowly(labels, channels, texture, strategy):
    """The greedy grouping with every similarity computed anew from the pixels."""
    segments = [labels == index for index in range(labels.max() + 1)]
    boxes = [box_of(segment) for segment in segments]
    while len(segments) > 1:
        best, pair = -np.inf, None
        for i in range(len(segments)):
            for j in range(i + 1, len(segments)):
                if touch(segments[i], segments[j]):
                    value = alike(segments[i], segments[j], channels, texture, strategy)
                    if value > best + 1e-6:
                        best, pair = value, (i, j)
        i, j = pair
        union = segments[i] | segments[j]
        segments = [s for k, s in enumerate(segments) if k not in pair] + [union]
        boxes.append(box_of(union))
    return boxes[::-1]


def box_of(segment):
    ys, xs = np.nonzero(segment)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def touch(one, other):
    padded = np.pad(one, 1)
    grown = np.zeros_like(one)
    for dy in range(3):
        for dx in range(3):
            grown |= padded[dy : dy + one.shape[0], dx : dx + one.shape[1]]
    return bool((grown & other).any())


def alike(one, other, channels, texture, strategy):
    pixels, both = one.size, one.sum() + other.sum()
    result = 0.0
    if "C" in strategy:
        bins = channels.astype(int) * 25 // 256
        result += intersection(bins[one], bins[other], 25)
    if "T" in strategy:
        result += intersection(texture[one], texture[other], 10)
    if "S" in strategy:
        result += 1 - both / pixels
    if "F" in strategy:
        x0, y0, x1, y1 = box_of(one | other)
        result += 1 - ((x1 - x0) * (y1 - y0) - both) / pixels
    return result


def intersection(one, other, bins):
    total = 0.0
    for channel in range(one.shape[1]):
        a, b = (np.bincount(v[:, channel], minlength=bins) / v.size for v in (one, other))
        total += np.minimum(a, b).sum()
    return total


def test_on_mask_is_the_mean_of_the_mask_inside():
    rng = np.random.default_rng(2)
    mask = rng.random((40, 50)) < 0.4
    low = rng.integers(0, 30, (60, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 11, (60, 2))], axis=1).astype(np.float32)
    expected = [mask[int(y0) : int(y1), int(x0) : int(x1)].mean() for x0, y0, x1, y1 in boxes]
    assert on_mask(boxes, mask) == pytest.approx(expected, abs=1e-12)


def test_choose_keeps_parts_first_then_context(boxes):
    mask = np.zeros((224, 224), bool)
    mask[20:120, 20:140] = True
    mask[150:200, 150:200] = True
    candidates = boxes(400)
    candidates[5] = (155, 155, 190, 190)
    options = dataclasses.replace(OPTIONS, count=60, max_kept=15, margin=0.0)
    chosen = choose(candidates, mask, options)
    share = on_mask(candidates, mask)
    parts, context = candidates[share >= 0.75][:15], candidates[share < 0.75][:45]
    assert np.array_equal(chosen.boxes[:15], parts)
    assert np.array_equal(chosen.boxes[15:], context)
    assert chosen.kept.tolist() == [True] * 15 + [False] * 45
    assert set(chosen.region[chosen.kept].tolist()) == {1, 2}
    assert not chosen.region[~chosen.kept].any()
    assert chosen.region[(chosen.boxes == candidates[5]).all(axis=1)] == 2


def test_choose_at_the_threshold_and_with_nothing(boxes):
    mask = np.zeros((20, 20), bool)
    mask[:, :15] = True
    box = np.array([[0, 0, 20, 20], [0, 0, 20, 19]], np.float32)
    exact = dataclasses.replace(OPTIONS, margin=0.0)
    assert choose(box, mask, exact).kept.all()  # exactly 75 %
    assert not choose(box, np.zeros((20, 20), bool), OPTIONS).kept.any()
    empty = choose(np.zeros((0, 4), np.float32), mask, OPTIONS)
    assert empty.boxes.shape == (0, 4)
    few = choose(boxes(3, size=100), np.ones((224, 224), bool), OPTIONS)
    assert len(few.boxes) == 3


@pytest.mark.parametrize("side", [224, 112])
def test_a_box_near_the_mask_is_a_part_of_the_nearest_region(side):
    unit = side // 112
    mask = np.zeros((side, side), bool)
    mask[20 * unit : 40 * unit, 20 * unit : 40 * unit] = True
    mask[80 * unit : 100 * unit, 80 * unit : 100 * unit] = True
    near = np.array([[41, 20, 44, 40], [44, 20, 50, 40], [102, 80, 105, 100]], np.float32) * unit
    options = dataclasses.replace(OPTIONS, margin=10.0)  # pixels of a frame of 224: 5 of 112
    chosen = choose(near, mask, options)
    assert chosen.kept.tolist() == [True, True, False]
    assert np.array_equal(chosen.boxes, near[[0, 2, 1]])
    assert chosen.region.tolist() == [1, 2, 0]
    assert not choose(near, mask, dataclasses.replace(OPTIONS, margin=0.0)).kept.any()


def test_not_redundant_visits_by_quality():
    candidates = np.array(
        [
            (0, 0, 10, 10),
            (2, 0, 12, 10),  # 80 % of the first: redundant to it, or it to this
            (0, 0, 5, 10),  # inside the first, but half as large: area ratio exactly 2, stays
            (40, 40, 50, 50),
            (5, 0, 15, 10),  # exactly 50 % of the first: redundant
        ],
        np.float32,
    )
    quality = np.array([1.0, 0.5, 0.2, 0.1, 0.3])
    assert not_redundant(candidates, quality, OPTIONS).tolist() == [0, 2, 3]
    quality[1] = 2.0  # now the second removes the first and the last
    assert not_redundant(candidates, quality, OPTIONS).tolist() == [1, 2, 3]
    assert not_redundant(candidates[:0], quality[:0], OPTIONS).tolist() == []


def test_a_box_removed_removes_none():
    candidates = np.array([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], np.float32)
    assert not_redundant(candidates, np.array([3.0, 2.0, 1.0]), OPTIONS).tolist() == [0, 2]
