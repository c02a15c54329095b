"""Which descriptor boxes get."""

import pytest
import torch
from torch import Tensor, nn

from visual_summaries.clustering.descriptors.choose import deep_encoder
from visual_summaries.clustering.options import AppearanceOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation


class Flat(nn.Module):
    """A network without a feature map."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def wrapped(network: nn.Module) -> Classifier:
    return Classifier(
        network, frame=Frame((64, 64), 64, "bilinear"), normalisation=Normalisation((0.0,) * 3, (1.0,) * 3)
    )


def wide(channels: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, channels, 16, stride=16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@pytest.mark.parametrize(("channels", "deep"), [(79, False), (80, True)])
def test_channels_of_the_maps_together_decide(channels: int, deep: bool) -> None:
    with wrapped(wide(channels)) as classifier:
        encoder = deep_encoder(classifier, AppearanceOptions(min_channels=160))
        assert (encoder is not None) == deep
        assert deep_encoder(classifier, AppearanceOptions(descriptor="hog")) is None
        assert deep_encoder(classifier, AppearanceOptions(descriptor="deep")) is not None


def test_a_network_without_feature_maps_leaves_it_to_hog_unless_it_is_asked() -> None:
    with wrapped(Flat()) as classifier:
        assert deep_encoder(classifier, AppearanceOptions()) is None
        with pytest.raises(UserError, match=r"appearance\.descriptor"):
            deep_encoder(classifier, AppearanceOptions(descriptor="deep"))
