"""The feature cache: values that are not finite, other layers, another version."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.features import Tap
from visual_summaries.specialize.model import read_model
from visual_summaries.specialize.photos import Photo
from visual_summaries.specialize.windows import WindowPooling
from visual_summaries.summaries.evaluation.independent_encoder import crop


def tiny() -> Classifier:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return Classifier(
        network,
        frame=Frame((32, 32), 32, "bilinear"),
        normalisation=Normalisation((0.5,) * 3, (0.25,) * 3),
        spec="tiny",
    )


@pytest.fixture
def photographs(tmp_path: Path) -> list[Photo]:
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
        found.append(Photo(path, number))
    return found


def looked(classifier: Classifier, tap: Tap, photos: list[Photo], cache: Path):
    with classifier:
        cache = FeatureCache(classifier, tap, cache, classifier.fingerprint())
        features, skipped = cache.photographs(photos, lambda done, total: None)
        cache.save()
    return features, skipped


class Cleaned(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.nan_to_num(0, 1, -1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_stop_and_say_where(photographs, tmp_path, value):
    classifier = tiny()
    classifier.network.insert(3, Cleaned())  # the logits are finite, what SVMs would see is not
    with torch.no_grad():
        classifier.network[0].bias[0] = value
    with pytest.raises(UserError, match=r"tiny gives values that are not finite for .*0\.png"):
        looked(classifier, Tap("2", "output"), photographs, tmp_path / "features.npz")
    assert not (tmp_path / "features.npz").exists()
    with pytest.raises(UserError, match="not finite"):
        looked(classifier_of(classifier), Tap("3", "input"), photographs, tmp_path / "features.npz")


def classifier_of(classifier: Classifier) -> Classifier:
    """The same without what cleans the values."""
    found = tiny()
    found.network[0].load_state_dict(classifier.network[0].state_dict())
    return found


def test_what_is_kept_is_of_the_same_layers_and_the_same_version(photographs, tmp_path, monkeypatch):
    cache, classifier = tmp_path / "features.npz", tiny()
    plain, maps = Tap("3", "input"), Tap("3", "input", ("1",))
    fresh = {
        tap: looked(classifier, tap, photographs, tmp_path / f"{len(tap.maps)}.npz")[0].vectors for tap in (plain, maps)
    }
    assert fresh[plain].shape != fresh[maps].shape
    for tap in (plain, maps, plain):
        np.testing.assert_array_equal(looked(classifier, tap, photographs, cache)[0].vectors, fresh[tap])
    passes = []
    monkeypatch.setattr(
        "visual_summaries.specialize.feature_cache.phash", lambda picture: passes.append(1) or np.zeros(144, np.bool_)
    )
    looked(classifier, plain, photographs, cache)
    assert not passes
    monkeypatch.setattr("visual_summaries.specialize.feature_cache.VERSION", 99)
    looked(classifier, plain, photographs, cache)
    assert len(passes) == len(photographs)


def test_vectors_of_another_length_and_boxes_that_are_not_finite_are_refused():
    pooling = WindowPooling(2, ((3, 4, 4),), 2, ((0.0, 0.0, 0.5, 0.5),), True)
    vectors = torch.zeros(2, 50)
    assert pooling.pool_windows(vectors).shape == (2, 1, pooling.width)
    for wrong in (vectors[:, :49], vectors[:, :2], torch.zeros(2, 51)):
        with pytest.raises(ValueError, match="expected 50"):
            pooling.pool_windows(wrong)
    with pytest.raises(ValueError, match="not finite"):
        pooling.pool_boxes(vectors, torch.tensor([[0, 0, 1, float("nan")]] * 2))
    with pytest.raises(ValueError, match="expected"):
        replace(pooling, shapes=((3, 4, 5),)).pool_windows(vectors)


def test_a_crop_of_nothing_is_refused():
    frame = np.zeros((20, 30, 3), np.uint8)
    assert crop(frame, (25, 15, 30, 20), (8, 8)).shape == (8, 8, 3)
    for box in ((30, 0, 40, 10), (5, 5, 5, 9), (0, 25, 10, 30)):
        with pytest.raises(UserError, match="does not overlap the frame of 30x20"):
            crop(frame, box, (8, 8))


def test_a_class_without_a_readable_photograph_is_one_line(home, tmp_path, capsys):
    train = tmp_path / "train"
    shutil.copytree(home.train, train)
    for path in (train / "steamer").iterdir():
        path.write_bytes(b"no picture")
    home_of = replace_train(home, train)
    assert home_of.specialize(tmp_path / "model") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "has no readable image of class 'steamer'" in line
    assert "unreadable" in line


def test_windows_after_whole_images_in_one_folder_are_those_of_a_new_one(home, tmp_path):
    """Features of other layers are not those of these; read as such they end in a segmentation fault."""
    windows = ("--set.features.level", "window", "--set.tuning.normalisations", "platt_filled")
    for name, options in (("image", ()), ("window", windows)):
        assert home.specialize(tmp_path / name, *options) == 0
    wanted = {name: (tmp_path / name / "model.npz").read_bytes() for name in ("image", "window")}
    for name, options in (("image", ()), ("window", windows), ("image", ())):
        assert home.specialize(tmp_path / "one", *options) == 0
        assert (tmp_path / "one" / "model.npz").read_bytes() == wanted[name]
    assert read_model(tmp_path / "one").tap.maps == ()


def replace_train(home, train: Path):
    """The same home with other photographs to train on."""
    found = type(home)(home.runs.parent)
    found.train = train
    return found
