"""Other people's explanations: against slow definitions, and on a network whose class sits in one place."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.reference.saliency import smooth_maximum
from visual_summaries.masks import world
from visual_summaries.masks.attribution.baselines import (
    ExtremalOptions,
    RiseOptions,
    SmoothMax,
    UnsuitableNetworkError,
    _rise_mask,
    disc,
    extremal,
    grad_cam,
    moved,
    rise,
)
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.metrics.faithfulness import most_salient
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.layers import feature_layers, record
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.networks.randomise import iou, randomised
from visual_summaries.masks.perturbation.perturb import Blur

SIDE = 48
PLACE = (slice(6, 22), slice(24, 42))


class Textured(nn.Module):
    """Class 1 is sure where fine texture stands in a place of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(3, 2, 2, bias=False)
        with torch.no_grad():
            self.edges.weight[:, :, 0, 0], self.edges.weight[:, :, 1, 1] = 1 / 3, -1 / 3
            self.edges.weight[:, :, 0, 1], self.edges.weight[:, :, 1, 0] = 0, 0
            self.edges.weight[1] *= -1
        self.positive = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        energy = self.positive(self.edges(images)).sum(1)[(slice(None), *PLACE)].mean((1, 2))
        logit = 60 * (energy - 0.1)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def classifier(network: nn.Module | None = None) -> Classifier:
    return Classifier(
        network or Textured(),
        frame=Frame((SIDE, SIDE), SIDE, "bilinear"),
        normalisation=Normalisation((0.5, 0.4, 0.3), (1.0, 1.0, 1.0)),
    )


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def inside(mask: np.ndarray) -> float:
    """Share of a mask that lies where the class is."""
    return float(mask[PLACE].sum() / mask.sum())


ONES = torch.ones(2, dtype=torch.int64)
AREA = 0.1
"""A little less than that of the place."""


def test_grad_cam_is_its_formula() -> None:
    network = world.untrained("demo", seed=3)
    side = network.input_size[0]
    model = Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation(network.mean, network.std),
    )
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([3, 5])
    with model:
        found = grad_cam(model, images, targets)
        last = feature_layers(model)[-1].name
        with record(model, [last]) as maps:
            logits = model.logits(images.clone().requires_grad_())
        (gradient,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), maps[last])
        cam = (gradient.mean((2, 3), keepdim=True) * maps[last]).sum(1, keepdim=True)
    expected = F.interpolate(cam, size=(side, side), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)
    assert not any(module._forward_hooks for module in network.modules())


def test_grad_cam_says_why_it_does_not_work_on_a_transformer_or_without_feature_maps() -> None:
    with load_classifier("timm:vit_tiny_patch16_224", weights="none") as model:
        with pytest.raises(UnsuitableNetworkError, match="not laid out as"):
            grad_cam(model, torch.rand(1, 3, 224, 224), torch.tensor([3]))
        assert not any(module._forward_hooks for module in model.network.modules())
    blind = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    with classifier(blind) as model, pytest.raises(UnsuitableNetworkError, match="no feature map"):
        grad_cam(model, pictures(1), ONES[:1])


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
        found = rise(model, images, ONES, seed=3, options=options)
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
    masks = torch.cat([_rise_mask(pictures(1), RiseOptions(), generator) for _ in range(400)])[:, 0]
    assert masks.shape == (400, SIDE, SIDE)
    assert masks.min() >= 0
    assert masks.max() <= 1
    torch.testing.assert_close(masks.mean(0), torch.full((SIDE, SIDE), 0.5), rtol=0, atol=0.12)
    assert float(masks.mean()) == pytest.approx(0.5, abs=0.01)
    assert (masks[..., 1:] - masks[..., :-1]).abs().max() <= 1 / 7 + 1e-5  # cells of 7 pixels
    corner = masks[:, 0, 0]  # without a shift it is a cell's own value, 0 or 1
    assert 0.1 < float(((corner > 0.05) & (corner < 0.95)).float().mean()) < 0.6


