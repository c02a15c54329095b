"""All attributions: what they have in common."""

import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.masks.planted import AREA, ONES, classifier, inside, pictures
from visual_summaries.masks.attribution.cut import cut, normalised
from visual_summaries.masks.attribution.extremal import extremal
from visual_summaries.masks.attribution.grad_cam import grad_cam
from visual_summaries.masks.attribution.names import MASK, METHODS
from visual_summaries.masks.attribution.options import AttributionOptions, ExtremalOptions, RiseOptions
from visual_summaries.masks.attribution.registry import ATTRIBUTIONS
from visual_summaries.masks.metrics.faithfulness import most_salient
from visual_summaries.masks.options import OptionError

OPTIONS: dict[str, Any] = {
    "grad_cam": None,
    "rise": RiseOptions(masks=300),
    "extremal": ExtremalOptions(area=AREA, iterations=60, grid=12, perturbation="blur:5"),
}


def test_each_method_has_a_function_and_options_of_its_name() -> None:
    names = {field.name for field in fields(AttributionOptions)} - {"method"}
    assert names == set(ATTRIBUTIONS) == set(METHODS) - {MASK} == set(OPTIONS)
    for name in names:
        assert AttributionOptions(method=name).chosen is not None
    with pytest.raises(OptionError, match=r"method is 'gradcam': give one of mask, grad_cam, rise, extremal"):
        AttributionOptions(method="gradcam")
    with pytest.raises(OptionError, match=r"area is 1.0: give a value in \(0, 1\)"):
        RiseOptions(area=1.0)


def test_options_and_names_load_no_torch() -> None:
    code = "import sys; import visual_summaries.masks.attribution.options; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["rise", "extremal"])
def test_the_planted_place_is_found_and_images_do_not_influence_each_other(name: str) -> None:
    images = pictures(2)
    with classifier() as model:
        together = ATTRIBUTIONS[name](model, images, ONES, OPTIONS[name])
        alone = ATTRIBUTIONS[name](model, images[1:], ONES[:1], OPTIONS[name])
    assert together.shape == (2, 1, *images.shape[2:])
    assert together.dtype == torch.float32
    torch.testing.assert_close(together[1], alone[0], rtol=0, atol=1e-3)
    for saliency in together[:, 0].numpy():
        assert inside(most_salient(saliency, AREA)) > 0.8


def test_the_seed_decides_what_is_random() -> None:
    options = RiseOptions(masks=5)
    with classifier() as model:
        first, same, other = (ATTRIBUTIONS["rise"](model, pictures(1), ONES[:1], options, seed=s) for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_there_whatever_the_callers_mode(mode: type[torch.no_grad]) -> None:
    areas, options = torch.tensor([0.2, 0.3]), ExtremalOptions(iterations=2)

    def explained(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        return grad_cam(model, images, ONES), extremal(model, images, ONES, options, areas=areas)

    with classifier() as model:
        expected = explained(model, pictures(2))
        with mode():
            found = explained(model, pictures(2))
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_a_cut_takes_the_most_relevant_pixels_whatever_the_scale() -> None:
    relevance = np.random.default_rng(0).normal(size=(10, 12))
    for scale, shift in ((1.0, 0.0), (1e-12, -3e-12), (1e6, 5.0)):
        scaled = scale * relevance + shift
        mask = cut(scaled, 0.3)
        assert mask.sum() == 36
        assert scaled[mask].min() > scaled[~mask].max()
        shown = normalised(scaled)
        assert shown.dtype == np.float32
        assert (shown.min(), shown.max()) == (0, 1)
        np.testing.assert_allclose(shown, (relevance - relevance.min()) / np.ptp(relevance), rtol=0, atol=1e-4)


def test_a_relevance_without_order_gives_an_empty_mask() -> None:
    same = np.full((6, 8), 0.7, np.float32)
    assert not cut(same, 0.3).any()
    assert not normalised(same).any()
