"""How a network is asked: what it takes, and how what it puts out becomes logits (N, C).

Most networks take float32 images (N, 3, H, W) and put out logits. What differs without doubt is converted:

* an output object's or a dictionary's ``logits``, a tuple's first tensor; trailing dimensions of length 1 are dropped,
  and a batch dimension that the network squeezes away for a single image is put back;
* images are cast to the type of the network's weights (half, bfloat16, double), logits to that of the images;
* rows that are probabilities p are replaced by log p: then log_softmax(log p) = log p, exactly;
* a network exported for a batch of one sees one image after the other;
* a network of one input channel sees 0.299 R + 0.587 G + 0.114 B (ITU-R 601, the grey of most image readers).

The first two are seen in each output. What the others need is a :class:`Reading`, found by ``masks/probe.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.shape import per_colour
from visual_summaries.masks.networks.memory_format import channels_last

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey that a network of one channel sees."""


@dataclass(frozen=True)
class Reading:
    """How a network is asked.

    Attributes:
        channels_last: Whether images, and with them the weights, are laid out channels last.
        one_by_one: Whether it sees one image after the other.
        probabilities: Whether its outputs are probabilities, whose logarithm is taken.
        grey: Whether it sees one grey channel.
    """

    channels_last: bool = True
    one_by_one: bool = False
    probabilities: bool = False
    grey: bool = False

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Logits (N, C) of normalised images (N, 3, *S), in the images' type.

        Raises:
            UserError: If what the network puts out is no (N, C).
        """
        values = self.outputs(network, images)
        if not self.probabilities:
            return values
        return values.clamp_min(torch.finfo(values.dtype).tiny).log()

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """What the network puts out, (N, C), in the images' type, before any logarithm."""
        asked = self.inputs(network, images)
        parts = [asked[i : i + 1] for i in range(len(asked))] if self.one_by_one else [asked]
        found = [rows(network(part), len(part)) for part in parts]
        return (torch.cat(found) if self.one_by_one else found[0]).to(images.dtype)

    def inputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """Normalised images (N, 3, *S) as the network takes them."""
        if self.grey:
            images = (images * per_colour(GREY, images)).sum(1, keepdim=True)
        if self.channels_last:
            images = channels_last(images)
        return images.to(dtype_of(network, images.dtype))


def dtype_of(network: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    """The type of the network's first weight that is no whole number.

    Examples:
        >>> dtype_of(nn.Linear(2, 2).half(), torch.float32), dtype_of(nn.Identity(), torch.float32)
        (torch.float16, torch.float32)
    """
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), otherwise)


def rows(output: object, count: int) -> Tensor:
    """The tensor (N, C) in what a network puts out for N images.

    Raises:
        UserError: If there is none.

    Examples:
        >>> rows({"logits": torch.zeros(2, 5, 1, 1)}, count=2).shape
        torch.Size([2, 5])
    """
    values = _tensor_of(output)
    shape = tuple(values.shape)
    if values.ndim > 2 and set(shape[2:]) == {1}:
        values = values.flatten(1)
    elif values.ndim == 1:
        values = values[None] if count == 1 else values[:, None]
    if values.ndim != 2 or len(values) != count:
        raise UserError(
            f"the network puts out {list(shape)} for {count} images: give one that puts out logits ({count}, classes)"
        )
    return values


def centred(logits: Tensor) -> Tensor:
    """Logits (.., C) without their mean: what is common to all classes changes no probability.

    Examples:
        >>> centred(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.,  1.]])
    """
    return logits - logits.mean(-1, keepdim=True)


def _tensor_of(output: object) -> Tensor:
    """The tensor of floating-point numbers that holds the logits."""
    found: object = output
    if not isinstance(found, Tensor):
        if isinstance(getattr(output, "logits", None), Tensor):
            found = output.logits  # type: ignore[attr-defined]  # checked the line before
        elif isinstance(output, Mapping):
            found = output.get("logits")
        elif isinstance(output, (tuple, list)) and output:
            _check_one(output)
            found = output[0]
    if not isinstance(found, Tensor):
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        raise UserError(
            f"the network puts out a {type(output).__name__}{keys}: give one that puts out logits (N, classes)"
        )
    if not found.is_floating_point():
        raise UserError(f"the network puts out {found.dtype}: give one that puts out logits, not classes")
    return found


def _check_one(output: Sequence[object]) -> None:
    """Refuses tensors (N, C) of different C: any of them may be the logits, the others features."""
    tables = [each for each in output if isinstance(each, Tensor) and each.ndim == 2 and each.is_floating_point()]
    if len({table.shape[1] for table in tables}) > 1:
        shapes = " and ".join(str(list(table.shape)) for table in tables)
        raise UserError(f"the network puts out {shapes}, and any may be the logits: return the logits alone")
