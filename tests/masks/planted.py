"""A network whose class sits in one place of the image, and images for it."""

import numpy as np
import torch
from torch import Tensor, nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation

SIDE = 48
PLACE = (slice(6, 22), slice(24, 42))


class Textured(nn.Module):
    """Class 1 is sure where fine texture stands in a place of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(3, 2, 2, bias=False)
        with torch.no_grad():
            self.edges.weight[:, :, 0, 0], self.edges.weight[:, :, 1, 1] = 1 / 3, -1 / 3
            self.edges.weight[:, :, 0, 1], self.edges.weight[:, :, 1, 0] = 0, 0
            self.edges.weight[1] *= -1
        self.positive = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        energy = self.positive(self.edges(images)).sum(1)[(slice(None), *PLACE)].mean((1, 2))
        logit = 60 * (energy - 0.1)
        return torch.stack([torch.zeros_like(logit), logit], 1)


def classifier(network: nn.Module | None = None) -> Classifier:
    return Classifier(
        network or Textured(),
        frame=Frame((SIDE, SIDE), SIDE, "bilinear"),
        normalisation=Normalisation((0.5, 0.4, 0.3), (1.0, 1.0, 1.0)),
    )


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def inside(mask: np.ndarray) -> float:
    """Share of a mask that lies where the class is."""
    return float(mask[PLACE].sum() / mask.sum())


ONES = torch.ones(2, dtype=torch.int64)
AREA = 0.1
"""A little less than that of the place."""
