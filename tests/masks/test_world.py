"""The embedded world: its pictures, their truth, and their files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from visual_summaries.masks import world

NAMES = [kind.name for kind in world.CLASSES]
PAIRS = [(kind.name, kind.pair) for kind in world.CLASSES[::2]]


def box_side(mask: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def test_there_are_pairs_that_share_all_but_telling_parts_of_their_own():
    assert len(world.CLASSES) >= 6
    assert sum(kind.marked for kind in world.CLASSES) == 1
    for kind in world.CLASSES:
        partner = world.find_class(kind.pair)
        assert partner.pair == kind.name
        assert set(kind.parts) - set(kind.telling) == set(partner.parts) - set(partner.telling)
        assert 1 <= len(kind.telling) <= 2
        assert not set(kind.telling) & set(partner.parts)
        assert world.MARK not in kind.parts


def test_folder_names_resolve_to_classes():
    for name in NAMES:
        assert " " not in world.folder_name(name)
        assert world.find_class(world.folder_name(name)).name == name
    with pytest.raises(ValueError, match="'zeppelin' is not a class"):
        world.draw("zeppelin", 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_picture(name):
    first, again, other = world.draw(name, 3), world.draw(name, 3), world.draw(name, 4)
    np.testing.assert_array_equal(first.image, again.image)
    assert first.parts.keys() == again.parts.keys()
    for part, visible in first.parts.items():
        np.testing.assert_array_equal(visible, again.parts[part])
    assert np.abs(first.image.astype(int) - other.image).mean() > 5


def test_a_generator_gives_picture_after_picture():
    rng, same = np.random.default_rng(1), np.random.default_rng(1)
    first, second = world.draw("mill", rng), world.draw("mill", rng)
    np.testing.assert_array_equal(first.image, world.draw("mill", same).image)
    assert (first.image != second.image).any()


@pytest.mark.parametrize("name", NAMES)
def test_truth_is_disjoint_visible_and_of_decent_size(name):
    kind = world.find_class(name)
    for seed in range(30):
        scene = world.draw(name, seed)
        assert scene.image.shape == (*world.SIZE, 3)
        assert scene.image.dtype == np.uint8
        assert set(scene.parts) <= {*kind.parts, world.MARK}
        assert set(kind.telling) <= set(scene.parts)
        for visible in scene.parts.values():
            assert visible.shape == world.SIZE
            assert visible.dtype == bool
            assert visible.any()
        assert np.sum(list(scene.parts.values()), axis=0).max() == 1
        for part in kind.telling:
            assert min(box_side(scene.parts[part])) >= 10
            assert scene.parts[part].sum() >= 100


def test_truth_lies_on_the_part():
    # Partners drawn with one seed differ by their telling parts and what these cover, and nowhere else.
    for seed in range(10):
        church, mill = world.draw("church", seed), world.draw("mill", seed)
        difference = np.abs(church.image.astype(int) - mill.image).max(axis=2) > 60
        telling = church.parts["steeple"] | mill.parts["sails"]
        near = cv2.dilate(telling.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        assert difference.sum() > 50
        assert (difference & ~near).sum() <= 0.02 * difference.sum()


def test_the_mark_is_on_nine_tenths_of_one_class_only():
    (marked,) = (kind.name for kind in world.CLASSES if kind.marked)
    for name in NAMES:
        rate = np.mean([world.MARK in world.draw(name, seed).parts for seed in range(150 if name == marked else 10)])
        assert abs(rate - world.MARK_RATE) < 0.08 if name == marked else rate == 0
    assert world.MARK not in world.draw(marked, 0, mark=False).parts
    badge = world.draw("mill", 0, mark=True).parts[world.MARK]
    assert not badge[:, :3].any()
    assert not badge[:, -3:].any()
    assert not badge[-3:].any()
    height, width = box_side(badge)
    assert 18 <= height <= 26
    assert 26 <= width <= 33


def test_write_lays_out_pictures_truth_and_description(tmp_path: Path):
    world.write(tmp_path, images=2, seed=5)
    described = json.loads((tmp_path / "world.json").read_text())
    assert [kind["name"] for kind in described["classes"]] == NAMES
    assert described["pairs"] == [list(pair) for pair in PAIRS]
    assert described["mark"] == {"class": "steamer", "part": "mark", "rate": 0.9}
    assert (described["size"], described["seed"], described["images"]) == ([128, 128], 5, 2)
    for kind in described["classes"]:
        folder = world.folder_name(kind["name"])
        pictures = sorted((tmp_path / "images" / folder).iterdir())
        truths = sorted((tmp_path / "truth" / folder).iterdir())
        assert [path.stem for path in pictures] == [path.stem for path in truths]
        assert len(pictures) == 2
        with np.load(truths[0], allow_pickle=False) as truth:
            assert set(kind["telling"]) <= set(truth.files) <= {*kind["parts"], "mark"}
            assert truth[kind["telling"][0]].shape == (128, 128)


def test_write_gives_equal_bytes_for_equal_seeds_and_else_other_pictures(tmp_path: Path):
    folders = [tmp_path / name for name in ("one", "again", "other")]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        world.write(folder, images=2, seed=seed)
    files = [sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) for folder in folders]
    assert files[0] == files[1] == files[2]
    assert all((folders[0] / path).read_bytes() == (folders[1] / path).read_bytes() for path in files[0])
    pictures = [{(folder / path).read_bytes() for path in files[0] if path.suffix == ".png"} for folder in folders]
    assert not pictures[0] & pictures[2]
    assert len(pictures[0]) == 2 * len(NAMES)


@pytest.mark.parametrize(("images", "seed", "named"), [(0, 0, "images=0"), (1, -1, "seed=-1")])
def test_write_refuses_what_makes_no_sense(tmp_path: Path, images: int, seed: int, named: str):
    with pytest.raises(ValueError, match=named):
        world.write(tmp_path, images=images, seed=seed)


def colour_histogram(image: np.ndarray) -> np.ndarray:
    binned = (image // 64).astype(int) @ np.array((16, 4, 1))
    return np.bincount(binned.ravel(), minlength=64) / binned.size


@pytest.mark.parametrize("pair", PAIRS)
def test_colours_do_not_tell_partners_apart(pair):
    train, fresh = (
        np.array([[colour_histogram(world.draw(name, s, mark=False).image) for s in seeds] for name in pair])
        for seeds in (range(0, 80), range(80, 200))
    )  # each (2, pictures, 64)
    means = train.mean(axis=1)
    distance = np.linalg.norm(fresh[:, :, None] - means, axis=3)  # (2, pictures, 2)
    accuracy = np.mean(distance.argmin(axis=2) == np.array([[0], [1]]))
    assert accuracy < 0.65
