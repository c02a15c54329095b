"""Matching a tile of pairs depends on a path and options alone, so that it can be done in another process."""

import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from visual_summaries.clustering.matching.match_tile import match_tile
from visual_summaries.clustering.matching.proposal_flow import Features
from visual_summaries.clustering.matching.similarity import similarity
from visual_summaries.clustering.matching.tiles import in_tiles
from visual_summaries.clustering.options import SimilarityOptions
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.stages.work_files import FeatureFolder

ROOT = Path(__file__).parents[2]

IMAGES, BOXES, NUMBERS = 9, 40, 300


@pytest.fixture
def written(tmp_path):
    """Features of some images in a folder, and which boxes are parts."""
    folder = FeatureFolder(tmp_path / "images")
    for index in range(IMAGES):
        rng = np.random.default_rng(index)
        corners = rng.integers(0, 150, (BOXES, 2))
        boxes = np.hstack([corners, corners + rng.integers(20, 70, (BOXES, 2))]).astype(np.float32)
        z = rng.normal(size=(2, BOXES, NUMBERS)).astype(np.float32)
        folder.write(index, Features(z[0], boxes, (224, 240), z[1]))
    return folder, [np.arange(BOXES) % 3 == index % 3 for index in range(IMAGES)]


def test_features_are_read_as_they_were_written(tmp_path):
    folder = FeatureFolder(tmp_path)
    plain = Features(np.eye(3, 5, dtype=np.float32), np.ones((3, 4), np.float32), (20, 30))
    for index, features in enumerate((plain, Features(plain.descriptors, plain.boxes, (9, 8), -plain.descriptors))):
        folder.write(index, features)
        found = folder(index)
        assert found.frame == features.frame
        assert np.array_equal(found.descriptors, features.descriptors)
        assert np.array_equal(found.boxes, features.boxes)
        assert (found.mirrored is None) == (features.mirrored is None)
    assert np.array_equal(found.mirrored, -plain.descriptors)


@pytest.mark.parametrize("native", [False, True])
def test_processes_and_threads_give_the_same_bytes(written, native):
    folder, kept = written
    alone = similarity(folder, kept)
    found = similarity(folder, kept, each=partial(make_calls, jobs=2, native=native))
    assert found.matrix.tobytes() == alone.matrix.tobytes()
    assert found.quality.tobytes() == alone.quality.tobytes()
    assert np.count_nonzero(alone.matrix)


PROGRAM = """
import pickle, sys
call = pickle.load(open(sys.argv[1], "rb"))
pickle.dump(call(), open(sys.argv[2], "wb"))
"""


def test_a_call_that_was_sent_elsewhere_gives_the_same_tile(written, tmp_path):
    folder, kept = written
    tile = in_tiles(np.array([[0, 4], [1, 4], [1, 5]]))[0]
    call = partial(match_tile, folder, {index: kept[index] for index in (0, 1, 4, 5)}, tile, SimilarityOptions())
    sent = pickle.dumps(call)
    assert len(sent) < 4000  # a path, options and flags, no features
    (tmp_path / "call").write_bytes(sent)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    given = [sys.executable, "-c", PROGRAM, str(tmp_path / "call"), str(tmp_path / "result")]
    subprocess.run(given, check=True, env=environment, cwd="/")
    found, expected = pickle.loads((tmp_path / "result").read_bytes()), call()
    assert found.found.tobytes() == expected.found.tobytes()
    assert found.values.tobytes() == expected.values.tobytes()
