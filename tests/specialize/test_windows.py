"""Latent SVMs: a planted part is found anywhere in an image; windows of excluded summaries are negatives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from visual_summaries.clustering.descriptors.deep import pool
from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.latent_svm import find_excluded_windows, latent_svms, make_bags
from visual_summaries.specialize.options import SvmOptions, WindowOptions
from visual_summaries.specialize.svm import Group
from visual_summaries.specialize.windows import WindowPooling, relative_boxes, sliding_windows

POOLING = WindowPooling(2, ((3, 8, 8),), 2, sliding_windows(WindowOptions(sizes=(0.25,), step=0.125)), True)


def image(rng: np.random.Generator, part: int | None) -> tuple[np.ndarray, np.ndarray]:
    """A map of noise with a pattern of a class's own somewhere, as a vector, and the pattern's box."""
    values = rng.uniform(0, 1, (3, 8, 8))
    x, y = rng.integers(0, 7, 2)
    if part is not None:
        pattern = np.zeros((3, 2, 2))
        pattern[part, :, 0], pattern[2, :, 1] = 3, 3
        values[:, y : y + 2, x : x + 2] = pattern
    return np.concatenate([np.zeros(2), values.ravel()]).astype(np.float32), np.array([x, y, x + 2, y + 2]) / 8


def images(seed: int, kinds: list[int | None]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors, boxes = zip(*[image(rng, kind) for kind in kinds], strict=True)
    return np.array(vectors), np.array(boxes, np.float32)


def test_a_part_is_described_as_proposal_flow_does():
    vectors, boxes = images(0, [0, 1])
    vectors[:, :2] = [0.6, 0.8]
    found = POOLING.pool_boxes(torch.from_numpy(vectors), torch.from_numpy(boxes)).numpy()
    for vector, box, one in zip(vectors, boxes, found, strict=True):
        expected = pool([torch.from_numpy(vector[2:].reshape(3, 8, 8))], box[None] * 128, (128, 128), 2)[0]
        np.testing.assert_allclose(one * 2**0.5, [*expected, 0.6, 0.8], atol=1e-6)
    alone = replace(POOLING, context=False).pool_boxes(torch.from_numpy(vectors), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(alone, found[:, :-2] * 2**0.5, atol=1e-6)


def test_the_windows_cover_the_frame():
    windows = np.array(sliding_windows(WindowOptions(sizes=(0.5, 1.0), step=0.25)))
    assert len(windows) == 9 + 1
    assert windows[:, :2].min() == 0
    assert windows[:, 2:].max() == 1
    with pytest.raises(UserError, match=r"WindowOptions\.sizes is"):
        WindowOptions(sizes=(1.5,))


def test_a_planted_part_is_found_in_new_images():
    kinds = [0] * 20 + [1] * 20 + [None] * 20
    vectors, boxes = images(1, kinds)
    owner = np.array([-1 if kind is None else kind for kind in kinds])
    bags = make_bags(POOLING, vectors, owner)
    described = POOLING.pool_boxes(torch.from_numpy(vectors), torch.from_numpy(boxes)).numpy()
    groups = [
        Group(kind, np.arange(20 * kind, 20 * kind + 20), np.arange(20 * kind, 20 * kind + 20)) for kind in (0, 1)
    ]
    svms = latent_svms(bags, described, groups, SvmOptions(), seed=0)(1.0)
    fresh, _ = images(2, kinds)
    decisions = svms.decisions(fresh)
    for kind in (0, 1):
        own = owner == kind
        assert decisions[own, kind].min() > decisions[~own, kind].max()
    again = latent_svms(bags, described, groups, SvmOptions(), seed=0)(1.0)
    np.testing.assert_array_equal(svms.weights, again.weights)


def test_what_is_found_in_further_images_makes_a_part_known_that_few_images_show():
    kinds = [0] * 60 + [None] * 40
    vectors, boxes = images(3, kinds)
    owner = np.array([-1 if kind is None else kind for kind in kinds])
    bags = make_bags(POOLING, vectors, owner)
    few = np.arange(2)
    described = POOLING.pool_boxes(torch.from_numpy(vectors[few]), torch.from_numpy(boxes[few])).numpy()
    described += np.random.default_rng(0).normal(0, 0.25, described.shape).astype(np.float32)
    fresh, _ = images(4, kinds)
    gaps = []
    for rounds in (0, 3):
        svms = latent_svms(bags, described, [Group(0, few, few)], SvmOptions(rounds=rounds), seed=0)(1.0)
        decisions = svms.decisions(fresh)[:, 0]
        gaps.append((decisions[owner == 0].mean() - decisions[owner < 0].mean()) / decisions.std())
    assert gaps[1] > gaps[0]


def test_windows_of_excluded_summaries_are_negatives():
    """Half of the class's images show a mark and not the part: what is found in them teaches the mark."""
    parts, part_boxes = images(5, [0] * 20 + [None] * 20)
    marks, mark_boxes = images(6, [1] * 20)
    vectors = np.concatenate([parts, marks])
    bags = make_bags(POOLING, vectors, np.array([0] * 20 + [-1] * 20 + [0] * 20))
    rows, marked = np.arange(10), np.arange(40, 48)
    boxes = np.concatenate([part_boxes[:10], mark_boxes[:8]])
    described = POOLING.pool_boxes(torch.from_numpy(vectors[[*rows, *marked]]), torch.from_numpy(boxes)).numpy()
    groups = [Group(0, rows, rows), Group(0, np.arange(10, 18), marked)]
    fresh_parts, fresh_marks = images(7, [0] * 20)[0], images(8, [1] * 20)[0]
    options = SvmOptions(rounds=2)
    plain, excluded = (
        latent_svms(bags, described, groups[:1], options, seed=0, excluded_windows=windows)(1.0)
        for windows in ({}, find_excluded_windows(bags, described, groups[:1], groups[1:], options, seed=0))
    )
    assert excluded.decisions(fresh_marks).mean() < plain.decisions(fresh_marks).mean() - 0.5
    assert excluded.decisions(fresh_parts).min() > 0


def test_boxes_become_fractions():
    np.testing.assert_allclose(relative_boxes([(0, 10, 50, 20)], (20, 100)), [[0, 0.5, 0.5, 1]])
