"""Shorter descriptors keep inner products."""

import numpy as np
import pytest

from visual_summaries.clustering.descriptors.projection import IMAGES, basis, learn, spread


def descriptors(count=300, numbers=60, rank=12, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, rank)) @ rng.normal(size=(rank, numbers))).astype(np.float32)


def test_as_many_numbers_as_there_are_directions_keep_every_inner_product():
    z = descriptors()
    directions = basis(z, 12, seed=0)
    assert directions.shape == (60, 12)
    np.testing.assert_allclose(directions.T @ directions, np.eye(12), atol=1e-4)
    np.testing.assert_allclose((z @ directions) @ (z @ directions).T, z @ z.T, rtol=1e-3, atol=0.05)


def test_fewer_numbers_are_nearly_as_good_as_the_exact_decomposition():
    rng = np.random.default_rng(1)
    z = (rng.normal(size=(400, 80)) * np.geomspace(1, 0.01, 80)).astype(np.float32)
    directions = basis(z, 20, seed=0)
    _, _, exact = np.linalg.svd(z, full_matrices=False)
    lost, least = (float(((z - z @ d @ d.T) ** 2).sum()) for d in (directions, exact[:20].T))
    assert least <= lost < 1.02 * least


def test_the_same_basis_again():
    z = descriptors(seed=2)
    assert basis(z, 10, seed=3).tobytes() == basis(z, 10, seed=3).tobytes()


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (5, 5), (32, 32), (1000, IMAGES)])
def test_the_images_of_a_basis_are_spread_over_all(count, expected):
    chosen = spread([7] * count)
    assert len(chosen) == expected
    assert not chosen or (chosen[0] == 0 and chosen[-1] == count - 1)


def test_images_without_boxes_make_no_basis():
    assert spread([0, 3, 0, 0, 5, 0]) == [1, 4]


def test_a_basis_is_learned_of_as_many_descriptors_of_each_image_or_of_all_that_it_has(monkeypatch):
    images = [descriptors(count=count, seed=count) for count in (500, 3, 700)]
    given = []
    monkeypatch.setattr(
        "visual_summaries.clustering.descriptors.projection.basis", lambda z, numbers, seed: given.append(z)
    )
    monkeypatch.setattr("visual_summaries.clustering.descriptors.projection.SAMPLE", 300)
    learn([500, 3, 700], images.__getitem__, 8, seed=1)
    learn([500, 3, 700], images.__getitem__, 8, seed=1)
    (one, other) = given
    assert len(one) == 100 + 3 + 100
    assert one.tobytes() == other.tobytes()
    assert {row.tobytes() for row in one} <= {row.tobytes() for z in images for row in z}
