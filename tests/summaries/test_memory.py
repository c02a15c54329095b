"""The memory of the mask stage is that of a batch, however many images there are, and a batch shrinks to fit."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.perturbation.schedule import preset
from visual_summaries.summaries.files import write_csv, write_json, write_png
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.find_masks import find_masks
from visual_summaries.summaries.store import ImageRow, Run, frame_path

ROOT = Path(__file__).parents[2]
SIDE, BATCH, FEW, MANY = 64, 8, 32, 2000
ALLOWED = 12
"""MiB. The frames of all images are 23 as they are read, 94 as float32; each of their masks is 31."""

STAGE = '''
"""Makes the masks of a run with a tiny network, and prints the peak of its memory in KiB."""

import resource
import sys
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import nn

from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.perturbation.schedule import Stage, preset
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.masks import run_masks
from visual_summaries.summaries.store import Run

out, side, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
classifier = Classifier(
    network, frame=Frame((side, side), side, "bilinear"), normalisation=Normalisation((0.5,) * 3, (0.5,) * 3)
)
schedule = preset("reference")
stages = {
    one.name: replace(getattr(schedule, one.name), iterations=min(1, getattr(schedule, one.name).iterations))
    for one in fields(schedule)
    if isinstance(getattr(schedule, one.name), Stage)
}
settings = Settings(masks=replace(schedule, **stages, batch=batch))
targets = {image: 1 for image in Run(out).ids}
with classifier:
    run_masks(out, classifier, settings, targets, seed=0, external=None, key="", tick=lambda done, total: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
'''


def peak(out: Path, count: int) -> float:
    """Peak of the memory, in MiB, of the masks of so many images."""
    write_json(out / "run.json", {"format": 1})
    ids = [f"{number:04d}" for number in range(count)]
    write_csv(out / "images.csv", ImageRow, [ImageRow(i, i, i, SIDE, SIDE, "ok", "", 1, 0.5) for i in ids])
    rng = np.random.default_rng(0)
    first = [rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(4)]
    for number, image in enumerate(ids):
        if number < len(first):
            write_png(frame_path(out, image), first[number])
        else:
            frame_path(out, image).hardlink_to(frame_path(out, ids[number % len(first)]))
    program = out.parent / "stage.py"
    program.write_text(STAGE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONPATH": str(ROOT)}
    given = [sys.executable, str(program), str(out), str(SIDE), str(BATCH)]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(Run(out).masks) == count
    return int(done.stdout) / 1024


def test_two_thousand_images_run_in_the_memory_of_thirty_two(tmp_path: Path) -> None:
    few, many = (peak(tmp_path / str(count), count) for count in (FEW, MANY))
    assert many - few < ALLOWED


class SmallMemory(nn.Module):
    """A network that runs out of memory when it sees more than two images at once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.last = nn.Linear(32, 3)
        self.most = 2

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        logits: torch.Tensor = self.last(self.inner(images))
        return logits


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_gives_the_same(caplog: pytest.LogCaptureFixture) -> None:
    images, targets = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), torch.arange(5) % 3
    schedule = preset("compact")
    shorter = {name: replace(getattr(schedule, name), iterations=12) for name in ("smooth", "crisp")}
    settings = Settings(masks=replace(schedule, **shorter))
    found = []
    for most in (2, 5):
        network = SmallMemory()
        network.most = 3  # enough for the classifier to find out how the network is asked
        normalisation = Normalisation((0.5,) * 3, (0.5,) * 3)
        with Classifier(network, frame=Frame((SIDE, SIDE), SIDE, "bilinear"), normalisation=normalisation) as model:
            network.most = most
            model.network.double()
            with caplog.at_level(logging.INFO):
                found.append(find_masks(model, images.double(), targets, settings, seed=3))
    halved, whole = found
    assert np.array_equal(halved.binary, whole.binary)
    np.testing.assert_allclose(halved.crisp, whole.crisp, atol=2e-3)
    assert [len(losses) for losses in halved.history] == [len(losses) for losses in whole.history]
    assert "5 images at once do not fit into memory: 2 and 3" in caplog.text


def test_one_image_that_does_not_fit_is_an_error() -> None:
    network = SmallMemory()
    network.most = 3
    normalisation = Normalisation((0.5,) * 3, (0.5,) * 3)
    with Classifier(network, frame=Frame((SIDE, SIDE), SIDE, "bilinear"), normalisation=normalisation) as model:
        network.most = 0
        with pytest.raises(torch.OutOfMemoryError):
            find_masks(model, torch.rand(2, 3, SIDE, SIDE), torch.zeros(2, dtype=torch.int64), Settings(), seed=0)
