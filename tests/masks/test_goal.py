"""What counts as lost, and that a factor on the logits of a very sure network changes no mask."""

import math
from dataclasses import replace
from statistics import mean

import pytest
import torch
from torch import Tensor, nn

from visual_summaries.masks import world
from visual_summaries.masks.metrics.faithfulness import drop, probabilities
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.cut import cleaned
from visual_summaries.masks.perturbation.goal import Goal
from visual_summaries.masks.perturbation.objective import log_odds, temperatures
from visual_summaries.masks.perturbation.optimize import MaskBatch, optimize
from visual_summaries.masks.perturbation.perturb import Blur
from visual_summaries.masks.perturbation.schedule import PRESETS, BinaryOptions, Schedule

COMPACT = PRESETS["compact"]


class Times(nn.Module):
    """A network with logits times a factor."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits * self.factor


def times(factor: float) -> Classifier:
    """The embedded world's network with logits times a factor."""
    model = load_classifier("demo")
    return Classifier(
        Times(model.network, factor), frame=model.frame, normalisation=model.normalisation, labels=model.labels
    )


def pictures(model: Classifier, count: int) -> tuple[Tensor, Tensor]:
    """One picture of each of the first classes."""
    names = [label.name for label in model.labels[:count]]
    return model.to_tensor([world.draw(name, seed=0).image for name in names]), torch.arange(count)


def masks(factor: float, count: int, schedule: Schedule) -> MaskBatch:
    with times(factor) as model:
        return optimize(model, *pictures(model, count), schedule)


def with_passes(schedule: Schedule, crisp: int) -> Schedule:
    return replace(schedule, crisp=replace(schedule.crisp, iterations=crisp))


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union (N,) of binary masks (N, 1, H, W)."""
    return (one & other).sum((1, 2, 3)) / (one | other).sum((1, 2, 3))


def test_temperatures_are_their_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    for classes in (2, 3, 50):
        logits = torch.randn(40, classes, generator=generator, dtype=torch.float64) * torch.logspace(0, 3, 40)[:, None]
        found = temperatures(logits)
        for row, value in zip(logits.tolist(), found.tolist(), strict=True):
            best = max(row)
            others = row.copy()
            others.remove(best)
            lead = best - mean(others)
            assert value == pytest.approx(lead / 12 if lead > 25 else 1)
        assert 0 < (found == 1).sum() < 40


def test_a_factor_on_the_logits_cancels() -> None:
    logits = 40 * torch.randn(20, 10, generator=torch.Generator().manual_seed(1))
    tempered = logits / temperatures(logits)[:, None]
    assert (temperatures(logits) > 1).all()
    for factor in (4, 64):  # powers of two round nothing
        assert torch.equal(logits * factor / temperatures(logits * factor)[:, None], tempered)
    torch.testing.assert_close(logits * 50 / temperatures(logits * 50)[:, None], tempered)


def test_the_lead_bounds_log_odds() -> None:
    logits = 100 * torch.randn(50, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    tempered = logits / temperatures(logits)[:, None]
    for target in range(7):
        assert (log_odds(tempered, torch.full((50,), target)) <= 12 - math.log(6) + 1e-9).all()


def goal(clean: Tensor) -> Goal:
    """The goal to lose class 0 of images with given logits."""
    found = temperatures(clean)
    zeros = torch.zeros(len(clean), dtype=torch.int64)
    return Goal(zeros, found, clean.log_softmax(1)[:, 0], (clean / found[:, None]).log_softmax(1)[:, 0])


def test_a_class_is_lost_when_it_is_in_both_ways() -> None:
    clean = torch.tensor([[100.0, 0.0, 0.0], [100.0, 0.0, 0.0], [100.0, 0.0, 0.0], [5.0, 0.0, 0.0]]).double()
    now = torch.tensor([[5.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [-30.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]).double()
    aim, rows = goal(clean), torch.arange(4)
    own = 1 - now.softmax(1)[:, 0] / clean.softmax(1)[:, 0]
    scaled = aim.temperatures[:, None]
    tempered = 1 - (now / scaled).softmax(1)[:, 0] / (clean / scaled).softmax(1)[:, 0]
    for share in (0.5, 0.75):
        lost = aim.gaps(now, rows, share) <= 0
        assert torch.equal(lost, (own >= share) & (tempered >= share))
    assert own[0] < 0.5 < tempered[0]  # lost at its temperature, not in what is reported
    assert tempered[1] < 0.75 < own[1]  # and the other way round
    assert torch.equal(aim.gaps(now, rows, 0.75) <= 0, torch.tensor([False, False, True, True]))
    assert torch.equal(aim.gaps(now[2:3], rows[2:3], 0.75), aim.gaps(now, rows, 0.75)[2:3])


def test_a_factor_on_logits_far_apart_changes_no_mask() -> None:
    one, other = (masks(factor, 3, with_passes(COMPACT, 25)) for factor in (16, 64))
    assert torch.equal(one.smooth, other.smooth)
    assert torch.equal(one.crisp, other.crisp)
    assert all(torch.equal(a, b) for a, b in zip(one.history, other.history, strict=True))


def test_a_very_sure_network_has_the_masks_of_an_ordinary_one() -> None:
    ordinary, sure = (masks(factor, 3, COMPACT) for factor in (1, 50))
    binary = cleaned(sure.crisp, BinaryOptions())
    assert ((ordinary.smooth - sure.smooth).abs().mean((1, 2, 3)) < 0.03).all()
    assert overlap(cleaned(ordinary.crisp, BinaryOptions()), binary).mean() > 0.5
    with times(50) as model:
        images, targets = pictures(model, 3)
        p0 = probabilities(model, images, targets)
        p = probabilities(model, images, targets, binary.float(), Blur(10))
    assert (drop(p0, p) > COMPACT.crisp.drop).all()  # as it is reported, of the network itself


def test_an_ordinary_network_has_temperature_1_and_the_same_masks_without() -> None:
    schedule = with_passes(COMPACT, 25)
    one, other = (masks(1, 3, each) for each in (schedule, replace(schedule, tempered=False)))
    assert torch.equal(one.smooth, other.smooth)
    assert torch.equal(one.crisp, other.crisp)
    with times(1) as model:
        assert (Goal.of(model, *pictures(model, 8), tempered=True).temperatures == 1).all()


def test_the_presets_of_the_paper_leave_logits_as_they_are() -> None:
    assert {name for name, schedule in PRESETS.items() if schedule.tempered} == {"compact"}
