"""A run examines its network before any work, and tells what no mask lost."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.summaries.pipeline import Job, run
from visual_summaries.summaries.settings import Settings

SIDE = 64


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.body = nn.Conv2d(3, 5, 3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images).relu().mean((2, 3))


class Soft(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(1)


class Sure(Network):
    """Of class 0 whatever it sees, a little more on bright images."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3)) * 1e-3
        return torch.stack([bright + 5, 0 * bright], 1)


class Blind(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).detach()


def job(tmp_path: Path) -> Job:
    folder = tmp_path / "photos"
    folder.mkdir(parents=True)
    (folder / "0.png").write_bytes(b"no picture")
    rng = np.random.default_rng(0)
    for index in range(1, 4):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    settings = Settings()
    masks = settings.masks
    masks = replace(masks, smooth=replace(masks.smooth, iterations=1), crisp=replace(masks.crisp, iterations=2))
    settings = replace(settings, masks=masks)
    return Job(folder=folder, out=tmp_path / "run", target="predicted", jobs=1, settings=settings)


def classifier(network: nn.Module) -> Classifier:
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)
    return Classifier(network, frame=Frame((SIDE, SIDE), SIDE, "bilinear"), normalisation=normalisation)


def test_conversions_are_said_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = run(job(tmp_path), classifier(Soft()), until="masks")
    notes = json.loads((found.path / "run.json").read_text())["model"]["notes"]
    assert notes == ["outputs are probabilities: their logarithm is taken"]
    assert f"model: {notes[0]}" in caplog.messages
    plain = run(replace(job(tmp_path / "other"), limit=1), classifier(Network()), until="masks")
    assert plain.info["model"]["notes"] == []


def test_a_network_without_gradients_stops_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no gradient"):
        run(job(tmp_path), classifier(Blind()))
    assert not (tmp_path / "run" / "images.csv").exists()


def test_nearest_pairs_without_feature_maps_are_refused_before_any_work(tmp_path: Path) -> None:
    wanted = job(tmp_path)
    similarity = replace(wanted.settings.similarity, pairs="knn:1")
    wanted = replace(wanted, settings=replace(wanted.settings, similarity=similarity))
    with pytest.raises(UserError, match="give `pairs` all"):
        run(wanted, classifier(Sure()))
    assert not (tmp_path / "run" / "images.csv").exists()


def test_torchscript_stops_no_run_and_is_told(tmp_path: Path) -> None:
    scripted = nn.Sequential(torch.jit.script(Network()))
    found = run(job(tmp_path), classifier(scripted), until="matching")
    assert found.info["model"]["notes"] == ["TorchScript shows no feature map of the network: HOG describes parts"]
    assert found.info["stages"]["matching"]["counts"]["descriptor"] == "hog"


def test_images_whose_class_no_mask_loses_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = run(job(tmp_path), classifier(Sure()), until="masks")
    assert found.info["stages"]["masks"]["counts"]["not lost"] == 3
    assert "3 of 3 images keep more than 50% of their class under their mask" in caplog.text
    assert all(row.drop_binary < 0.5 for row in found.masks.values())
