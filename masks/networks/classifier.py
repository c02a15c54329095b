"""The network under explanation: frozen, with its input's shape, its normalisation and its class names.

Any network that maps (N, 3, *S) to logits (N, C) works; S is (H, W) for images and (T, H, W) for clips, and no layer is
named. How a photograph becomes an image (the frame) and the normalisation come from the model's own metadata
(torchvision ``weights.transforms()``, timm ``resolve_data_config``) or from the attributes of the user's network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.inputs.shape import InputShape, per_colour
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
    """A network with everything that is needed to call it: its input's shape, normalisation, classes and device.

    As a context manager it freezes the network: evaluation mode, no parameter requires a gradient, on its device, in
    channels-last memory format where the network works with it (EfficientNet-Lite0 on a CPU: 1.5 times as fast). On
    exit the network is as it was before. Contexts may be nested. Outside a context, each pass opens one. The first one
    finds out, with a few passes over synthetic inputs, how the network has to be called (see `masks.networks.outputs`).

    The inputs of one classifier are either images or clips, and an image is never a clip of one frame. The classifier
    only needs the size S, at any rank. How a file becomes an input is described by a format: `Frame` for photographs.
    Clips have no format yet. It will be a class in `masks.inputs`, with the frame rate, the sampling in time, the
    resizing and the crop, and an argument next to ``frame``. Until then ``shape`` is enough to run, examine, fuse and
    randomise a network of clips.

    Args:
        network: Maps normalised inputs (N, 3, *S) to logits (N, C).
        frame: How a photograph becomes an input, for a network of images.
        shape: The shape of an input, in place of a frame, for a network of clips.
        normalisation: Applied to inputs in [0, 1].
        labels: The classes in the order of the logits; empty where their names are not known.
        spec: Name of the network in records, for instance ``lite0``.
        device: Where it runs.

    Attributes:
        shape: Of one input.
        notes: A plain sentence for each thing about the network that records should mention.

    Raises:
        ValueError: If there is neither a frame nor a shape, or both.

    Examples:
        >>> plain = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))
        >>> with Classifier(network, frame=Frame((8, 8), 8, "bilinear"), normalisation=plain) as classifier:
        ...     classifier.logits(classifier.empty(2)).shape
        torch.Size([2, 5])
        >>> network = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 5))
        >>> Classifier(network, shape=InputShape((16, 112, 112)), normalisation=plain).count_classes()
        5
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        normalisation: Normalisation,
        frame: Frame | None = None,
        shape: InputShape | None = None,
        labels: Sequence[ClassLabel] = (),
        spec: str = "",
        device: torch.device | str = "cpu",
    ) -> None:
        if (frame is None) == (shape is None):
            raise ValueError("frame, shape: give a frame for a network of images, or a shape for one of clips")
        self.network = network
        self._frame = frame
        self.shape = InputShape(frame.size) if frame is not None else cast(InputShape, shape)
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
            inputs = torch.rand(self.shape.empty(2).shape, generator=generator).to(self.device).requires_grad_()
            reading, notes = find_reading(self._frozen, self._normalised(inputs), even)
        return reading, notes

    @property
    def reading(self) -> Reading:
        """How the network is called; found out now if no ``with`` block was opened before."""
        if self._reading is None:
            with self:
                pass
        assert self._reading is not None  # found when the block opened
        return self._reading

    @property
    def frame(self) -> Frame:
        """How a photograph becomes an input.

        Raises:
            UserError: If the network takes clips.
        """
        if self._frame is None:
            raise UserError(f"{self.spec} takes clips {list(self.shape.size)}: give a network that takes images")
        return self._frame

    def with_network(
        self, network: nn.Module, *, spec: str | None = None, reading: Reading | None = None
    ) -> Classifier:
        """A classifier for another network with the same inputs and classes, on the same device.

        It is not yet inside a ``with`` block.

        Args:
            network: Shares no parameters with other networks that are changed while it is in use.
            spec: Its name in records; by default the name of this one.
            reading: How it is called, if known; by default found out when its first ``with`` block opens.
        """
        other = Classifier(
            network,
            normalisation=self.normalisation,
            frame=self._frame,
            shape=self.shape if self._frame is None else None,
            labels=self.labels,
            spec=self.spec if spec is None else spec,
            device=self.device,
        )
        other._reading = reading
        return other

    def empty(self, count: int) -> Tensor:
        """Black inputs (N, 3, *S), on the device."""
        return self.shape.empty(count, self.device)

    def _normalised(self, inputs: Tensor) -> Tensor:
        mean = per_colour(self.normalisation.mean, inputs)
        std = per_colour(self.normalisation.std, inputs)
        return (inputs - mean) / std

    def __call__(self, inputs: Tensor) -> Tensor:
        """The same as :meth:`logits`."""
        return self.logits(inputs)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits (N, C) of inputs (N, 3, *S) in [0, 1], in the inputs' type.

        Raises:
            UserError: If the network's output has no (N, C).
        """
        if self._frozen.depth == 0:
            with self:
                return self.logits(inputs)
        return self.reading.logits(self.network, self._normalised(inputs))

    def finite_logits(self, inputs: Tensor) -> Tensor:
        """Logits (N, C) as :meth:`logits` gives them.

        Raises:
            UserError: If they are not finite.
        """
        logits = self.logits(inputs)
        check_finite(self.network, logits)
        return logits

    def log_probabilities(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Log softmax (N,) of one class for each input.

        Args:
            inputs: (N, 3, *S) in [0, 1].
            targets: (N,) int64, class indices.

        Raises:
            UserError: If logits are not finite.
        """
        return self.finite_logits(inputs).log_softmax(1).gather(1, targets[:, None])[:, 0]

    def to_tensor(self, arrays: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
        """Inputs uint8 (*S, 3), all of one size, as one float32 tensor (N, 3, *S) in [0, 1] on the device."""
        return torch.from_numpy(np.stack(arrays)).to(self.device).movedim(-1, 1).float().div(255).contiguous()

    def label(self, index: int) -> ClassLabel:
        """The class of a logit; an unnamed one where the names are not known."""
        return self.labels[index] if index < len(self.labels) else ClassLabel(index, f"class {index}")

    def count_classes(self) -> int:
        """The number of logits, from a pass of the network."""
        with torch.inference_mode():
            return int(self.logits(self.empty(1)).shape[1])

    def fingerprint(self) -> str:
        """A hash of what decides the outputs: weights, frame or shape, normalisation; the same on every machine."""
        inputs = self.shape if self._frame is None else self._frame
        return fingerprint(self.network, repr((inputs, self.normalisation, type(self.network).__name__)))
