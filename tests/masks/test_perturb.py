"""Perturbations that are no blend with a blur, against slow definitions."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.reference.perturbed import between_levels, variable_blur
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.perturbation.perturb import (
    PYRAMID,
    Noise,
    Prepared,
    Pyramid,
    blend,
    gaussian_blur,
    parse_perturbation,
)

NAMES = ["blur:4", "blur:10/11", "constant:mean", "constant:grey", "noise:0.25", "pyramid:6"]


def pictures(count: int, side: int = 24) -> Tensor:
    """Smooth random pictures, float64, as neighbouring pixels of photographs are alike."""
    noise = torch.rand(count, 3, side, side + 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    smooth = gaussian_blur(noise, 1.5)
    low, high = smooth.amin((1, 2, 3), keepdim=True), smooth.amax((1, 2, 3), keepdim=True)
    return (smooth - low) / (high - low)


def masks(images: Tensor) -> Tensor:
    """Random masks, with pixels that are exactly 0, 1 and on a level."""
    found = torch.rand(images[:, :1].shape, generator=torch.Generator().manual_seed(4), dtype=images.dtype)
    found[..., 0, :3], found[..., 1, :3], found[..., 2, :3] = 0.0, 1.0, PYRAMID[2]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_pixel_lies_between_the_two_levels_around_its_mask(name: str) -> None:
    images = pictures(2)
    prepared = parse_perturbation(name).prepare(images)
    found = prepared(masks(images))
    for index in range(2):
        levels = [level[index].numpy() for level in prepared.levels]
        expected = between_levels(levels, prepared.values, masks(images)[index, 0].numpy())
        np.testing.assert_allclose(found[index].numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_perturbed_where_the_mask_is_empty_and_all_where_it_is_full(name: str) -> None:
    images = pictures(2)
    perturbation = parse_perturbation(name)
    prepared = perturbation.prepare(images)
    none, whole = torch.zeros_like(images[:, :1]), torch.ones_like(images[:, :1])
    torch.testing.assert_close(prepared(none), images, rtol=0, atol=0)
    torch.testing.assert_close(prepared(whole), perturbation.background(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_with_respect_to_the_mask(name: str) -> None:
    images = pictures(1, 9)
    prepared = parse_perturbation(name).prepare(images)
    # away from the levels, where the slope jumps
    inside = torch.tensor([(a + b) / 2 for a, b in itertools.pairwise(PYRAMID)], dtype=torch.float64)
    mask = inside.repeat(14)[: 9 * 14].view(1, 1, 9, 14).clone().requires_grad_()
    assert torch.autograd.gradcheck(prepared, (mask,), eps=1e-7, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_images_do_not_influence_each_other_and_may_be_taken_out(name: str) -> None:
    images = pictures(3)
    perturbation = parse_perturbation(name)
    together, chosen = perturbation.prepare(images), torch.tensor([2, 0])
    alone = perturbation.prepare(images[chosen])
    for ours, theirs in zip(together[chosen].levels, alone.levels, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert together[chosen].values == together.values


def test_two_levels_are_a_blend() -> None:
    images = pictures(2)
    background = parse_perturbation("blur:4").background(images)
    expected = (1 - masks(images)) * images + masks(images) * background
    torch.testing.assert_close(Prepared((images, background))(masks(images)), expected)
    torch.testing.assert_close(blend(images, background, masks(images)), expected)


def test_a_pyramid_is_close_to_a_blur_whose_width_varies_from_pixel_to_pixel() -> None:
    images = pictures(1, 48)
    ramp = torch.linspace(0, 1, images.shape[3], dtype=torch.float64).expand(1, 1, *images.shape[2:])
    found = Pyramid(8).prepare(images)(ramp)[0].numpy()
    expected = variable_blur(images[0].numpy(), 8 * ramp[0, 0].numpy())
    linear = parse_perturbation("blur:8").prepare(images)(ramp)[0].numpy()
    error, error_of_a_blend = (float(np.abs(ours - expected).mean()) for ours in (found, linear))
    assert error < 0.003
    assert error_of_a_blend > 8 * error


def test_noise_is_around_the_mean_colour_and_belongs_to_the_image() -> None:
    images = (0.4 + 0.1 * pictures(2, 64)).float()
    found = Noise(0.05).background(images)
    torch.testing.assert_close(found.mean((2, 3)), images.mean((2, 3)), rtol=0, atol=0.004)
    torch.testing.assert_close(found.std((2, 3)), torch.full((2, 3), 0.05), rtol=0, atol=0.004)
    noise = found - images.mean((2, 3), keepdim=True)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert abs(float(neighbours)) < 0.02
    assert not torch.allclose(noise[0], noise[1])
    torch.testing.assert_close(Noise(0.05).background(images[1:])[0], found[1], rtol=0, atol=0)
    torch.testing.assert_close(Noise(0.05).background(images.double()).float(), found, rtol=0, atol=1e-6)
    strong = Noise(9.0).background(images)
    assert strong.min() == 0
    assert strong.max() == 1


@pytest.mark.parametrize(
    "name", ["noise", "noise:0", "noise:x", "pyramid", "pyramid:-1", "pyramid:inf", "blur:3/", "fog:1"]
)
def test_what_is_no_perturbation_names_those_there_are(name: str) -> None:
    with pytest.raises(UserError, match="pyramid:SIGMA, noise:DEVIATION"):
        parse_perturbation(name)
