"""Pairs of images in the whole chain: ``--pairs knn:K``, and what is written of it."""

import json
import shutil

import numpy as np
import pytest
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters import matched
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.matching.pairs import encode, nearest_pairs
from visual_summaries.clustering.options import count_neighbours
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.similarity_file import read_matched, write_matched
from visual_summaries.summaries.stages.clusters import run_clusters
from visual_summaries.summaries.store import Run

NETWORK = '''
import torch
from torch import nn


class Edges(nn.Module):
    """Two classes: what has texture in its middle, and what has none; its feature map are edges."""

    input_size = (96, 96)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    classes = ("textured", "plain")

    def __init__(self):
        super().__init__()
        self.edges = nn.Sequential(nn.Conv2d(3, 6, 5, padding=2, bias=False), nn.ReLU())
        kernel = torch.full((5, 5), -1 / 25)
        kernel[2, 2] += 1
        weight = torch.zeros(6, 3, 5, 5)
        for channel in range(3):
            weight[channel, channel], weight[channel + 3, channel] = kernel, -kernel
        with torch.no_grad():
            self.edges[0].weight.copy_(weight)

    def forward(self, images):
        logit = 40 * self.edges(images).square().mean(1)[:, 24:72, 24:72].mean((1, 2)) - 0.2
        return torch.stack([logit, -logit], 1)


def build():
    return Edges()
'''


@pytest.fixture(scope="module", autouse=True)
def small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 48)
        yield


@pytest.fixture(scope="module")
def folder(make_folder):
    made = make_folder(7)
    (made.home / "network.py").write_text(NETWORK)
    return made


@pytest.fixture(scope="module")
def nearest(folder):
    """The run with each image's two nearest."""
    out = folder.home / "nearest"
    assert main(folder.arguments("--pairs", "knn:2", out=out)) == 0
    return out


def test_only_the_nearest_are_matched(folder, nearest):
    run = Run(nearest)
    with load_classifier(folder.model) as classifier:
        expected = nearest_pairs(encode(classifier, map(run.frame, run.ids)), 2)
    assert 7 <= len(expected) < 21
    assert run.info["stages"]["matching"]["counts"]["pairs"] == len(expected)
    assert run.info["config"]["settings"]["similarity"]["pairs"] == "knn:2"
    found = read_matched(nearest / "work" / "similarity.npz")
    assert np.array_equal(found.pairs, expected)
    rows, columns = found.matrix.nonzero()
    between = {tuple(sorted(pair)) for pair in zip(found.part_owner[rows], found.part_owner[columns], strict=True)}
    assert between <= {tuple(pair) for pair in expected.tolist()}
    assert len(between) > 4
    for summary in run.summaries:
        images = [run.ids.index(member.image) for member in summary.members]
        exemplar = run.ids.index(run.parts[summary.exemplar].image)
        assert all(sorted((image, exemplar)) in expected.tolist() for image in images if image != exemplar)


def test_the_same_bytes_for_any_number_of_jobs_and_again_by_cluster(folder, nearest, promised, capfd):
    before = promised(nearest)
    out = folder.home / "jobs"
    arguments = folder.arguments("--set.similarity.pairs", "knn:2", out=out)
    arguments[arguments.index("--jobs") + 1] = "3"
    assert main(arguments) == 0
    assert promised(out) == before
    assert main(["cluster", str(out), "--jobs", "1", "--trust"]) == 0
    assert promised(out) == before
    capfd.readouterr()
    assert main(folder.arguments("--pairs", "knn:3", out=out)) == 0
    assert "matching: again, changed: similarity.pairs knn:2 -> knn:3" in capfd.readouterr().err


def test_as_many_neighbours_as_there_are_images_are_all_pairs(folder, promised):
    every, many = folder.home / "every", folder.home / "many"
    assert main(folder.arguments(out=every)) == 0
    assert main(folder.arguments("--pairs", "knn:6", out=many)) == 0
    assert promised(every) == promised(many)
    assert read_matched(many / "work" / "similarity.npz").pairs is None


