"""Extremal perturbations: their area, and the smooth maximum against its slow definition."""

import numpy as np
import pytest
import torch

from tests.masks.planted import ONES, classifier, pictures
from tests.reference.saliency import smooth_maximum
from visual_summaries.masks.attribution.extremal import SmoothMax, extremal
from visual_summaries.masks.attribution.options import ExtremalOptions


def test_the_extremal_perturbation_has_the_area_asked_for_and_is_nearly_binary() -> None:
    areas, options = torch.tensor([0.1, 0.3]), ExtremalOptions(perturbation="blur:5", grid=12)
    with classifier() as model:
        found = extremal(model, pictures(2), ONES, options, areas=areas)
    torch.testing.assert_close(found.mean((1, 2, 3)), areas, rtol=0, atol=0.03)
    assert (found * (1 - found)).mean() < 0.06
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_smooth_maximum_is_its_slow_definition() -> None:
    options = ExtremalOptions(grid=5, reach=2, temperature=0.1)
    cells = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    field = SmoothMax((20, 28), options, cells)
    assert field.grid == [5, 7]
    found = field.coarse(cells)
    for index in range(2):
        expected = smooth_maximum(cells[index, 0].numpy(), SmoothMax.PLACES, 2, 0.1)
        np.testing.assert_allclose(found[index, 0].numpy(), expected, rtol=0, atol=1e-12)
    assert field.enlarged(found).shape == (2, 1, 20, 28)


def test_wanted_values_have_the_area() -> None:
    field = SmoothMax((40, 40), ExtremalOptions(grid=5), torch.zeros(1))
    wanted = field.wanted(torch.tensor([0.0, 0.25, 1.0]))
    assert wanted.mean(1).tolist() == [0.0, 0.25, 1.0]
    assert (wanted.diff(dim=1) >= 0).all()


def test_areas_of_the_options_are_those_of_all_images() -> None:
    options = ExtremalOptions(area=0.2, iterations=3)
    with classifier() as model:
        found = extremal(model, pictures(2), ONES, options)
        expected = extremal(model, pictures(2), ONES, ExtremalOptions(iterations=3), areas=torch.tensor([0.2, 0.2]))
        other = extremal(model, pictures(2), ONES, ExtremalOptions(iterations=3))
    assert torch.equal(found, expected)
    assert not torch.equal(found, other)


def test_a_clip_is_refused() -> None:
    with classifier() as model, pytest.raises(ValueError, match=r"the shape \(1, 3, 4, 48, 48\): give images"):
        extremal(model, torch.zeros(1, 3, 4, 48, 48), ONES[:1])
