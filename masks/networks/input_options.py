"""The options that describe a network's input; imports no torch, because the command line is built from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class InputFormat:
    """Options on a network's input, for a user's own network; None takes the network's attributes.

    Attributes:
        input_size: Side, or (H, W), of the input in pixels.
        mean: Mean of the training images, RGB in [0, 1].
        std: Standard deviation of the training images, RGB in [0, 1].
        classes: File with one class name a line, in the order of the logits, or with indices and names (JSON, CSV).
    """

    input_size: tuple[int, ...] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    classes: Path | None = None