@pytest.mark.parametrize("option", ["--pairs", "--set.similarity.pairs"])
def test_pairs_that_nobody_can_make_are_said_before_any_work(folder, capfd, tmp_path, option):
    assert main(folder.arguments(option, "nearest:3", out=tmp_path / "run")) == 2
    messages = capfd.readouterr().err
    assert messages.splitlines()[-1].endswith(
        f"{option} is 'nearest:3': give all, or knn:20 for each image with its 20 nearest"
    )
    assert not (tmp_path / "run" / "images.csv").exists()


def test_a_configuration_file_may_ask_for_pairs(folder, tmp_path, capfd):
    (tmp_path / "options.json").write_text(json.dumps({"similarity": {"pairs": "knn:x"}}))
    assert main(folder.arguments("--config", str(tmp_path / "options.json"), out=tmp_path / "run")) == 2
    assert "similarity.pairs is 'knn:x'" in capfd.readouterr().err
    assert count_neighbours("knn:7") == 7


def test_summaries_of_one_part_in_different_neighbourhoods_are_merged(nearest, tmp_path, quick_settings, promised):
    """A part in each of seven images in a row, all alike, each matched with the two before it and the two after it."""
    run, count = Run(shutil.copytree(nearest, tmp_path / "run")), 7
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    pairs = np.array([(i, j) for i in range(count) for j in range(i + 1, count) if j - i <= 2])
    alike = csr_array(np.where((apart > 0) & (apart <= 2), 0.8, 0).astype(np.float32))
    where = PartBoxes(np.tile(np.float32([20, 20, 60, 60]), (count, 1)), np.zeros(count, np.int32))
    write_matched(
        run.path / "work" / "similarity.npz", Matched(alike, np.arange(count), np.arange(count), where, pairs)
    )
    counts = run_clusters(run.path, quick_settings, seed=0)
    (kept,) = (one for one in Run(run.path).summaries if one.kept)
    assert counts["kept"] == 1
    assert len({member.image for member in kept.members}) == len(kept.members) > 5  # no image was matched with so many
    assert max(member.similarity for member in kept.members) == min(member.similarity for member in kept.members) == 1
    before = promised(run.path)
    run_clusters(run.path, quick_settings, seed=0)
    assert promised(run.path) == before


def parts(pairs=None):
    rng = np.random.default_rng(0)
    image, chosen = np.array([0, 0, 0, 1, 2, 2, 3, 3]), np.array([0, 2, 3, 4, 5, 6])
    dense = np.triu(rng.random((8, 8)) * (rng.random((8, 8)) < 0.7), 1)
    similarity = csr_array((dense + dense.T).astype(np.float32)[:, chosen])
    where = PartBoxes(rng.random((8, 4)).astype(np.float32), np.arange(8, dtype=np.int32))
    return Matched(similarity, image, chosen, where, pairs)


def as_array(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@pytest.mark.parametrize("pairs", [None, np.array([[0, 1], [1, 3], [2, 3]])])
@pytest.mark.parametrize("dense", [3, 300])
def test_what_is_written_is_read(tmp_path, monkeypatch, pairs, dense):
    monkeypatch.setattr(matched, "DENSE_PARTS", dense)
    given = parts(pairs)
    write_matched(tmp_path / "similarity.npz", given)
    found = read_matched(tmp_path / "similarity.npz")
    assert isinstance(found.matrix, np.ndarray) == (pairs is None and dense == 300)
    assert as_array(found.matrix).tobytes() == as_array(given.matrix).tobytes()
    assert np.array_equal(found.part_owner, [0, 0, 1, 2, 2, 3])
    assert found.similarity.toarray().tobytes() == given.similarity.toarray().tobytes()
    assert np.array_equal(found.owner, given.owner)
    for name in ("corners", "region"):
        assert np.array_equal(getattr(found.where, name), getattr(given.where, name))
    assert (found.pairs is None) == (pairs is None)
    block = found.among([0, 2, 3, 5])
    expected = as_array(given.matrix)[np.ix_([0, 2, 3, 5], [0, 2, 3, 5])]
    if pairs is not None:
        expected[[0, 0, 1, 2, 3, 2], [2, 3, 2, 0, 0, 1]] = np.nan  # 0 with 2 and 3, 1 with 2
        np.fill_diagonal(expected, np.nan)
    np.testing.assert_array_equal(block, expected)
