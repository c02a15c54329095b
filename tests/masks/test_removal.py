"""Outlines of parts and what fills their holes, against planted shapes and a slow definition."""

import numpy as np
import pytest

from visual_summaries.masks.perturbation.removal import RING, box_pixels, fill, outline


def disc(size, centre, radius):
    y, x = np.mgrid[: size[0], : size[1]]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("size", [(96, 128), (224, 224), (300, 200)])
def test_the_outline_of_a_disc_is_the_disc(size):
    rng = np.random.default_rng(0)
    image = rng.normal((60, 130, 70), 6, (*size, 3)).clip(0, 255)
    scale = max(size) / 128
    part = disc(size, (50 * scale, 40 * scale), 20 * scale)
    image[part] = rng.normal((210, 60, 40), 6, (int(part.sum()), 3)).clip(0, 255)
    box = tuple(scale * value for value in (26.0, 16.0, 74.0, 64.0))
    found = outline(image.astype(np.uint8), box)
    assert (found & part).sum() / (found | part).sum() > 0.93
    assert not (found & ~box_pixels(size, box)).any()


def test_where_nothing_differs_the_part_is_its_box():
    image = np.full((64, 64, 3), 90, np.uint8)
    np.testing.assert_array_equal(outline(image, (10.0, 10.0, 30.0, 40.0)), box_pixels((64, 64), (10, 10, 30, 40)))
    assert outline(image, (0.0, 0.0, 64.0, 64.0)).all()


def test_the_same_outline_twice():
    image = np.random.default_rng(1).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    first = outline(image, (10.0, 20.0, 50.0, 60.0))
    np.random.default_rng(2).random()
    np.testing.assert_array_equal(first, outline(image, (10.0, 20.0, 50.0, 60.0)))


def slow_fill(image, hole):
    """Each pixel of the hole: the mean of the ring's pixels, weighted by a Gaussian of their distance."""
    reach = max(1, round(RING * max(image.shape[:2])))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    holes = np.argwhere(hole)
    near = np.min([(y - r) ** 2 + (x - c) ** 2 for r, c in holes], axis=0) <= reach**2
    ring = np.argwhere(near & ~hole)
    sigma = max(reach, np.sqrt(hole.sum()) / 3)
    filled = image.astype(np.float64).copy()
    for r, c in holes:
        weights = np.exp(-((ring - (r, c)) ** 2).sum(1) / (2 * sigma**2))
        filled[r, c] = (weights[:, None] * image[ring[:, 0], ring[:, 1]]).sum(0) / weights.sum()
    return filled


def test_a_hole_is_filled_from_its_ring_as_defined():
    rng = np.random.default_rng(3)
    image = np.cumsum(rng.normal(0, 3, (40, 48, 3)), axis=1).clip(-80, 80) + 120
    image = image.astype(np.uint8)
    hole = disc((40, 48), (22, 18), 7)
    found = fill(image, hole).astype(float)
    np.testing.assert_array_equal(found[~hole], image[~hole])
    # the kernels of OpenCV are cut at four sigmas and the disc of its dilation is rounded
    np.testing.assert_allclose(found[hole], slow_fill(image, hole)[hole], atol=4)
    assert np.abs(found[hole] - slow_fill(image, hole)[hole]).mean() < 1


def test_holes_at_the_edge_and_of_everything():
    image = np.random.default_rng(4).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    corner = np.zeros((32, 32), bool)
    corner[:9, :9] = True
    assert (fill(image, corner)[~corner] == image[~corner]).all()
    everything = fill(image, np.ones((32, 32), bool))
    assert (everything == np.rint(image.mean(axis=(0, 1))).astype(np.uint8)).all()
    np.testing.assert_array_equal(fill(image, np.zeros((32, 32), bool)), image)
    speck = np.zeros((32, 32), bool)
    speck[5, 7] = True
    assert (fill(image, speck) != image).any(axis=2).sum() <= 1
