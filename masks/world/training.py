"""Training on rendered pictures, from random weights: about a minute on two cores."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visual_summaries.masks.world.architecture import WorldNetwork, untrained
from visual_summaries.masks.world.catalogue import CLASSES, SIZE
from visual_summaries.masks.world.scene import draw

Progress = Callable[[str, int, int], None]
"""Called with (what, steps done, steps in all)."""

_TRAIN = 2
"""Spawn key of the training pictures; see ``masks.world.scene``."""
_GREY = 0.45
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """How the networks are trained; all values were tuned on pictures from the training distribution.

    Attributes:
        pictures: Number of rendered pictures, the same for every class.
        epochs: Passes over them.
        batch: Pictures in a step.
        rate: Highest learning rate of the one-cycle schedule, for AdamW.
        decay: Weight decay.
        shift: Largest random shift in pixels along each axis.
        contrast: Largest relative change of brightness and of contrast.
        erased: Probability that a random rectangle of a picture is replaced by grey.
        cornered: Probability that one of its four corners is replaced as well. Without it the networks see so few
            unmarked pictures of the marked class that they rely on the watermark alone.
        seed: Of the pictures, the weights and the order.
    """

    pictures: int = 3200
    epochs: int = 12
    batch: int = 64
    rate: float = 6e-3
    decay: float = 5e-3
    shift: int = 6
    contrast: float = 0.2
    erased: float = 0.6
    cornered: float = 0.8
    seed: int = 0


@lru_cache(maxsize=1)
def training_pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Renders the training set: uint8 (N, 3, 128, 128) and classes int64 (N,), in turn over the classes."""
    images = np.empty((count, *SIZE, 3), np.uint8)
    for k in range(count):
        sequence = np.random.SeedSequence(seed, spawn_key=(_TRAIN, k))
        images[k] = draw(CLASSES[k % len(CLASSES)].name, np.random.default_rng(sequence)).image
    labels = torch.arange(count) % len(CLASSES)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels


def train(name: str, training: Training, progress: Progress | None = None) -> WorldNetwork:
    """Trains a network of the embedded world on the CPU.

    Args:
        name: ``"demo"`` or ``"demo:1"`` .. ``"demo:4"``.
        training: The hyperparameters.
        progress: Called before the pictures are drawn and after every epoch.

    Returns:
        The network, in evaluation mode.
    """
    start = time.perf_counter()
    if progress is not None:
        progress("drawing the training pictures", 0, training.pictures)
    images, labels = training_pictures(training.pictures, training.seed)
    network = untrained(name, training.seed).train().to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(training.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.rate, weight_decay=training.decay)
    steps = len(images) // training.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.rate, total_steps=steps * training.epochs)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.mean, network.std))
    torch.set_flush_denormal(True)
    for epoch in range(training.epochs):
        total = 0.0
        order = torch.randperm(len(images), generator=generator)[: steps * training.batch]
        for chosen in torch.split(order, training.batch):
            batch = (augment(images[chosen].float() / 255, training, generator) - mean) / std
            logits = network(batch.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        _log.info("%s: epoch %d of %d, loss %.3f", name, epoch + 1, training.epochs, total / steps)
        if progress is not None:
            progress(f"training {name}", epoch + 1, training.epochs)
    _log.info("%s: trained in %.0f s", name, time.perf_counter() - start)
    return network.eval().to(memory_format=torch.contiguous_format)


def augment(images: Tensor, training: Training, generator: torch.Generator) -> Tensor:
    """Shifts, brightens and partly erases pictures.

    Args:
        images: float (N, 3, H, W) in [0, 1].
        training: Sizes and probabilities of the changes.
        generator: Source of randomness.

    Returns:
        New pictures of the same shape, in [0, 1].
    """
    count, _, height, width = images.shape
    padded = functional.pad(images, [training.shift] * 4, mode="reflect")
    offsets = torch.randint(0, 2 * training.shift + 1, (count, 2), generator=generator).tolist()
    moved = torch.stack([p[:, y : y + height, x : x + width] for p, (y, x) in zip(padded, offsets, strict=True)])
    change = 1 + training.contrast * (2 * torch.rand(count, 2, 1, 1, 1, generator=generator) - 1)  # (N, 2, 1, 1, 1)
    moved = ((moved - 0.5) * change[:, 0] + 0.5 * change[:, 1]).clamp_(0, 1)
    draws = torch.rand(count, 8, generator=generator).tolist()
    for picture, (erase, corner, y, x, tall, wide, right, low) in zip(moved, draws, strict=True):
        if erase < training.erased:
            h, w = int(8 + 32 * tall), int(8 + 32 * wide)
            top, left = int(y * (height - h)), int(x * (width - w))
            picture[:, top : top + h, left : left + w] = _GREY
        if corner < training.cornered:
            h, w = int(32 + 8 * tall), int(40 + 8 * wide)
            rows = slice(height - h, height) if low < 0.5 else slice(0, h)
            columns = slice(width - w, width) if right < 0.5 else slice(0, w)
            picture[:, rows, columns] = _GREY
    return moved
