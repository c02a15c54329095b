"""How many images are optimised at once."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.perturbation.batches import CPU_BATCH, LARGEST_BATCH, batch_size, fitting
from visual_summaries.masks.perturbation.optimize import half_precision
from visual_summaries.masks.perturbation.schedule import preset

MEGABYTE = 2**20


def classifier() -> Classifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    return Classifier(network, frame=Frame((8, 8), 8, "bilinear"), normalisation=Normalisation((0.5,) * 3, (0.5,) * 3))


def test_what_the_schedule_says_counts_and_a_cpu_has_its_own_number() -> None:
    schedule = preset("compact")
    assert batch_size(classifier(), schedule) == CPU_BATCH
    assert batch_size(classifier(), replace(schedule, batch=3)) == 3


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (0, 1),
        (10 * MEGABYTE, 1),
        (100 * MEGABYTE, 4),  # 70 % of it holds 6 images of 11 MB
        (1000 * MEGABYTE, 32),
        (10**6 * MEGABYTE, LARGEST_BATCH),
    ],
)
def test_what_fits_is_a_power_of_two_of_images_in_most_of_the_memory(memory: int, expected: int) -> None:
    # ten megabytes an image over what a pass takes anyway, and one that stays
    assert fitting(220 * MEGABYTE, 260 * MEGABYTE, MEGABYTE, memory) == expected


def test_a_card_that_holds_no_pass_gets_single_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise torch.OutOfMemoryError("full")

    model = classifier()
    model.device = torch.device("cuda")
    monkeypatch.setattr("visual_summaries.masks.perturbation.batches.pass_memory", full)
    assert batch_size(model, preset("compact")) == 1


def test_passes_on_a_cpu_are_in_full_precision() -> None:
    with half_precision(torch.device("cpu"), preset("compact").crisp):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