@pytest.mark.parametrize("method", ["rise", "extremal"])
def test_the_planted_place_is_found_and_images_do_not_influence_each_other(method: str) -> None:
    images = pictures(2)

    def explain(chosen: Tensor) -> Tensor:
        if method == "rise":
            return rise(model, chosen, ONES[: len(chosen)], options=RiseOptions(masks=300))
        areas, options = torch.full((len(chosen),), AREA), ExtremalOptions(iterations=60, grid=12)
        return extremal(model, chosen, ONES[: len(chosen)], areas, perturbation=Blur(5), options=options)

    with classifier() as model:
        together = explain(images)
        alone = explain(images[1:])
    torch.testing.assert_close(together[1], alone[0], rtol=0, atol=1e-3)
    for saliency in together[:, 0].numpy():
        assert inside(most_salient(saliency, AREA)) > 0.8


def test_the_extremal_perturbation_has_the_area_asked_for_and_is_nearly_binary() -> None:
    areas = torch.tensor([0.1, 0.3])
    with classifier() as model:
        found = extremal(model, pictures(2), ONES, areas, perturbation=Blur(5), options=ExtremalOptions(grid=12))
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


def test_a_moved_mask_keeps_area_and_shape() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:7] = True
    mask[8, 7:12] = True
    seen = set()
    for seed in range(40):
        found = moved(mask, np.random.default_rng(seed))
        assert np.array_equal(found, moved(mask, np.random.default_rng(seed)))
        shifts = [
            np.roll(kind, (dy, dx), (0, 1)) for kind in (mask, mask[:, ::-1]) for dy in range(20) for dx in range(30)
        ]
        assert any(np.array_equal(found, shifted) for shifted in shifts)
        seen.add(found.tobytes())
    assert len(seen) > 35


def test_the_disc_is_round_centred_and_of_the_area() -> None:
    found = disc((41, 61), 0.2)
    assert found.sum() == round(0.2 * 41 * 61)
    assert np.array_equal(found, found[::-1, ::-1]) or (found ^ found[::-1, ::-1]).sum() <= 8
    y, x = np.nonzero(found)
    radius = np.hypot(y - 20, x - 30)
    assert radius.max() <= np.sqrt(found.sum() / np.pi) + 1
    assert not disc((8, 8), 0.0).any()
    assert disc((8, 8), 1.0).all()


# --- random weights ------------------------------------------------------------------------------------------


def test_a_randomised_network_is_another_one_and_the_first_is_left_alone() -> None:
    network = world.untrained("demo", seed=3)
    side = network.input_size[0]
    model = Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation(network.mean, network.std),
    )
    images = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    with model:
        one, same, other = (randomised(model, images, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert one.fingerprint() == same.fingerprint()
    assert len({one.fingerprint(), other.fingerprint(), model.fingerprint()}) == 3
    assert [m.training for m in one.network.modules()] == [m.training for m in network.modules()]
    with one:
        logits = one.logits(images)
        assert not one.network.training
    # batch normalisation knows the images: the signal lives to the end, and tells them apart
    assert logits.std(0).mean() > 1e-3


def test_deep_networks_and_transformers_keep_their_signal() -> None:
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    for spec in ("timm:tf_efficientnet_lite0", "timm:vit_tiny_patch16_224"):
        with load_classifier(spec, weights="none") as model:
            other = randomised(model, images, seed=0)
        with other, torch.inference_mode():
            logits = other.logits(images)
        assert torch.isfinite(logits).all()
        assert (logits[0] - logits[1]).abs().mean() > 1e-4


def test_parameters_without_a_way_to_be_drawn_keep_their_mean_square() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.full((3, 400, 2), 5.0))

        def forward(self, images: Tensor) -> Tensor:
            return (images.mean((2, 3)) @ self.scale.mean(1))[:, :2]

    model = classifier(Scaled())
    with model:
        other = randomised(model, pictures(2), seed=0)
    scale = other.network.scale
    assert float(scale.square().mean()) == pytest.approx(25, rel=0.1)
    assert float(scale.std()) > 4


def test_intersection_over_union() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(one, other) == 1.0
    one[:2], other[1:3] = True, True
    assert iou(one, other) == pytest.approx(1 / 3)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_there_whatever_the_callers_mode(mode: type[torch.no_grad]) -> None:
    areas, options = torch.tensor([0.2, 0.3]), ExtremalOptions(iterations=2)
    with classifier() as model:
        expected = grad_cam(model, pictures(2), ONES), extremal(model, pictures(2), ONES, areas, options=options)
        with mode():
            images = pictures(2)
            found = grad_cam(model, images, ONES), extremal(model, images, ONES, areas, options=options)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
