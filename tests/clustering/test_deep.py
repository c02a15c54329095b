"""Deep descriptors against a second library's interpolation, and on networks of several kinds."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import nn

from visual_summaries.clustering.descriptors.deep import DeepEncoder, pool, sample
from visual_summaries.clustering.matching.proposal_flow import Features, match
from visual_summaries.clustering.options import DeepOptions, MatchingOptions, ProposalOptions
from visual_summaries.clustering.parts.proposals import selective_search
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.models import load_classifier


def interpolated(feature_map, x, y):
    """Values (C, ...) at places in pixels of the map, half a pixel being the first pixel's centre."""
    places = np.stack([np.asarray(y) - 0.5, np.asarray(x) - 0.5])
    return np.stack([map_coordinates(one, places, order=1, mode="nearest") for one in feature_map])


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_pool_is_the_mean_of_four_samples_a_cell(boxes):
    torch.manual_seed(0)
    maps = [torch.randn(5, 14, 20), torch.randn(3, 7, 10)]
    places = boxes(12, size=220, seed=1) * np.float32([1.3, 1, 1.3, 1])
    frame = (224, 320)
    expected = []
    for one in maps:
        _, rows, columns = one.shape
        described = []
        for x0, y0, x1, y1 in places * np.array([columns / 320, rows / 224] * 2):
            xs = x0 + (x1 - x0) * (np.arange(6) + 0.5) / 6
            ys = y0 + (y1 - y0) * (np.arange(6) + 0.5) / 6
            samples = interpolated(one.double().numpy(), *np.meshgrid(xs, ys))  # (C, 6, 6)
            described.append(samples.reshape(-1, 3, 2, 3, 2).mean(axis=(2, 4)).ravel())
        expected.append(unit(np.array(described)) / np.sqrt(2))
    assert pool(maps, places, frame) == pytest.approx(np.concatenate(expected, axis=1), abs=1e-5)


def test_sample_interpolates_and_repeats_the_border():
    torch.manual_seed(0)
    one = torch.randn(4, 6, 9)
    points = np.array([[[0.0, 0.0], [45.0, 30.0]], [[13.7, 22.1], [90.0, 60.0]]])
    found = sample(one, points, (60, 90))
    values = np.moveaxis(interpolated(one.double().numpy(), points[..., 0] / 10, points[..., 1] / 10), 0, -1)
    assert found == pytest.approx(unit(values), abs=1e-5)
    assert not sample(torch.zeros(4, 6, 9), points, (60, 90)).any()


class Small(nn.Module):
    """Strides 4 and 8, of any size."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU(), nn.Conv2d(6, 8, 3, 1, 1))
        self.two = nn.Sequential(nn.Conv2d(8, 20, 2, 2), nn.ReLU(), nn.Conv2d(20, 12, 3, 1, 1))
        self.end = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))

    def forward(self, images):
        return self.end(self.two(self.one(images)))


def test_maps_are_the_last_blocks_without_their_mean(scene):
    torch.manual_seed(0)
    network, frame = Small(), Frame((32, 32), 32, "bilinear")
    image = scene(96)[:48]
    with Classifier(network, frame=frame, normalisation=Normalisation((0.5,) * 3, (0.5,) * 3)) as classifier:
        encoder = DeepEncoder(classifier, DeepOptions(side=96, strides=(4, 8)))
        assert encoder.names == ["one", "two"]
        maps = encoder.maps(image)
        assert [tuple(one.shape) for one in maps] == [(8, 12, 24), (12, 6, 12)]
        with torch.inference_mode():
            expected = network.one((classifier.to_tensor([image]) - 0.5) / 0.5)[0]
        torch.testing.assert_close(maps[0], expected - expected.mean(dim=(1, 2), keepdim=True))
        assert [tuple(one.shape) for one in encoder.maps(image, 48)] == [(8, 6, 12), (12, 3, 6)]
        places = np.array([[4, 4, 40, 40], [50, 8, 90, 44]], np.float32)
        described = encoder.describe(image, places)
    assert described.shape == (2, 9 * 20)
    assert described.dtype == np.float32
    assert np.linalg.norm(described, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert described == pytest.approx(pool(maps, places, (48, 96)), abs=1e-6)


def test_networks_of_one_size_see_their_frame(scene):
    with load_classifier("timm:vit_tiny_patch16_224", weights="none") as classifier:
        encoder = DeepEncoder(classifier)
        assert len(encoder.names) == 1  # both strides have the same nearest one
        maps = encoder.maps(scene(128)[:90])
    assert [tuple(one.shape) for one in maps] == [(192, 14, 14)]


def test_finds_the_planted_boxes(scene):
    # Filters drawn at random already tell these shapes apart; B is A moved, among as many other boxes.
    options = ProposalOptions(min_side=20 / 128)
    image, moved = scene(128, seed=2), scene(128, seed=2, shift=(9, -6), scale=1.1)
    boxes_a = selective_search(image, options, 0)[:150]
    middle = np.float32(64)
    planted = (boxes_a - middle) * np.float32(1.1) + middle + np.array([9, -6] * 2, np.float32)
    inside = (planted.min(axis=1) >= 0) & (planted.max(axis=1) <= 128)
    boxes_a, planted = boxes_a[inside], planted[inside]
    boxes_b = np.concatenate([planted, selective_search(moved, options, 1)[:150]])
    with load_classifier("timm:resnet18", weights="none") as classifier:
        encoder = DeepEncoder(classifier, DeepOptions(side=256, strides=(8, 16)))
        a = Features(encoder.describe(image, boxes_a), boxes_a, (128, 128))
        b = Features(encoder.describe(moved, boxes_b), boxes_b, (128, 128))
    found = boxes_b[match(a, b, MatchingOptions(power=4)).argmax(axis=1)]
    error = np.abs(found - planted).max(axis=1)
    assert len(error) > 40
    assert np.mean(error <= 5) > 0.9
