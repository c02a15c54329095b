"""How a network is called: what its inputs must be, and how its outputs become logits (N, C).

Most networks take float32 inputs (N, 3, *S) and put out logits. These differences are converted:

* an output object's or a dictionary's ``logits``, a tuple's first tensor; trailing dimensions of length 1 are dropped,
  and a batch dimension that the network squeezes away for a single image is put back;
* inputs are cast to the type of the network's weights (half, bfloat16, double), logits to that of the inputs;
* rows that are probabilities p are replaced by log p: then log_softmax(log p) = log p, exactly;
* a network exported for a batch of one gets one input after the other;
* a network of one input channel gets 0.299 R + 0.587 G + 0.114 B (ITU-R 601, the grey of most image readers).

The first two are decided for each output. The others are decided once, by `masks.networks.probe`, as a
:class:`Reading`.
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
"""Weights of red, green and blue in the grey that a network of one channel gets."""


@dataclass(frozen=True)
class Reading:
    """How a network is called.

    Attributes:
        channels_last: Whether inputs, and with them the weights, are laid out channels last.
        one_by_one: Whether it gets one input after the other.
        probabilities: Whether its outputs are probabilities, whose logarithm is taken.
        grey: Whether it gets one grey channel.
    """

    channels_last: bool = True
    one_by_one: bool = False
    probabilities: bool = False
    grey: bool = False

    def logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Logits (N, C) of normalised inputs (N, 3, *S), in the inputs' type.

        Raises:
            UserError: If the network's output cannot be read as (N, C).
        """
        values = self.outputs(network, inputs)
        if not self.probabilities:
            return values
        return values.clamp_min(torch.finfo(values.dtype).tiny).log()

    def outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """The network's outputs (N, C), in the inputs' type, before any logarithm."""
        ready = self.inputs(network, inputs)
        parts = [ready[i : i + 1] for i in range(len(ready))] if self.one_by_one else [ready]
        found = [rows(network(part), len(part)) for part in parts]
        return (torch.cat(found) if self.one_by_one else found[0]).to(inputs.dtype)

    def inputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Normalised inputs (N, 3, *S) in the form that the network takes."""
        if self.grey:
            inputs = (inputs * per_colour(GREY, inputs)).sum(1, keepdim=True)
        if self.channels_last:
            inputs = channels_last(inputs)
        return inputs.to(dtype_of(network, inputs.dtype))


def dtype_of(network: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    """The type of the network's first floating-point weight.

    Examples:
        >>> dtype_of(nn.Linear(2, 2).half(), torch.float32), dtype_of(nn.Identity(), torch.float32)
        (torch.float16, torch.float32)
    """
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), otherwise)


def rows(output: object, count: int) -> Tensor:
    """The tensor (N, C) in a network's output for N inputs.

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
            f"the network puts out {list(shape)} for {count} inputs: give one that puts out logits ({count}, classes)"
        )
    return values


def centred(logits: Tensor) -> Tensor:
    """Logits (.., C) without their mean; probabilities do not depend on it.

    Examples:
        >>> centred(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.,  1.]])
    """
    return logits - logits.mean(-1, keepdim=True)


def _tensor_of(output: object) -> Tensor:
    """The floating-point tensor that holds the logits."""
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
    """Raises an error for tensors (N, C) of different C: any of them may be the logits."""
    tables = [each for each in output if isinstance(each, Tensor) and each.ndim == 2 and each.is_floating_point()]
    if len({table.shape[1] for table in tables}) > 1:
        shapes = " and ".join(str(list(table.shape)) for table in tables)
        raise UserError(f"the network puts out {shapes}, and any may be the logits: return the logits alone")
