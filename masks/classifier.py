"""The network under explanation: frozen, with its frame, its normalisation and its class names.

Any network that maps (N, 3, H, W) to logits (N, C) works; no layer is named. The frame and the normalisation come
from the model's own metadata (torchvision ``weights.transforms()``, timm ``resolve_data_config``) or from the
attributes of a network of the user's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from masks.class_names import ClassLabel, find_class, numbered
from masks.images import Frame

__all__ = ["ClassLabel", "Classifier", "Normalisation", "find_class", "flush_denormals", "numbered"]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the training images, RGB in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def flush_denormals(device: torch.device | str) -> None:
    """Lets the CPU round denormal numbers to zero: with trained weights passes are 6 to 10 times faster.

    Called before the first work on a CPU, because threads that exist already keep their mode.
    """
    if torch.device(device).type == "cpu":
        torch.set_flush_denormal(True)


class Classifier:
    """A network with all that is needed to look at images as it does.

    Used as a context manager it is frozen: evaluation mode, no parameter wants a gradient, on its device, channels
    last (EfficientNet-Lite0 on a CPU: 1.5 times the passes); on exit the network is as it was before.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C).
        frame: How a photograph becomes the network's input.
        normalisation: What follows the frame.
        labels: The classes in the order of the logits; may be empty where nobody knows them.
        spec: What the network is called in records, for instance ``lite0``.
        device: Where it runs.

    Attributes:
        notes: A plain sentence for each thing about the network that has to be known, for records.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        frame: Frame,
        normalisation: Normalisation,
        labels: Sequence[ClassLabel] = (),
        spec: str = "",
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = network
        self.frame = frame
        self.normalisation = normalisation
        self.labels = list(labels)
        self.spec = spec or type(network).__name__
        self.device = torch.device(device)
        self.notes: list[str] = []
        self._before: list[tuple[nn.Module, bool]] = []
        self._wanted: list[tuple[nn.Parameter, bool]] = []
        self._home: torch.device | None = None

    def __enter__(self) -> Classifier:
        flush_denormals(self.device)
        parameter = next(self.network.parameters(), None)
        self._home = parameter.device if parameter is not None else None
        self._before = [(module, module.training) for module in self.network.modules()]
        self._wanted = [(p, p.requires_grad) for p in self.network.parameters()]
        self.network.eval().requires_grad_(False).to(self.device)
        self.network.to(memory_format=torch.channels_last)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module, training in self._before:
            module.training = training
        for parameter, wanted in self._wanted:
            parameter.requires_grad_(wanted)
        if self._home is not None:
            self.network.to(self._home)
        self.network.to(memory_format=torch.contiguous_format)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, H, W) in [0, 1], in the frame."""
        mean = images.new_tensor(self.normalisation.mean).view(1, 3, 1, 1)
        std = images.new_tensor(self.normalisation.std).view(1, 3, 1, 1)
        normalised = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(normalised)
        return logits

    def log_probabilities(self, images: Tensor, targets: Tensor) -> Tensor:
        """Log softmax (N,) of one class an image.

        Args:
            images: (N, 3, H, W) in [0, 1], in the frame.
            targets: (N,) int64, class indices.
        """
        return self.logits(images).log_softmax(1).gather(1, targets[:, None])[:, 0]

    def to_tensor(self, frames: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        """Frames uint8 (H, W, 3) as one float32 (N, 3, H, W) in [0, 1] on the device."""
        return torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 3, 1, 2).float().div(255).contiguous()

    def label(self, index: int) -> ClassLabel:
        """The class of a logit; an unnamed one where nobody knows the names."""
        return self.labels[index] if index < len(self.labels) else ClassLabel(index, f"class {index}")

    def count_classes(self) -> int:
        """The number of logits, asked of the network itself."""
        with torch.inference_mode():
            empty = torch.zeros(1, 3, *self.frame.size, device=self.device)
            return int(self.logits(empty).shape[1])

    def fingerprint(self) -> str:
        """A hash of what decides the outputs: weights, frame, normalisation; the same on every machine."""
        digest = hashlib.sha256(repr((self.frame, self.normalisation, type(self.network).__name__)).encode())
        for name, value in self.network.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]
