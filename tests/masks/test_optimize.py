"""Masks: against slow definitions, and on a network whose class is known to sit in one place."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor, nn

from visual_summaries.masks import world
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.metrics.faithfulness import drop, probabilities
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.fields import initial_masks, smoothing, upsampling
from visual_summaries.masks.perturbation.objective import area, greyness, log_odds, total_variation
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.masks.perturbation.perturb import Blur, Constant, blend, gaussian_blur, parse_perturbation
from visual_summaries.masks.perturbation.schedule import PRESETS, BinaryOptions, Schedule, Stage, preset

SIDE = 64


class PatternNetwork(nn.Module):
    """Two classes: class 1 is sure where fine texture stands in a place of its own, else class 0."""

    def __init__(self, place: tuple[slice, slice]) -> None:
        super().__init__()
        self.place = place
        self.gain = nn.Parameter(torch.tensor(60.0))

    def forward(self, images: Tensor) -> Tensor:
        texture = (images[..., 1:, 1:] - images[..., :-1, :-1]).abs().mean(1)
        energy = texture[(slice(None), *self.place)].mean((1, 2))
        logit = self.gain * (energy - 0.1)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def classifier(place: tuple[slice, slice] = (slice(8, 28), slice(30, 54))) -> Classifier:
    return Classifier(
        PatternNetwork(place),
        frame=Frame((SIDE, SIDE), SIDE, "bilinear"),
        normalisation=Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    )


def pictures(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=dtype)


def short(schedule: Schedule, passes: int) -> Schedule:
    return replace(
        schedule,
        smooth=replace(schedule.smooth, iterations=passes),
        crisp=replace(schedule.crisp, iterations=passes),
    )


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_images_of_a_batch_do_not_influence_each_other(name: str) -> None:
    images, targets = pictures(3, torch.float64), torch.ones(3, dtype=torch.int64)
    model = classifier()
    model.network.double()
    with model:
        together = optimize(model, images, targets, short(PRESETS[name], 10))
        for index in range(3):
            alone = optimize(model, images[index : index + 1], targets[:1], short(PRESETS[name], 10))
            torch.testing.assert_close(alone.smooth[0], together.smooth[index], rtol=0, atol=1e-6)
            torch.testing.assert_close(alone.crisp[0], together.crisp[index], rtol=0, atol=1e-6)
            torch.testing.assert_close(alone.history[0], together.history[index], rtol=0, atol=1e-6)


def test_twenty_passes_of_a_network_with_batch_norm_in_a_batch_equal_one_at_a_time() -> None:
    network = world.untrained("demo", seed=3).double()
    side = network.input_size[0]
    model = Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation(network.mean, network.std),
    )
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets = torch.tensor([3, 7, 1])
    for name in PRESETS:
        with model:
            together = optimize(model, images, targets, short(PRESETS[name], 20))
            alone = optimize(model, images[1:2], targets[1:2], short(PRESETS[name], 20))
        torch.testing.assert_close(alone.crisp[0], together.crisp[1], rtol=0, atol=1e-6)


def test_a_vision_transformer_works_unchanged() -> None:
    model = load_classifier("timm:vit_tiny_patch16_224", weights="none")
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with model:
        found = optimize(model, images, torch.tensor([3]), short(PRESETS["compact"], 2))
    assert torch.isfinite(found.crisp).all()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_planted_place_is_found(name: str) -> None:
    images, targets = pictures(2), torch.ones(2, dtype=torch.int64)
    with classifier() as model:
        schedule = PRESETS[name]
        if name == "paper":  # full resolution without smoothing is slow to move; the place shows early
            schedule = short(schedule, 60)
        found = optimize(model, images, targets, schedule)
        p0 = probabilities(model, images, targets)
        p = probabilities(model, images, targets, found.crisp, Blur(10))
    assert (drop(p0, p) > 0.9).all()
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[8:29, 30:55] = True
    for mask in found.crisp[:, 0]:
        assert mask[inside].mean() > 2 * mask[~inside].mean()
    assert found.crisp.min() >= 0
    assert found.crisp.max() <= 1


def test_the_compact_mask_is_nearly_binary_and_takes_its_area() -> None:
    images, targets = pictures(2), torch.ones(2, dtype=torch.int64)
    schedule = PRESETS["compact"]
    for share in (0.1, 0.3):
        with classifier() as model:
            found = optimize(model, images, targets, replace(schedule, crisp=replace(schedule.crisp, area=share)))
        assert ((area(found.crisp) - share).abs() < 0.02).all()
        assert (greyness(found.crisp) < 0.05).all()


def test_an_image_stops_when_its_class_is_lost_and_is_computed_no_further() -> None:
    images, targets = pictures(3), torch.ones(3, dtype=torch.int64)
    images[2] = 0.5  # its class is not there, and cannot be lost
    schedule = PRESETS["compact"]
    schedule = replace(schedule, crisp=replace(schedule.crisp, drop=0.95, area_jitter=0.0))
    seen: list[int] = []
    with classifier() as model:
        hook = model.network.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
        found = optimize(model, images, targets, schedule)
        hook.remove()
        p0 = probabilities(model, images, targets)
        binary = torch.from_numpy(np.stack([binarize(mask[0].numpy()) for mask in found.crisp]))[:, None].float()
        p = {
            name: probabilities(model, images, targets, binary, parse_perturbation(name))
            for name in ("blur:10", "constant:mean")
        }
    passes = [len(losses) for losses in found.history]
    most = schedule.smooth.iterations + schedule.crisp.iterations
    assert schedule.smooth.iterations + schedule.crisp.ramp < max(passes[:2]) < most
    assert passes[2] == most
    assert all((drop(p0, values)[:2] > 0.94).all() for values in p.values())
    # beside its passes an image is seen once before them, and when the mask that would remain is looked at under the
    # three perturbations: by the two that stop here at most every third pass, never after they have stopped
    looked = sum(seen) - sum(passes) - 2 - len(images)  # two passes find out what may be fused
    assert looked % 3 == 0
    assert looked <= sum(passes) - len(images) * (schedule.smooth.iterations + schedule.crisp.ramp)


def test_the_mask_that_remains_has_lost_the_class_or_is_the_best_that_was_looked_at() -> None:
    images, targets = pictures(4), torch.ones(4, dtype=torch.int64)
    schedule = PRESETS["compact"]
    schedule = replace(schedule, crisp=replace(schedule.crisp, drop=0.95, area_jitter=0.5))  # passes are far off
    with classifier() as model:
        found = optimize(model, images, targets, schedule)
        cut_short = optimize(model, images, targets, short(schedule, 3))
        p0 = probabilities(model, images, targets)
        binary = torch.from_numpy(np.stack([binarize(mask[0].numpy()) for mask in found.crisp]))[:, None].float()
        drops = [
            drop(p0, probabilities(model, images, targets, binary, parse_perturbation(name)))
            for name in schedule.crisp.perturbations
        ]
    stopped = torch.tensor([len(losses) for losses in found.history]) < 130
    assert stopped.any()
    assert (torch.stack(drops).amin(dim=0)[stopped] >= schedule.crisp.drop - 1e-6).all()
    assert (area(cut_short.crisp) > 0.2).all()  # before the end of the ramp there is a mask as well


def test_the_same_seed_gives_the_same_masks() -> None:
    images, targets = pictures(2), torch.ones(2, dtype=torch.int64)
    with classifier() as model:
        one, two, other = (
            optimize(model, images, targets, short(PRESETS["compact"], 8), seed=seed) for seed in (0, 0, 1)
        )
    assert torch.equal(one.crisp, two.crisp)
    assert not torch.equal(one.crisp, other.crisp)


def test_objective_terms_are_their_formulas() -> None:
    masks = torch.rand(2, 1, 7, 9, dtype=torch.float64)
    for mask, a, g, tv in zip(masks, area(masks), greyness(masks), total_variation(masks, 3.0), strict=True):
        values = mask[0].tolist()
        pixels = [(y, x) for y in range(7) for x in range(9)]
        assert float(a) == pytest.approx(sum(values[y][x] for y, x in pixels) / 63)
        assert float(g) == pytest.approx(sum(values[y][x] * (1 - values[y][x]) for y, x in pixels) / 63)
        slow = sum(abs(values[y][x + 1] - values[y][x]) ** 3 for y, x in pixels if x < 8)
        slow += sum(abs(values[y + 1][x] - values[y][x]) ** 3 for y, x in pixels if y < 6)
        assert float(tv) == pytest.approx(slow / 63)


def test_log_odds() -> None:
    logits = 3 * torch.randn(6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor([0, 6, 2, 3, 3, 1])
    p = logits.softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(log_odds(logits, targets), torch.logit(p))


@pytest.mark.parametrize("sigma", [1.0, 5.0, 10.0])
def test_blur_is_scipys(sigma: float) -> None:
    images = pictures(1, torch.float64)
    ours = gaussian_blur(images, sigma)[0, 0].numpy()
    theirs = scipy.ndimage.gaussian_filter(images[0, 0].numpy(), sigma, mode="mirror", radius=int(np.ceil(3 * sigma)))
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_perturbations_by_name() -> None:
    assert parse_perturbation("blur:10/11") == Blur(10, 11)
    assert parse_perturbation("constant:mean") == Constant("mean")
    images = pictures(2)
    mean = Constant("mean").background(images)
    torch.testing.assert_close(mean[1, :, 5, 5], images[1].mean((1, 2)))
    mask = torch.zeros(2, 1, SIDE, SIDE)
    mask[:, :, :10] = 1
    blended = blend(images, mean, mask)
    assert torch.equal(blended[:, :, 10:], images[:, :, 10:])
    assert torch.equal(blended[:, :, :10], mean[:, :, :10])
    for name in ("blur", "blur:0", "blur:-3", "blur:x", "blur:10/4", "constant:red", "noise"):
        with pytest.raises(UserError, match="unknown perturbation"):
            parse_perturbation(name)


def test_upsampling_is_torchs_and_smoothing_keeps_constants() -> None:
    small = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    matrix = upsampling(8, SIDE)
    theirs = nn.functional.interpolate(small, size=SIDE, mode="bilinear", align_corners=False)
    torch.testing.assert_close(matrix @ small @ matrix.T, theirs)
    torch.testing.assert_close(smoothing(SIDE, 4.0).sum(1), torch.ones(SIDE, dtype=torch.float64))


def test_the_start_is_a_disc() -> None:
    start = initial_masks(pictures(1))[0, 0]
    assert start[SIDE // 2, SIDE // 2] == 1
    assert start[0, 0] == start[-1, -1] == 0
    assert float(start.mean()) == pytest.approx(np.pi / 4, abs=0.02)


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(UserError, match="compact"):
        preset("fancy")
    assert isinstance(preset("paper").smooth, Stage)


def test_binarize_fills_holes_and_removes_specks() -> None:
    mask = np.zeros((100, 100), np.float32)
    mask[20:60, 20:60] = 0.9
    mask[30:33, 30:33] = 0  # a hole of 9 pixels
    mask[80:82, 80:82] = 1  # a speck of 4
    clean = binarize(mask, BinaryOptions(min_area=0.005))
    expected = np.zeros((100, 100), bool)
    expected[20:60, 20:60] = True
    np.testing.assert_array_equal(clean, expected)
    assert not binarize(np.zeros((50, 50), np.float32)).any()
    assert binarize(np.ones((50, 50), np.float32)).all()
    speck = np.zeros((100, 100), np.float32)
    speck[4:6, 4:6] = 1
    assert binarize(speck).sum() == 4  # the largest region stays where no other would


def scaled(factor: float) -> Classifier:
    """The planted network with logits times a factor."""
    model = classifier()
    model.network.gain = nn.Parameter(torch.tensor(60.0 * factor))
    return model


@pytest.mark.parametrize("factor", [0.1, 10.0, 50.0])
def test_a_factor_on_the_logits_changes_no_mask_of_a_given_area(factor: float) -> None:
    images, targets = pictures(2), torch.ones(2, dtype=torch.int64)
    stage = replace(PRESETS["compact"].crisp, iterations=30, drop=0.0, perturbations=("blur:10",))
    schedule = Schedule(smooth=Stage(iterations=0), crisp=stage)
    found = []
    for times in (1.0, factor):
        with scaled(times) as model:
            found.append(optimize(model, images, targets, schedule).crisp > 0.5)
    union = (found[0] | found[1]).sum((1, 2, 3))
    assert ((found[0] & found[1]).sum((1, 2, 3)) / union > 0.95).all()


def test_a_network_that_is_very_sure_still_loses_its_class() -> None:
    images, targets = pictures(2), torch.ones(2, dtype=torch.int64)
    with scaled(50) as model:
        found = optimize(model, images, targets, PRESETS["compact"])
    with classifier() as model:
        p0 = probabilities(model, images, targets)
        p = probabilities(model, images, targets, (found.crisp > 0.5).float(), Blur(10))
    assert (drop(p0, p) > 0.9).all()


def test_the_gradient_of_log_odds_never_vanishes() -> None:
    targets = torch.tensor([2, 0, 1])
    for factor in (1e-3, 1.0, 1e2, 1e4):
        logits = factor * torch.tensor([[1.0, 0.0, 9.0], [5.0, 5.0, -3.0], [0.0, -7.0, 2.0]])
        logits.requires_grad_()
        (gradient,) = torch.autograd.grad(log_odds(logits, targets).sum(), logits)
        torch.testing.assert_close(gradient.gather(1, targets[:, None])[:, 0], torch.ones(3))
        torch.testing.assert_close(gradient.sum(1), torch.zeros(3))
