"""Small networks and a classifier around them, for tests of networks as they come."""

import torch
from torch import Tensor, nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation, numbered

SIDE = 32


class Tiny(nn.Module):
    """A convolution with batch norm, and a linear head."""

    def __init__(self, classes: int = 5, channels: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, classes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images).mean((2, 3)))
        return 3 * logits


def wrapped(network: nn.Module, side: int = SIDE, names: tuple[str, ...] = (), mean: float = 0.5) -> Classifier:
    return Classifier(
        network,
        frame=Frame((side, side), side, "bilinear"),
        normalisation=Normalisation((0.5, 0.5, mean), (0.25, 0.25, 0.25)),
        labels=numbered(list(names)),
    )


def pictures(count: int, side: int = SIDE, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
