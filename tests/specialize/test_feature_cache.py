"""Photographs of the validation and training folders of `specialize`, as people have them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import path_on_record
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation, numbered
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.features import Tap
from visual_summaries.specialize.photos import Photo, list_photos


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    half = Normalisation((0.5,) * 3, (0.5,) * 3)
    return Classifier(
        network, frame=Frame((32, 32), 32, "bilinear"), normalisation=half, labels=numbered(["cat", "dog"])
    )


def add(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    with open(os.fsencode(path), "wb") as stream:
        Image.fromarray(pixels).save(stream, format="PNG")
    return path


def test_folders_without_pictures_are_no_classes(
    tmp_path: Path, classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("cat", "dog"):
        add(tmp_path / name / "1.png")
    (tmp_path / "@eaDir").mkdir()
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    photos = list_photos(tmp_path, classifier, what="--train")
    assert [(photo.path.parent.name, photo.label) for photo in photos] == [("cat", 0), ("dog", 1)]
    assert len(caplog.messages) == 1
    assert "@eaDir, __MACOSX, notes" in caplog.messages[0]


def test_a_stray_picture_is_asked_about(tmp_path: Path, classifier: Classifier) -> None:
    for name in ("cat", "dog"):
        add(tmp_path / name / "1.png")
    add(tmp_path / "preview.png")
    with pytest.raises(UserError, match="beside folders of pictures"):
        list_photos(tmp_path, classifier, what="--val")


def test_other_files_beside_photographs_that_name_their_class_are_passed_over(
    tmp_path: Path, classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    add(tmp_path / "0001_a.png")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    assert [photo.label for photo in list_photos(tmp_path, classifier, what="--val")] == [1]
    assert caplog.messages == [f"ignored in {tmp_path}, not images: Thumbs.db"]


def test_photographs_that_cannot_be_read_are_skipped_with_their_reason(tmp_path: Path, classifier: Classifier) -> None:
    latin = add(Path(os.fsdecode(os.fsencode(tmp_path) + b"/fr\xfcchte.png")), 1)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "odd.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.mkfifo(tmp_path / "pipe.png")
    paths = [add(tmp_path / "a.png"), tmp_path / "broken.png", latin, tmp_path / "odd.png", tmp_path / "pipe.png"]
    with classifier:
        cache = FeatureCache(classifier, Tap("4", "input"), tmp_path / "features.npz", "print")
        features, skipped = cache.photographs([Photo(path, 0) for path in paths], lambda done, total: None)
    assert [path_on_record(name) for name in features.names] == [paths[0], latin]
    assert features.vectors.shape == (2, 4)
    assert [(Path(one["path"]).name, one["reason"].split(":")[0]) for one in skipped] == [
        ("broken.png", "broken link"),
        ("odd.png", "unreadable"),
        ("pipe.png", "no plain file"),
    ]
    json.dumps([*features.names, *skipped], ensure_ascii=False).encode()
