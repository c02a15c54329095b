import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import feature
from threadpoolctl import threadpool_limits

from tests.reference.hog import hog as hog_slowly
from visual_summaries.clustering.descriptors.hog import CELL, _patches, describe, hog
from visual_summaries.clustering.descriptors.whitening import (
    CHANNELS,
    REGULARISER,
    HogStatistics,
    assemble,
    estimate_statistics,
    packaged_statistics,
    packaged_whitening,
    whitening,
)


@pytest.mark.parametrize("size", [(24, 24), (32, 48), (80, 80)])
@pytest.mark.parametrize("channels", [1, 3])
def test_hog_agrees_with_the_formulas(size, channels):
    image = np.random.default_rng(0).uniform(0, 255, (*size, channels)).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 1.5).reshape(*size, channels)
    assert hog(image[None])[0] == pytest.approx(hog_slowly(image), abs=2e-4)


def test_hog_of_a_batch_is_that_of_each(scene):
    images = np.stack([scene(64, seed) for seed in range(5)]).astype(np.float32)
    for one, expected in zip(images, hog(images), strict=True):
        assert np.array_equal(hog(one[None])[0], expected)


def test_hog_of_a_flat_image_is_zero():
    assert not hog(np.full((1, 40, 40, 3), 77, np.float32)).any()


def test_hog_refuses_sides_that_are_no_cells():
    with pytest.raises(ValueError, match="images"):
        hog(np.zeros((1, 36, 40, 3), np.float32))
    with pytest.raises(ValueError, match="images"):
        hog(np.zeros((1, 16, 40, 3), np.float32))


def test_unsigned_channels_go_with_another_library(scene):
    # scikit-image bins 0..180 degrees from the edge of a bin and votes for one cell; ours are centred on multiples
    # of 20 degrees and vote for four. With 18 of its bins, two make one of ours; shares within cells correlate.
    grey = cv2.cvtColor(scene(160), cv2.COLOR_RGB2GRAY).astype(np.float32)
    ours = hog(grey[None, ..., None])[0, ..., 18:27]
    theirs = feature.hog(
        grey, orientations=18, pixels_per_cell=(CELL, CELL), cells_per_block=(1, 1), feature_vector=False,
        block_norm="L1",
    )[1:-1, 1:-1, 0, 0]  # fmt: skip
    theirs = np.roll(theirs, 1, axis=2).reshape(*theirs.shape[:2], 9, 2).sum(axis=3)
    strong = (ours.sum(axis=2) > np.median(ours.sum(axis=2))) & (theirs.sum(axis=2) > 0)
    shares = [part[strong] / part[strong].sum(axis=1, keepdims=True) for part in (ours, theirs)]
    assert np.corrcoef(shares[0].ravel(), shares[1].ravel())[0, 1] > 0.8
    # The relation is one of bins: turned by one bin it is gone.
    assert np.corrcoef(shares[0].ravel(), np.roll(shares[1], 1, axis=1).ravel())[0, 1] < 0.5


def test_a_patch_is_the_box_with_one_cell_around():
    ramp = np.tile(np.arange(200, dtype=np.uint8), (160, 1))
    image = np.dstack([ramp] * 3)
    boxes = np.array([[40, 40, 104, 104], [40, 40, 72, 120], [0, 0, 64, 64], [20, 10, 148, 138]], np.float32)
    patches = _patches(image, boxes)
    columns = np.arange(80)
    assert patches[0, 40, :, 0] == pytest.approx(32.0 + columns, abs=0.05)
    assert patches[1, 40, :, 0] == pytest.approx(36.0 + (columns + 0.5) * 0.5 - 0.5, abs=0.05)
    assert patches[2, 40, :, 0] == pytest.approx(np.maximum(columns - 8.0, 0), abs=0.05)  # border repeated
    assert patches[3, 40, 1:-1, 0] == pytest.approx(4.0 + (columns[1:-1] + 0.5) * 2 - 0.5, abs=0.55)


