"""Networks with random weights, and the overlap of masks."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.masks.planted import classifier, pictures
from visual_summaries.masks import world
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.metrics.overlap import iou
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.networks.randomise import randomised


def test_a_randomised_network_is_another_one_and_the_first_is_left_alone() -> None:
    network = world.untrained("demo", seed=3)
    side = network.input_size[0]
    model = Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation(network.mean, network.std),
    )
    images = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    with model:
        one, same, other = (randomised(model, images, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert one.fingerprint() == same.fingerprint()
    assert len({one.fingerprint(), other.fingerprint(), model.fingerprint()}) == 3
    assert [m.training for m in one.network.modules()] == [m.training for m in network.modules()]
    with one:
        logits = one.logits(images)
        assert not one.network.training
    # batch normalisation knows the images: the signal lives to the end, and tells them apart
    assert logits.std(0).mean() > 1e-3


def test_deep_networks_and_transformers_keep_their_signal() -> None:
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    for spec in ("timm:tf_efficientnet_lite0", "timm:vit_tiny_patch16_224"):
        with load_classifier(spec, weights="none") as model:
            other = randomised(model, images, seed=0)
        with other, torch.inference_mode():
            logits = other.logits(images)
        assert torch.isfinite(logits).all()
        assert (logits[0] - logits[1]).abs().mean() > 1e-4


def test_parameters_without_a_way_to_be_drawn_keep_their_mean_square() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.full((3, 400, 2), 5.0))

        def forward(self, images: Tensor) -> Tensor:
            return (images.mean((2, 3)) @ self.scale.mean(1))[:, :2]

    model = classifier(Scaled())
    with model:
        other = randomised(model, pictures(2), seed=0)
    scale = other.network.scale
    assert float(scale.square().mean()) == pytest.approx(25, rel=0.1)
    assert float(scale.std()) > 4


def test_intersection_over_union() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(one, other) == 1.0
    one[:2], other[1:3] = True, True
    assert iou(one, other) == pytest.approx(1 / 3)
