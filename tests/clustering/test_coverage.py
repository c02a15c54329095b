"""Shares of images and of masks, counted by hand and by painting."""

import numpy as np
import pytest

from visual_summaries.clustering.metrics.coverage import coverage, mask_coverage


def test_images_count_once():
    image = np.array([0, 0, 1, 2, 2, 3])
    assert coverage([np.array([0, 2]), np.array([1, 3])], image, 5) == pytest.approx(3 / 5)
    assert coverage([], image, 5) == 0
    assert coverage([np.arange(6)], image, 4) == 1


def test_mask_coverage_agrees_with_painting():
    rng = np.random.default_rng(0)
    masks = [rng.random((20, 30)) < 0.4 for _ in range(4)]
    low = rng.integers(0, 15, (12, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 15, (12, 2))], axis=1).astype(np.float32)
    image = np.repeat(np.arange(4), 3)
    clusters = [np.array([0, 4, 10]), np.array([1, 4])]
    covered = total = 0
    for index, mask in enumerate(masks):
        for y in range(20):
            for x in range(30):
                inside = any(
                    boxes[part, 0] <= x < boxes[part, 2] and boxes[part, 1] <= y < boxes[part, 3]
                    for part in {0, 4, 10, 1}
                    if image[part] == index
                )
                total += int(mask[y, x])
                covered += int(mask[y, x] and inside)
    assert mask_coverage(clusters, image, boxes, masks) == pytest.approx(covered / total)


def test_no_clusters_and_no_masks():
    box, image = np.array([[0, 0, 4, 4]], np.float32), np.array([0])
    assert mask_coverage([], image, box, [np.ones((4, 4), bool)]) == 0
    assert mask_coverage([np.array([0])], image, box, [np.ones((4, 4), bool)]) == 1
    assert mask_coverage([np.array([0])], image, box, [np.zeros((4, 4), bool)]) is None
