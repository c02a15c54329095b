"""What a user says of a network's input; light to import, so that the command line can tell it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class InputFormat:
    """What the command line says about a network of the user's own; None leaves it to the network's attributes.

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
