"""Which pairs of images are matched."""

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.clustering.matching.pairs import all_pairs, encode, nearest_pairs
from visual_summaries.clustering.options import count_neighbours
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation


def slow_pairs(encodings, neighbours):
    """Cosines one by one; each image's nearest in turn."""
    pairs = set()
    for one, a in enumerate(encodings):
        cosines = [
            (-(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)), other)
            for other, b in enumerate(encodings)
            if other != one
        ]
        pairs |= {(min(one, other), max(one, other)) for _, other in sorted(cosines)[:neighbours]}
    return sorted(pairs)


@pytest.mark.parametrize("neighbours", [1, 3, 20])
def test_agrees_with_a_loop_over_cosines(neighbours):
    encodings = np.random.default_rng(1).normal(size=(21, 6)).astype(np.float32)
    found = nearest_pairs(encodings, neighbours)
    assert [tuple(pair) for pair in found.tolist()] == slow_pairs(encodings.astype(np.float64), neighbours)


def test_planted_groups_are_matched_among_themselves():
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(np.arange(4), 6))
    encodings = np.eye(4)[group] * rng.uniform(0.2, 9, (24, 1)) + rng.normal(0, 0.01, (24, 4))  # lengths do not count
    found = nearest_pairs(encodings, 5)
    assert len(found) == 4 * 15  # all pairs inside of each group of six
    assert (group[found[:, 0]] == group[found[:, 1]]).all()


def test_the_union_of_both_directions_in_rising_order():
    angles = np.array([0.0, 0.1, 0.3, 0.7, 1.5])  # each one's nearest is the one before, the first's the second
    found = nearest_pairs(np.stack([np.cos(angles), np.sin(angles)], axis=1), 1)
    assert found.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


@pytest.mark.parametrize("neighbours", [7, 8, 100])
def test_enough_neighbours_are_all_pairs(neighbours):
    encodings = np.random.default_rng(2).normal(size=(8, 3))
    assert np.array_equal(nearest_pairs(encodings, neighbours), all_pairs(8))


@pytest.mark.parametrize("images", [0, 1])
def test_few_images_have_no_pair(images):
    assert nearest_pairs(np.ones((images, 3)), 4).shape == all_pairs(images).shape == (0, 2)


def test_copies_of_an_image_are_no_pair_with_themselves():
    found = nearest_pairs(np.ones((6, 3)), 2)
    assert (found[:, 0] < found[:, 1]).all()
    assert set(found.ravel().tolist()) == set(range(6))


def test_what_can_be_asked_for():
    assert count_neighbours("all") is None
    assert count_neighbours("knn:20") == 20


@pytest.mark.parametrize(
    "pairs", ["knn", "knn:", "knn:0", "knn:-3", "knn:2.5", "knn:x", "nearest:4", "", "ALL", "all:3"]
)
def test_anything_else_is_an_error_that_says_what_to_give(pairs):
    with pytest.raises(UserError, match=r"give all, or knn:20") as caught:
        count_neighbours(pairs)
    assert len(str(caught.value).splitlines()) == 1


def network(*layers):
    torch.manual_seed(0)
    frame = Frame((32, 32), 32, "bilinear")
    return Classifier(nn.Sequential(*layers), frame=frame, normalisation=Normalisation((0.5,) * 3, (0.25,) * 3))


def test_an_image_is_what_enters_the_last_linear_layer():
    classifier = network(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 5, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4),
    )  # fmt: skip
    frames = list(np.random.default_rng(3).integers(0, 256, (19, 32, 32, 3), np.uint8))  # more than a batch
    entered = []
    hook = classifier.network[-1].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with classifier:
        found = encode(classifier, iter(frames))
        entered.clear()
        with torch.inference_mode():
            classifier.logits(classifier.to_tensor(frames))
        assert encode(classifier, []).shape == (0, 5)
    hook.remove()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, entered[0].numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_without_a_feature_map_cannot_choose():
    with (
        network(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)) as classifier,
        pytest.raises(UserError, match="give `pairs` all"),
    ):
        encode(classifier, [np.zeros((32, 32, 3), np.uint8)])


class OneByOne(nn.Sequential):
    """Exported for a batch of one."""

    def forward(self, images):
        return super().forward(images.reshape(1, 3, 32, 32))


def test_a_network_that_takes_one_image_at_a_time_encodes_all():
    layers = [nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    frames = list(np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8))
    found = []
    for network in (nn.Sequential(*layers), OneByOne(*layers)):
        frame, normalisation = Frame((32, 32), 32, "bilinear"), Normalisation((0.5,) * 3, (0.2,) * 3)
        with Classifier(network, frame=frame, normalisation=normalisation) as classifier:
            found.append(encode(classifier, frames))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
