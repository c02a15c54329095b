"""Matching of many pairs at once agrees with matching of one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from visual_summaries.clustering.matching import proposal_flow_torch as batched
from visual_summaries.clustering.matching.proposal_flow import Features
from visual_summaries.clustering.matching.proposal_flow import masked_median as median_of_one
from visual_summaries.clustering.matching.proposal_flow import match_both as match_both_of_one
from visual_summaries.clustering.matching.proposal_flow_torch import Boxes, match_both
from visual_summaries.clustering.matching.similarity import similarity
from visual_summaries.clustering.options import MatchingOptions, SimilarityOptions

CPU = torch.device("cpu")


def random_features(boxes, count, seed, frame=(224, 224), numbers=40):
    z = np.random.default_rng(seed).normal(size=(2, count, numbers)).astype(np.float32)
    return Features(z[0], boxes(count, seed=seed), frame, z[1])


@pytest.fixture
def images(boxes):
    """Of different numbers of boxes and frames."""
    frames = [(224, 224), (300, 224), (224, 224), (448, 500)]
    return [
        random_features(boxes, count, seed, frame)
        for seed, (count, frame) in enumerate(zip((30, 47, 1, 25), frames, strict=True))
    ]


OPTIONS = [
    MatchingOptions(),
    MatchingOptions(method="nam"),
    MatchingOptions(power=3),
    MatchingOptions(passes=2, spatial_weight=0.01, scale_weight=1.0, aspect_limit=1.5),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_pairs_together_score_as_each_alone(images, options):
    firsts, seconds = [0, 1, 2, 3, 0], [1, 3, 0, 2, 0]
    together = Boxes.of(images, CPU)
    forward, backward = match_both(together.take(firsts), together.take(seconds), options)
    for one, other, there, back in zip(firsts, seconds, forward.numpy(), backward.numpy(), strict=True):
        a, b = images[one], images[other]
        expected, expected_back = match_both_of_one(a, b, options)
        height, width = expected.shape
        assert there[:height, :width] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert back[:width, :height] == pytest.approx(expected_back, rel=1e-4, abs=1e-6)
        assert not there[height:].any()
        assert not there[:, width:].any()


def test_boxes_without_area_and_images_that_match_nothing(images):
    a = images[0]
    boxes = a.boxes.copy()
    boxes[3, 2] = boxes[3, 0]
    odd = [replace(a, boxes=boxes), replace(a, descriptors=-a.descriptors), replace(a, descriptors=0 * a.descriptors)]
    together = Boxes.of([a, *odd], CPU)
    forward, backward = match_both(together.take([0, 0, 0]), together.take([1, 2, 3]), MatchingOptions())
    for other, there, back in zip(odd, forward.numpy(), backward.numpy(), strict=True):
        expected, expected_back = match_both_of_one(a, other)
        assert there == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert back == pytest.approx(expected_back, rel=1e-4, abs=1e-6)


def test_all_scores_equal(images):
    same = [replace(one, descriptors=np.ones_like(one.descriptors)) for one in images[:2]]
    forward, _ = match_both(Boxes.of(same[:1], CPU), Boxes.of(same[1:], CPU), MatchingOptions())
    assert forward[0].numpy() == pytest.approx(match_both_of_one(*same)[0], rel=1e-4, abs=1e-6)


def test_medians_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 33, 3)).astype(np.float32)
    votes = rng.random((4, 20, 33)) < rng.random((4, 20, 1)) ** 2
    votes[0, 0] = False
    votes[1, 1] = True
    found = batched.masked_median(torch.from_numpy(values), torch.from_numpy(votes)).numpy()
    for got, own, subsets in zip(found, values, votes, strict=True):
        assert got == pytest.approx(median_of_one(own, subsets), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [SimilarityOptions(), SimilarityOptions(mirrored=False), SimilarityOptions(symmetry="mirror")],
    ids=["default", "not mirrored", "one direction"],
)
def test_similarity_is_the_same_pair_by_pair_or_together(threads, boxes, options):
    features = [random_features(boxes, count, count) for count in (30, 25, 0, 41, 30, 22, 18, 35, 27, 1)]
    kept = [np.random.default_rng(one).random(len(image.boxes)) < 0.4 for one, image in enumerate(features)]
    kept[5][:] = False
    alone = similarity(features.__getitem__, kept, options)
    together = similarity(features.__getitem__, kept, options, device=CPU, each=threads(2))
    assert together.matrix == pytest.approx(alone.matrix, rel=1e-4, abs=1e-6)
    assert together.quality == pytest.approx(alone.quality, rel=1e-4)


def test_pairs_that_do_not_fit_into_memory_are_matched_a_few_at_a_time(images, monkeypatch):
    kept = [np.ones(len(one.boxes), np.bool_) for one in images]
    expected = similarity(images.__getitem__, kept, device=CPU)
    sizes = []

    def small(a, b, options):
        sizes.append(len(a.places))
        if len(a.places) > 2:
            raise torch.cuda.OutOfMemoryError("no room")
        return match_both(a, b, options)

    monkeypatch.setattr("visual_summaries.clustering.matching.proposal_flow_torch.match_both", small)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    found = similarity(images.__getitem__, kept, device=CPU)
    assert max(sizes) > 2
    assert found.matrix == pytest.approx(expected.matrix, rel=1e-5)
    monkeypatch.setattr(
        "visual_summaries.clustering.matching.proposal_flow_torch.match_both",
        lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()),
    )
    with pytest.raises(torch.cuda.OutOfMemoryError):
        similarity(images.__getitem__, kept, device=CPU)


def test_hough_matching_is_left_to_the_processor(images):
    options = SimilarityOptions(MatchingOptions(method="phm+lom", power=2))
    kept = [np.ones(len(one.boxes), np.bool_) for one in images]
    alone = similarity(images.__getitem__, kept, options)
    together = similarity(images.__getitem__, kept, options, device=CPU)
    assert np.array_equal(together.matrix, alone.matrix)
    with pytest.raises(ValueError, match="nam, lom"):
        match_both(Boxes.of(images, CPU), Boxes.of(images, CPU), options.matching)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_twice_and_what_the_processor_gives(boxes):
    features = [random_features(boxes, 60, seed) for seed in range(6)]
    kept = [np.arange(60) < 30] * 6
    once, twice = (similarity(features.__getitem__, kept, device=torch.device("cuda")) for _ in range(2))
    assert np.array_equal(once.matrix, twice.matrix)
    assert once.matrix == pytest.approx(similarity(features.__getitem__, kept).matrix, rel=1e-3, abs=1e-5)
