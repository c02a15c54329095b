"""Matching by a network's own features: reduced, and made once where a run was killed."""

from contextlib import contextmanager

import numpy as np
import pytest

from visual_summaries.clustering.descriptors.deep import DeepEncoder
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.arrays import ANYTHING, read_arrays
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.settings import override
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.stages.matching import run_matching

NUMBERS = 8


class KilledError(Exception):
    """What a kill is to a test."""


def test_a_killed_matching_goes_on_with_the_same_reduced_descriptors(copy, encoder, quick_settings, monkeypatch):
    settings = override(quick_settings, {"appearance": {"descriptor": "deep", "numbers": NUMBERS}})

    @contextmanager
    def network():
        with load_classifier(encoder) as classifier:
            yield classifier

    def matched(key, tick):
        with claimed(copy, "run"):
            counts = run_matching(copy, settings, network, device="cpu", jobs=1, key=key, tick=tick)
        assert counts["descriptor"] == "deep"
        return (copy / "work" / "similarity.npz").read_bytes()

    def kill(done, total):
        raise KilledError

    whole = matched("one", lambda done, total: None)
    with pytest.raises(KilledError):
        matched("other", kill)
    (work,) = (copy / "work" / "matching").iterdir()
    directions = read_arrays(work / "basis.npz", ANYTHING)["basis"]
    np.testing.assert_allclose(directions.T @ directions, np.eye(NUMBERS), atol=1e-5)
    for file in (work / "images").iterdir():
        arrays = read_arrays(file, ANYTHING)
        assert arrays["descriptors"].shape == arrays["mirrored"].shape
        assert arrays["descriptors"].shape[1] == NUMBERS
    monkeypatch.setattr(DeepEncoder, "describe", None)  # nothing is described again
    assert matched("other", lambda done, total: None) == whole
    assert not (copy / "work" / "matching").exists()
    assert read_matched(copy / "work" / "similarity.npz").similarity.nnz
