"""Finds out how a network has to be called, with a few passes over synthetic inputs, before anything depends on it.

First two inputs alone, a twice and b once, with the network in its own memory format; then the batch [a, b, a] in the
way it will be called. The single passes show the form of the output, and whether it is the same twice; the batch shows
whether batches and the channels-last format give the same. A network that draws random numbers in evaluation mode
cannot be explained, because no result could be reproduced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.frozen import Frozen
from visual_summaries.masks.networks.outputs import Reading, centred, dtype_of, rows

_SAME = 1e-3  # largest difference of two rows of one batch, relative to the largest, without their means
_ALIKE = 3e-2  # the same for passes in another layout or batch, which round differently (8 bits: about 0.01)
_COARSE = 5e-2  # the same for weights of 16 bits
_SUM = 1e-3  # how far the sum of a row of probabilities may be from 1
_COARSE_SUM = 2e-2
_ROUNDING = 1e-6  # largest error of an output of 32 bits by rounding alone, relative to the largest output
_ON_THE_WAY = ("View", "Reshape", "UnsafeView", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Slice", "Select", "Cat")
_WITH_A_CONSTANT = ("ClampBackward", "ClampMin", "ClampMax", "MulBackward", "AddBackward", "DivBackward")

RANDOM = (
    "the network draws random numbers in evaluation mode (two passes over the same input differ): switch dropout and "
    "the like off, for instance F.dropout(x, training=self.training)"
)
MIXED = (
    "the network's output for an input depends on the other inputs of its batch: let batch norm use its running "
    "statistics in evaluation mode, for instance F.batch_norm(.., training=self.training)"
)


def find_reading(frozen: Frozen, inputs: Tensor, even: bool) -> tuple[Reading, list[str]]:
    """Finds out how a network has to be called.

    Args:
        frozen: The network, frozen, in its own memory format; it is left in the format that is chosen.
        inputs: (2, 3, *S) normalised, two different inputs.
        even: Whether the normalisation is the same for red, green and blue.

    Returns:
        The reading, and a plain sentence for each conversion.

    Raises:
        UserError: If the output cannot be read as logits, or is not the same twice.
    """
    network = frozen.network
    reading, notes = Reading(channels_last=False), []
    one = inputs[:1]
    raw = _tried(lambda: network(reading.inputs(network, one)))
    if isinstance(raw, Exception):
        reading = _with_other_channels(network, tuple(one.shape), raw, even)
        notes.append("the network takes one channel: it gets grey inputs")
        raw = _asked(network, reading.inputs(network, one))
    alone = rows(raw, 1).to(one.dtype)
    _check(network, alone)
    again = rows(_asked(network, reading.inputs(network, one)), 1)
    if not same_input(network, alone[0], again[0].to(one.dtype)):
        raise UserError(RANDOM)
    notes += _conversions(network, raw)
    other = rows(_asked(network, reading.inputs(network, inputs[1:])), 1).to(one.dtype)
    reading, together, more = _in_a_batch(frozen, reading, [alone, other], torch.cat([inputs, one]))
    notes += more
    if not same_input(network, together[0], together[2]):
        raise UserError(RANDOM)
    _check(network, together)
    if _ends_in_sigmoid(together):
        raise UserError(
            "the network ends in a sigmoid, so its classes do not exclude each other: take the sigmoid off and give "
            "the logits before it"
        )
    if _are_probabilities(together, _COARSE_SUM if _is_coarse(network) else _SUM):
        reading = replace(reading, probabilities=True)
        notes.append("outputs are probabilities: their logarithm is taken")
    return reading, notes


def _in_a_batch(
    frozen: Frozen, reading: Reading, alone: list[Tensor], batch: Tensor
) -> tuple[Reading, Tensor, list[str]]:
    """How the network takes the batch [a, b, a], its outputs (3, C), and notes; ``alone``: (1, C) of a and of b."""
    network = frozen.network
    near = _COARSE if _is_coarse(network) else _ALIKE
    classes = alone[0].shape[1]

    def as_alone(found: Tensor) -> bool:
        return all(_close(row, one[0], near) for row, one in zip(found, alone, strict=False))

    frozen.channels_last()
    fast = replace(reading, channels_last=True)
    found = _tried(lambda: fast.outputs(network, batch))
    if isinstance(found, Tensor) and found.shape[1] == classes and as_alone(found):
        return fast, found, []
    frozen.contiguous()
    found = _tried(lambda: reading.outputs(network, batch))
    if isinstance(found, Exception) or found.shape[1] != classes:
        reading = replace(reading, one_by_one=True)
        return reading, reading.outputs(network, batch), ["the network takes one input at a time: passes are slower"]
    if not as_alone(found):
        raise UserError(MIXED)
    return (
        reading,
        found,
        ["the network does not work with channels last: its layout stays, passes are slower"],
    )


_Found = TypeVar("_Found")


def _tried(call: Callable[[], _Found]) -> _Found | Exception:
    """The result of a call, or the error that it raises."""
    try:
        return call()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return error


def _asked(network: nn.Module, inputs: Tensor) -> object:
    found = _tried(lambda: network(inputs))
    if isinstance(found, Exception):
        raise _fails(tuple(inputs.shape), found) from found
    return found


def _fails(shape: tuple[int, ...], error: Exception) -> UserError:
    return UserError(
        f"the network fails on an input of shape {list(shape)}: {type(error).__name__}: {_line(error)}: check the "
        "input size, and that it takes a batch of any size"
    )


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if lines and lines[0].startswith("The following operation failed") else 0] if lines else "no reason"


def _with_other_channels(network: nn.Module, shape: tuple[int, ...], error: Exception, even: bool) -> Reading:
    """The reading of a network whose first convolution takes another number of channels than three."""
    first = next((m for m in network.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))), None)
    wanted = 3 if first is None else first.in_channels
    if wanted == 3:
        raise _fails(shape, error) from error
    if wanted == 1 and even:
        return Reading(channels_last=False, grey=True)
    do = (
        "give it one mean and one standard deviation, the same for red, green and blue, and it gets grey inputs"
        if wanted == 1
        else "give one that takes red, green and blue, for instance with a layer in front that makes the other channels"
    )
    raise UserError(f"the network's first convolution takes {wanted} channels, inputs have 3: {do}") from error


def _check(network: nn.Module, outputs: Tensor) -> None:
    """Raises an error for outputs (N, C) of one column, or that are not finite."""
    if outputs.shape[1] < 2:
        raise UserError(
            "the network puts out one logit: give two, for instance torch.stack([0 * z, z], 1) of the logit z (N,)"
        )
    check_finite(network, outputs)


def check_finite(network: nn.Module, outputs: Tensor) -> None:
    """Raises an error for outputs that are not finite.

    Raises:
        UserError: The message names a weight that is not finite, if there is one.
    """
    if not bool(torch.isfinite(outputs).all()):
        name = weight_not_finite(network)
        why = f"its weight {name} is not finite" if name else "its weights are finite: check what it computes with them"
        raise UserError(f"the network's logits are not finite (NaN or infinite): {why}")


def weight_not_finite(network: nn.Module) -> str:
    """Name of the first parameter with a NaN or infinite number, else of the first buffer with a NaN; else empty."""
    for name, values in network.named_parameters():
        if values.is_floating_point() and values.layout == torch.strided and not bool(torch.isfinite(values).all()):
            return name
    for name, buffer in network.named_buffers():  # attention masks may hold infinite numbers
        if buffer.is_floating_point() and buffer.layout == torch.strided and bool(buffer.isnan().any()):
            return name
    return ""


def _conversions(network: nn.Module, output: object) -> list[str]:
    """Notes on the conversion of each input and output."""
    notes = []
    dtype = dtype_of(network, torch.float32)
    if dtype != torch.float32:
        notes.append(f"weights are {str(dtype).removeprefix('torch.')}: inputs are cast to it")
    if not isinstance(output, Tensor):
        what = "its first tensor is" if isinstance(output, (tuple, list)) else "its logits are"
        notes.append(f"the network puts out a {type(output).__name__}: {what} taken")
    elif output.ndim > 2:
        notes.append(f"the network puts out {list(output.shape)} for an input: dimensions of length 1 are dropped")
    return notes


def same_input(network: nn.Module, one: Tensor, other: Tensor) -> bool:
    """Whether two rows of outputs (C,) may come from the same input, called twice in the same way."""
    return _close(one, other, _COARSE if _is_coarse(network) else _SAME)


def _is_coarse(network: nn.Module) -> bool:
    return any(p.is_floating_point() and p.dtype.itemsize < 4 for p in network.parameters())


def _close(one: Tensor, other: Tensor, tolerance: float) -> bool:
    """Whether two rows of outputs (C,) are equal up to a constant and rounding; NaN is left to another check."""
    differences, scale = (
        centred(one) - centred(other),
        torch.maximum(centred(one).abs().max(), centred(other).abs().max()),
    )
    rounding = _ROUNDING * torch.maximum(one.abs().max(), other.abs().max())
    return not bool(differences.abs().max() > tolerance * scale + rounding)


def _are_probabilities(outputs: Tensor, tolerance: float) -> bool:
    inside = bool(((outputs >= 0) & (outputs <= 1 + tolerance)).all())
    return inside and bool(((outputs.sum(1) - 1).abs() <= tolerance).all())


def _ends_in_sigmoid(outputs: Tensor) -> bool:
    """Whether a pass ends in a sigmoid, followed by constant operations at most; False without a recorded graph."""
    step = outputs.grad_fn if bool(((outputs >= 0) & (outputs <= 1 + _SUM)).all()) else None
    while step is not None and not step.name().startswith("Sigmoid"):
        sources = [source for source, _ in step.next_functions if source is not None]
        constant = step.name().startswith(_WITH_A_CONSTANT) and len(sources) == 1
        step = sources[0] if sources and (constant or step.name().startswith(_ON_THE_WAY)) else None
    return step is not None
