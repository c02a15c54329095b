"""SSIM of patches: pairs as scikit-image has them, and boxes resized to a square."""

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from visual_summaries.clustering.metrics.ssim import pairwise_ssim, patch


def test_pairs_are_those_of_scikit_image_direct_or_mirrored():
    rng = np.random.default_rng(0)
    patches = [rng.integers(0, 256, (24, 24), dtype=np.uint8) for _ in range(4)]
    patches.append(cv2.GaussianBlur(patches[0], (0, 0), 1))
    found = pairwise_ssim(patches)
    for i, one in enumerate(patches):
        for j, other in enumerate(patches):
            turns = (other, np.fliplr(other))
            expected = max(structural_similarity(one, turn, data_range=255) for turn in turns)
            assert found[i, j] == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.ones(5))


def test_no_and_one_patch_have_no_pairs():
    assert pairwise_ssim([]).shape == (0, 0)
    assert pairwise_ssim([np.zeros((8, 8), np.uint8)]).tolist() == [[1.0]]


@pytest.mark.parametrize(
    "box", [(10, 20, 42, 52), (10, 20, 18, 60), (0, 0, 96, 96), (-4.4, 3, 30.4, 30), (90, 80, 96, 96)]
)
def test_patches_are_squares_of_the_asked_for_side(box):
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    found = patch(image, np.array(box, np.float32), 32)
    assert found.shape == (32, 32)
    assert found.dtype == np.uint8


def test_a_planted_crop_comes_out_as_it_is():
    picture = np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8)
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:52, 10:42] = picture[..., None]
    assert np.array_equal(patch(image, np.array([10, 20, 42, 52], np.float32), 32), picture)
    assert np.array_equal(patch(image, np.array([10.3, 19.8, 42.2, 51.7], np.float32), 32), picture)


def test_patches_are_grey_as_the_eye_sees_it():
    image = np.zeros((16, 16, 3), np.uint8)
    image[:] = (200, 100, 50)
    expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50  # ITU-R BT.601
    assert np.abs(patch(image, np.array([0, 0, 16, 16], np.float32), 16) - expected).max() <= 1
