"""The network under explanation: frozen, with its frame, its normalisation and its class names.

Any network that maps (N, 3, H, W) to logits (N, C) works; no layer is named. The frame and the normalisation come
from the model's own metadata (torchvision ``weights.transforms()``, timm ``resolve_data_config``) or from the
attributes of a network of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.class_names import ClassLabel, find_class, numbered
from visual_summaries.masks.networks.fingerprint import fingerprint
from visual_summaries.masks.networks.frozen import Frozen, flush_denormals
from visual_summaries.masks.networks.outputs import Reading
from visual_summaries.masks.networks.probe import check_finite, find_reading

__all__ = ["ClassLabel", "Classifier", "Normalisation", "find_class", "flush_denormals", "numbered"]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the training images, RGB in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Classifier:
    """A network with all that is needed to look at images as it does.

    Used as a context manager it is frozen: evaluation mode, no parameter wants a gradient, on its device, channels
    last where the network works with it (EfficientNet-Lite0 on a CPU: 1.5 times the passes); on exit the network is as
    it was before. Entering again meanwhile counts. Outside, each pass enters for itself. Entering for the first time
    finds out, on five images, how the network has to be asked (see ``masks/outputs.py``).

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
        self._frozen = Frozen(network, self.device)
        self._reading: Reading | None = None

    def __enter__(self) -> Self:
        """Freezes the network.

        Raises:
            UserError: If what it puts out cannot be read as logits, or is not the same twice.
        """
        first = self._frozen.depth == 0
        self._frozen.enter()
        try:
            if self._reading is None:
                self._reading, notes = self._find_reading()
                self.notes += notes
            elif first and self._reading.channels_last:
                self._frozen.channels_last()
        except BaseException:
            self._frozen.exit()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frozen.exit()

    def _find_reading(self) -> tuple[Reading, list[str]]:
        generator = torch.Generator().manual_seed(0)
        even = len({*self.normalisation.mean}) == len({*self.normalisation.std}) == 1
        with torch.inference_mode(False), torch.enable_grad():
            pictures = torch.rand(2, *self.empty(1).shape[1:], generator=generator).to(self.device).requires_grad_()
            reading, notes = find_reading(self._frozen, self._normalised(pictures), even)
        return reading, notes

    @property
    def reading(self) -> Reading:
        """How the network is asked; the classifier is entered for it where nobody knows yet."""
        if self._reading is None:
            with self:
                pass
        assert self._reading is not None  # entering found it
        return self._reading

    def around(self, network: nn.Module) -> Classifier:
        """An entered classifier around a changed copy of this one's network, which is asked in the same way.

        Args:
            network: A copy that belongs to nobody else.
        """
        other = Classifier(
            network,
            frame=self.frame,
            normalisation=self.normalisation,
            labels=self.labels,
            spec=self.spec,
            device=self.device,
        )
        other._reading = self.reading
        return other.__enter__()

    def empty(self, count: int) -> Tensor:
        """Black images (N, 3, H, W) of the frame, on the device."""
        return torch.zeros(count, 3, *self.frame.size, device=self.device)

    def _normalised(self, images: Tensor) -> Tensor:
        mean = images.new_tensor(self.normalisation.mean).view(1, 3, 1, 1)
        std = images.new_tensor(self.normalisation.std).view(1, 3, 1, 1)
        return (images - mean) / std

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images (N, 3, H, W) in [0, 1], in the frame, in their type.

        Raises:
            UserError: If what the network puts out is no (N, C).
        """
        if self._frozen.depth == 0:
            with self:
                return self.logits(images)
        return self.reading.logits(self.network, self._normalised(images))

    def finite_logits(self, images: Tensor) -> Tensor:
        """Logits (N, C) as :meth:`logits` gives them.

        Raises:
            UserError: If they are not finite.
        """
        logits = self.logits(images)
        check_finite(self.network, logits)
        return logits

    def log_probabilities(self, images: Tensor, targets: Tensor) -> Tensor:
        """Log softmax (N,) of one class an image.

        Args:
            images: (N, 3, H, W) in [0, 1], in the frame.
            targets: (N,) int64, class indices.

        Raises:
            UserError: If logits are not finite.
        """
        return self.finite_logits(images).log_softmax(1).gather(1, targets[:, None])[:, 0]

    def to_tensor(self, frames: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        """Frames uint8 (H, W, 3) as one float32 (N, 3, H, W) in [0, 1] on the device."""
        return torch.from_numpy(np.stack(frames)).to(self.device).permute(0, 3, 1, 2).float().div(255).contiguous()

    def label(self, index: int) -> ClassLabel:
        """The class of a logit; an unnamed one where nobody knows the names."""
        return self.labels[index] if index < len(self.labels) else ClassLabel(index, f"class {index}")

    def count_classes(self) -> int:
        """The number of logits, asked of the network itself."""
        with torch.inference_mode():
            return int(self.logits(self.empty(1)).shape[1])

    def fingerprint(self) -> str:
        """A hash of what decides the outputs: weights, frame, normalisation; the same on every machine."""
        return fingerprint(self.network, repr((self.frame, self.normalisation, type(self.network).__name__)))
