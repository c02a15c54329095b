"""Trains the networks of the embedded world again and prints their accuracy.

    python scripts/world_accuracy.py

One row for each network: parameters, multiplications per picture, seconds of training (in the first row including the
drawing of pictures), accuracy on new pictures, and on pictures of the marked class with and without the watermark.
"""

import time

import numpy as np
import torch

from visual_summaries.masks import world
from visual_summaries.masks.world.architecture import WIDTHS
from visual_summaries.masks.world.training import Training, train

FRESH = range(10_000, 10_100)
MARKED = range(30_000, 30_400)


def pictures(name: str, seeds: range, mark: bool | None = None) -> torch.Tensor:
    """Pictures of a class as uint8 (N, 3, H, W)."""
    images = np.stack([world.draw(name, seed, mark=mark).image for seed in seeds])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@torch.no_grad()
def accuracy(network: world.WorldNetwork, images: torch.Tensor, name: str) -> float:
    """Accuracy on pictures of class ``name``."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.mean, network.std))
    logits = torch.cat([network((batch / 255 - mean) / std) for batch in images.split(100)])
    return float((logits.argmax(dim=1) == network.classes.index(name)).float().mean())


@torch.no_grad()
def multiplications(network: world.WorldNetwork) -> int:
    """Multiplications of the convolutions and the linear layer for one picture."""
    total, x = network.fc.weight.numel(), torch.zeros(1, 3, *network.input_size)
    for layer in network.features:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            total += layer.weight.numel() * x.shape[2] * x.shape[3]
    return total


def main() -> None:
    """Prints the table."""
    (marked,) = (kind.name for kind in world.CLASSES if kind.marked)
    fresh = {kind.name: pictures(kind.name, FRESH) for kind in world.CLASSES}
    with_mark, without = (pictures(marked, MARKED, mark) for mark in (True, False))
    print("network  parameters    MMAC  seconds  fresh  marked  unmarked")
    for name in WIDTHS:
        start = time.perf_counter()
        network = train(name, Training())
        seconds = time.perf_counter() - start
        right = np.mean([accuracy(network, images, kind) for kind, images in fresh.items()])
        size = sum(weights.numel() for weights in network.parameters())
        print(
            f"{name:7}  {size:10,}  {multiplications(network) / 1e6:6.2f}  {seconds:7.0f}  {right:5.3f}"
            f"  {accuracy(network, with_mark, marked):6.3f}  {accuracy(network, without, marked):8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
