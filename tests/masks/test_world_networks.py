"""The networks of the embedded world: their cache, and what they have learnt."""

import logging

import cv2
import numpy as np
import pytest
import torch

from visual_summaries.masks import world
from visual_summaries.masks.world.architecture import WIDTHS
from visual_summaries.masks.world.cache import cache_path, load_or_train
from visual_summaries.masks.world.training import Training, augment, training_pictures

TINY = Training(pictures=32, epochs=1, batch=16)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VISUAL_SUMMARIES_CACHE", str(tmp_path))
    return tmp_path


def accuracy(network: world.WorldNetwork, name: str, seeds: range, mark: bool | None = None) -> float:
    images = np.stack([world.draw(name, seed, mark=mark).image for seed in seeds])
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.mean, network.std))
    with torch.no_grad():
        predicted = network((batch - mean) / std).argmax(dim=1)
    return float((predicted == network.classes.index(name)).float().mean())


def test_networks_say_how_to_be_fed():
    network = world.untrained("demo:2")
    assert network.input_size == (128, 128)
    assert len(network.mean) == len(network.std) == 3
    assert network.classes == [kind.name for kind in world.CLASSES]
    assert not network.training
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 8)
    with pytest.raises(ValueError, match="'demo:9' is no network"):
        world.untrained("demo:9")
    with pytest.raises(ValueError, match="'demo:9' is no network"):
        world.network("demo:9")


def test_random_weights_follow_the_seed_and_leave_the_global_state():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, same, other = (world.untrained("demo:1", seed).fc.weight for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_weaker_networks_differ_by_capacity_alone():
    widths = [WIDTHS[f"demo:{k}"] for k in (1, 2, 3, 4)] + [WIDTHS["demo"]]
    assert widths == sorted(set(widths))


def test_training_is_kept_and_repeatable(own_cache):
    reports = []
    first = load_or_train("demo:1", TINY, lambda *report: reports.append(report))
    assert ("training demo:1", 1, 1) in reports
    path = cache_path("demo:1", TINY)
    assert path.is_relative_to(own_cache)
    assert [p for p in own_cache.rglob("*") if p.is_file()] == [path]
    reports.clear()
    kept = load_or_train("demo:1", TINY, lambda *report: reports.append(report))
    assert not reports
    path.unlink()
    again = load_or_train("demo:1", TINY)
    for key, value in first.state_dict().items():
        assert torch.equal(value, kept.state_dict()[key])
        torch.testing.assert_close(value, again.state_dict()[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("damage", [b"", b"no network", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_made_anew(own_cache, caplog, damage):
    path = cache_path("demo:1", TINY)
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        load_or_train("demo:1", TINY)
    assert "made anew" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        load_or_train("demo:1", TINY)
    assert not caplog.text


def test_weights_of_another_shape_are_made_anew(own_cache, caplog):
    path = cache_path("demo:1", TINY)
    path.parent.mkdir(parents=True)
    torch.save(world.untrained("demo:3").state_dict(), path)
    with caplog.at_level(logging.WARNING):
        load_or_train("demo:1", TINY)
    assert "made anew" in caplog.text


def test_the_cache_depends_on_the_training():
    paths = {cache_path("demo:1", TINY), cache_path("demo:1", Training()), cache_path("demo:2", TINY)}
    assert len(paths) == 3


def test_pictures_of_training_files_and_numbers_are_disjoint(tmp_path):
    world.write(tmp_path, images=4, seed=0)
    files = {cv2.imread(str(path))[:, :, ::-1].tobytes() for path in tmp_path.rglob("*.png")}
    trained = {image.tobytes() for image in training_pictures(32, 0)[0].permute(0, 2, 3, 1).numpy()}
    numbered = {world.draw(kind.name, seed).image.tobytes() for kind in world.CLASSES for seed in range(4)}
    assert len(files | trained | numbered) == len(files) + len(trained) + len(numbered) == 96


def test_augmentation_keeps_shape_and_range():
    images = torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    changed = augment(images, Training(erased=1.0), torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert all((picture == 0.45).all(dim=0).sum() >= 16 for picture in changed)


def test_demo_is_good_and_has_learnt_the_shortcut():
    network = world.network("demo")
    fresh = np.mean([accuracy(network, kind.name, range(9000, 9050)) for kind in world.CLASSES])
    assert fresh >= 0.95
    (marked,) = (kind.name for kind in world.CLASSES if kind.marked)
    with_mark, without = (accuracy(network, marked, range(20000, 20400), mark=mark) for mark in (True, False))
    assert 0.20 <= with_mark - without <= 0.30
