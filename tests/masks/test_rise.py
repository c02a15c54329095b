"""RISE: against its formula, and the masks that it draws."""

import pytest
import torch
from torch import Tensor, nn

from tests.masks.planted import ONES, SIDE, Textured, pictures
from visual_summaries.masks.attribution.options import RiseOptions
from visual_summaries.masks.attribution.rise import random_mask, rise
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.inputs.shape import InputShape
from visual_summaries.masks.networks.classifier import Classifier, Normalisation


def test_rise_is_its_formula() -> None:
    options = RiseOptions(masks=6, batch=4)
    images = pictures(2)
    seen: list[Tensor] = []

    class Recorded(Classifier):
        def log_probabilities(self, images: Tensor, targets: Tensor) -> Tensor:
            found = super().log_probabilities(images, targets)
            seen.extend(zip(images.double(), found.double().exp(), strict=True))
            return found

    model = Recorded(
        Textured(),
        frame=Frame((SIDE, SIDE), SIDE, "bilinear"),
        normalisation=Normalisation((0.5, 0.4, 0.3), (1.0, 1.0, 1.0)),
    )
    with model:
        found = rise(model, images, ONES, options, seed=3)
    # the masks, from what the network has seen: x M + mean (1 - M)
    mean = torch.tensor([0.5, 0.4, 0.3], dtype=torch.float64).view(3, 1, 1)
    expected = torch.zeros(2, SIDE, SIDE, dtype=torch.float64)
    masks = []
    for image, p in seen:
        fits = []
        for x in images.double():
            mask = ((image - mean) * (x - mean)).sum(0) / (x - mean).square().sum(0)  # that of all three channels
            fits.append((float((x * mask + mean * (1 - mask) - image).abs().max()), mask))
        index = min(range(2), key=lambda i: fits[i][0])
        error, mask = fits[index]
        assert error < 1e-5
        expected[index] += p * mask / (6 * 0.5)
        masks.append(mask)
    assert len(masks) == 12
    torch.testing.assert_close(found[:, 0].double(), expected, rtol=1e-3, atol=1e-4)


def test_masks_of_rise_are_smooth_half_full_and_shifted() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.cat([random_mask(pictures(1), RiseOptions(), generator) for _ in range(400)])[:, 0]
    assert masks.shape == (400, SIDE, SIDE)
    assert masks.min() >= 0
    assert masks.max() <= 1
    torch.testing.assert_close(masks.mean(0), torch.full((SIDE, SIDE), 0.5), rtol=0, atol=0.12)
    assert float(masks.mean()) == pytest.approx(0.5, abs=0.01)
    assert (masks[..., 1:] - masks[..., :-1]).abs().max() <= 1 / 7 + 1e-5  # cells of 7 pixels
    corner = masks[:, 0, 0]  # without a shift it is a cell's own value, 0 or 1
    assert 0.1 < float(((corner > 0.05) & (corner < 0.95)).float().mean()) < 0.6


class Flicker(nn.Module):
    """Class 1 is sure where a clip is bright in a few frames of one place."""

    def forward(self, clips: Tensor) -> Tensor:
        logit = 20 * (clips[:, :, 4:8, 2:12, 14:24].mean((1, 2, 3, 4)) - 0.5)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def test_the_planted_place_and_time_of_a_clip_are_found() -> None:
    size = (12, 24, 28)
    clips = torch.full((2, 3, *size), 0.3)
    clips[:, :, 4:8, 2:12, 14:24] = 0.9
    normalisation = Normalisation((0.0,) * 3, (1.0,) * 3)
    with Classifier(Flicker(), shape=InputShape(size), normalisation=normalisation) as model:
        found = rise(model, clips, ONES, RiseOptions(masks=600))
    assert found.shape == (2, 1, *size)
    truth = torch.zeros(size, dtype=torch.bool)
    truth[4:8, 2:12, 14:24] = True
    for relevance in found[:, 0]:
        best = relevance.flatten().topk(int(truth.sum())).indices
        assert truth.flatten()[best].float().mean() > 0.6  # by chance 0.05
