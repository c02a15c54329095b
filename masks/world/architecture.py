"""The classifiers of the embedded world: five plain convolutional networks that differ only in width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visual_summaries.masks.world.catalogue import CLASSES, SIZE

WIDTHS: dict[str, int] = {"demo": 32, "demo:1": 6, "demo:2": 7, "demo:3": 9, "demo:4": 15}
"""Channels of each network's first layer; those of the other layers are multiples of it."""

_LAYERS = ((1.0, 5, 4), (1.5, 3, 2), (2.0, 3, 1), (3.0, 3, 2), (4.0, 3, 1))
"""Channels as multiples of the first layer's, kernel size and stride of each convolution."""


class WorldNetwork(nn.Module):
    """Five convolutions with batch normalisation, global average pooling, and a linear layer.

    Attributes:
        input_size: (height, width) in pixels.
        mean: Of each RGB channel, subtracted from pictures in [0, 1].
        std: Of each RGB channel, by which the difference is divided.
        classes: Names of the classes, in the order of the logits.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input_size = SIZE
        self.mean = (0.45, 0.45, 0.45)
        self.std = (0.25, 0.25, 0.25)
        self.classes = [kind.name for kind in CLASSES]
        layers: list[nn.Module] = []
        channels = 3
        for multiple, kernel, stride in _LAYERS:
            wider = int(multiple * width)
            layers += [
                nn.Conv2d(channels, wider, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(wider),
                nn.ReLU(inplace=True),
            ]
            channels = wider
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Classifies normalised images.

        Args:
            images: float (N, 3, 128, 128), with mean subtracted and divided by std.

        Returns:
            Logits, float (N, 8).
        """
        logits: Tensor = self.fc(self.features(images).mean(dim=(2, 3)))  # (N, C, 8, 8) -> (N, C) -> (N, 8)
        return logits


def untrained(name: str = "demo", seed: int = 0) -> WorldNetwork:
    """A network with random weights, in evaluation mode.

    Args:
        name: ``"demo"`` or ``"demo:1"`` .. ``"demo:4"``.
        seed: Of the weights; the global random state is not changed.

    Raises:
        ValueError: If there is no such network.
    """
    if name not in WIDTHS:
        raise ValueError(f"name={name!r} is no network of the embedded world; choose one of: {', '.join(WIDTHS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WorldNetwork(WIDTHS[name]).eval()