def test_describe_whitens_hog(scene, boxes):
    image = scene(128)
    chosen = boxes(40, size=128)
    z = describe(image, chosen)
    assert z.shape == (40, 1984)
    assert z.dtype == np.float32
    statistics = packaged_statistics()
    covariance = assemble(statistics) + REGULARISER * np.eye(1984)
    d = hog(_patches(image, chosen)).reshape(40, -1) - np.tile(statistics.mean, 64)
    expected = d @ np.linalg.solve(covariance, d.T)  # (d_a - mu)^T S^-1 (d_b - mu), float64
    scores = z.astype(np.float64) @ z.T
    assert np.abs(scores - expected).max() < 1e-4 * expected.max()
    halved = z.astype(np.float16).astype(np.float64)
    assert np.abs(halved @ halved.T - expected).max() < 1e-3 * expected.max()


def test_describe_no_box_and_bad_boxes(scene):
    image = scene(64)
    assert describe(image, np.zeros((0, 4), np.float32)).shape == (0, 1984)
    with pytest.raises(ValueError, match="boxes"):
        describe(image, np.array([[4, 4, 4, 9]], np.float32))
    with pytest.raises(ValueError, match="image"):
        describe(image[..., 0], np.zeros((0, 4), np.float32))


def test_whitening_of_known_statistics_makes_unit_covariance():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(CHANNELS, CHANNELS)) / 6
    covariance = np.zeros((8, 15, CHANNELS, CHANNELS))
    covariance[0, 7] = mixing @ mixing.T
    known = HogStatistics(np.full(CHANNELS, 0.3), covariance, 1, 1)
    white = whitening(known, 0.01)
    factor = white.inverse_factor.astype(np.float64)
    vectors = rng.normal(size=(1984, 20))
    product = factor @ ((assemble(known) + 0.01 * np.eye(1984)) @ (factor.T @ vectors))
    assert np.abs(product - vectors).max() < 1e-3
    with pytest.raises(ValueError, match="regulariser"):
        whitening(known, -1.0)


def test_estimated_statistics_are_the_moments_of_all_pairs_of_cells():
    maps = [np.random.default_rng(k).normal(k, 1, (9 + k, 11, CHANNELS)).astype(np.float32) for k in range(2)]
    statistics = estimate_statistics([maps])
    mean = np.concatenate([m.reshape(-1, CHANNELS) for m in maps]).mean(axis=0, dtype=np.float64)
    assert statistics.mean == pytest.approx(mean, rel=1e-6)
    for dy, dx in [(0, 0), (0, 3), (2, -5), (7, 7), (0, -2)]:
        products = [
            np.outer(m[y, x], m[y + dy, x + dx].astype(np.float64))
            for m in maps
            for y in range(m.shape[0] - dy)
            for x in range(max(0, -dx), m.shape[1] - max(0, dx))
        ]
        expected = np.mean(products, axis=0) - np.outer(mean, mean)
        assert statistics.covariance[dy, dx + 7] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="photos"):
        estimate_statistics([[maps[0][:7]]])


def test_packaged_statistics_are_sound():
    statistics = packaged_statistics()
    assert statistics.photos > 500
    assert statistics.mean.shape == (CHANNELS,)
    covariance = assemble(statistics)
    assert np.array_equal(covariance, covariance.T)
    np.linalg.cholesky(covariance + REGULARISER / 100 * np.eye(1984))  # no eigenvalue under -1e-4
    # Along a row both offsets are stored: one is the transpose of the other.
    mirrored = statistics.covariance[0, ::-1].transpose(0, 2, 1)
    assert np.abs(statistics.covariance[0] - mirrored).max() < 1e-6


def test_estimate_from_photographs_goes_with_the_packaged():
    data = os.environ.get("VISUAL_SUMMARIES_DATA")
    if not data or not (Path(data) / "imagenet-others").is_dir():
        pytest.skip("VISUAL_SUMMARIES_DATA does not name a folder with imagenet-others")
    paths = sorted((Path(data) / "imagenet-others").glob("*.jpg"))[::20]

    def maps(path):
        image = cv2.imread(str(path))
        for side in (128, 256, 512):
            yield hog(cv2.resize(image, (side, side))[None].astype(np.float32))[0]

    with threadpool_limits(limits=1):  # small products: threads would make them slower, twentyfold
        estimated, packaged = estimate_statistics(map(maps, paths)), packaged_statistics()
    assert np.corrcoef(estimated.mean, packaged.mean)[0, 1] > 0.85
    correlation = np.corrcoef(estimated.covariance.ravel(), packaged.covariance.ravel())[0, 1]
    assert correlation > 0.9
    assert whitening(estimated).mean.shape == packaged_whitening().mean.shape
