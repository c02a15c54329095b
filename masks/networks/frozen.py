"""Freezes a network while it is in use, and restores it afterwards.

Frozen means: evaluation mode, no parameter requires a gradient, on the device where it is used, and, where the network
works with it, in channels-last memory format. Restored are: each module's training flag; each parameter's storage (and
with it device, layout and values), `requires_grad` and gradient; each buffer with its values; and whether the CPU
rounds denormal numbers to zero. Weights that are loaded while the network is frozen stay, with the buffers as they are
then.

A network may be frozen several times at once, and released in any order: the last release restores it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.memory_format import channels_last, has_channels_last


def flush_denormals(device: torch.device | str) -> None:
    """Lets the CPU round denormal numbers to zero: with trained weights passes are 6 to 10 times faster.

    Call it before the first computation on a CPU. Torch's threads keep the mode in which they were started: if that was
    without rounding, passes of two threads stay up to twenty times slower. Loading a network therefore switches it on
    and leaves it on.
    """
    if torch.device(device).type == "cpu":
        torch.set_flush_denormal(True)


def _flushes() -> bool:
    """Whether this thread rounds denormal numbers to zero; torch has no function that tells."""
    return float(torch.tensor(1e-40) * 1) == 0


@dataclass
class _Parameter:
    """A parameter before freezing."""

    tensor: nn.Parameter
    data: Tensor
    wanted: bool
    gradient: Tensor | None
    version: int

    @property
    def changed(self) -> bool:
        """Whether values were written into it since; a change of device or layout does not count."""
        return self.tensor._version != self.version


@dataclass
class _Buffer:
    """A buffer before freezing, with a copy of its values."""

    owner: nn.Module
    name: str
    tensor: Tensor
    values: Tensor
    version: int


@dataclass
class _Before:
    """A network before freezing."""

    flushed: bool
    modes: list[tuple[nn.Module, bool]] = field(default_factory=list)
    parameters: list[_Parameter] = field(default_factory=list)
    buffers: list[_Buffer] = field(default_factory=list)
    borrowed: list[tuple[nn.Module, str, nn.Parameter]] = field(default_factory=list)


_looking: WeakKeyDictionary[nn.Module, list[Frozen]] = WeakKeyDictionary()
"""The `Frozen` contexts that each network is in, in the order of entering."""


class Frozen:
    """Freezes and restores a network; calls may be nested.

    Args:
        network: Any network.
        device: Where it is used.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network
        self.device = device
        self.depth = 0
        self._before = _Before(flushed=False)
        self._plain: list[tuple[nn.Parameter, Tensor]] = []

    def enter(self) -> None:
        """Freezes the network, if it is not frozen yet.

        Raises:
            UserError: If it has weights without values.
        """
        if self.depth == 0:
            weights = self.network.named_parameters()
            empty = [name for name, p in weights if nn.parameter.is_lazy(p) or p.device.type == "meta"]
            if empty:
                raise UserError(
                    f"the network's weights have no values yet ({empty[0]}): load them, or run the network once, "
                    "before it is given"
                )
            try:
                with torch.inference_mode(False), torch.no_grad():
                    self._freeze()
            except BaseException:
                self._restore()
                raise
            _looking.setdefault(self.network, []).append(self)
        self.depth += 1

    def exit(self) -> None:
        """Restores the network, if this was the last context."""
        self.depth -= 1
        if self.depth > 0:
            return
        others = _looking[self.network]
        place = others.index(self)
        del others[place]
        if place < len(others):  # the context entered next has seen the network frozen by this one
            others[place]._before = self._before
        else:
            self._restore()
        if not others:
            del _looking[self.network]

    def channels_last(self) -> None:
        """Lays the weights of convolutions out channels last, each in the format of its rank."""
        with torch.inference_mode(False), torch.no_grad():
            for parameter in self.network.parameters():
                if type(parameter.data) is Tensor and has_channels_last(parameter.data):
                    self._plain.append((parameter, parameter.data))
                    parameter.data = channels_last(parameter.data)

    def contiguous(self) -> None:
        """Takes :meth:`channels_last` back."""
        with torch.inference_mode(False), torch.no_grad():
            for parameter, data in self._plain:
                parameter.data = data
        self._plain = []

    def _freeze(self) -> None:
        network = self.network
        before = self._before = _Before(_flushes())
        flush_denormals(self.device)
        # a frozen script has no training flag
        before.modes = [(module, module.training) for module in network.modules() if hasattr(module, "training")]
        self._borrow()
        before.parameters = [_Parameter(p, p.data, p.requires_grad, p.grad, p._version) for p in network.parameters()]
        for module, name, buffer in _buffers(network):
            ours = buffer.clone()
            if buffer.is_inference():  # made under inference_mode: autograd does not accept it
                module._buffers[name] = ours
                before.buffers.append(_Buffer(module, name, buffer, buffer, -1))
            else:
                before.buffers.append(_Buffer(module, name, buffer, ours, buffer._version))
        try:
            network.eval()  # not chained: a user's train() may return None
        except Exception as error:  # a user's eval() may raise anything
            line = (str(error).splitlines() or ["no reason"])[0]
            raise UserError(f"the network's eval() fails: {type(error).__name__}: {line}: let it pass") from error
        for parameter in network.parameters():
            parameter.grad = None  # network.to() would move the gradient as well
            parameter.requires_grad_(False)
        network.to(self.device)

    def _borrow(self) -> None:
        """Replaces parameters made under inference_mode, which autograd does not accept, by copies."""
        copies: dict[int, nn.Parameter] = {}
        for module in list(self.network.modules()):
            for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
                if parameter.is_inference():
                    copy = copies.setdefault(id(parameter), nn.Parameter(parameter.detach().clone(), False))
                    self._before.borrowed.append((module, name, parameter))
                    setattr(module, name, copy)

    def _restore(self) -> None:
        before = self._before
        loaded = {id(saved.tensor) for saved in before.parameters if saved.changed}
        with torch.inference_mode(False), torch.no_grad():
            for saved in before.parameters:
                if id(saved.tensor) in loaded:
                    saved.data.copy_(saved.tensor.data)
                saved.tensor.data = saved.data
                saved.tensor.requires_grad_(saved.wanted)
                saved.tensor.grad = saved.gradient
        for module, name, parameter in before.borrowed:
            if id(module._parameters[name]) in loaded:
                _write(parameter, module._parameters[name])
            setattr(module, name, parameter)
        for buffer in before.buffers:
            current = buffer.owner._buffers[buffer.name]
            buffer.owner._buffers[buffer.name] = buffer.tensor
            if loaded:  # passes change no parameters: the buffers belong to the loaded weights
                _write(buffer.tensor, current)
            elif buffer.version >= 0 and buffer.tensor._version != buffer.version:
                _write(buffer.tensor, buffer.values)
        for module, training in before.modes:
            module.training = training
        torch.set_flush_denormal(before.flushed)
        self._before, self._plain = _Before(before.flushed), []


def _write(tensor: Tensor, values: Tensor | None) -> None:
    """Writes values into a tensor; one made under inference_mode can be written to in that mode only."""
    if values is not None and values is not tensor:
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            tensor.copy_(values)


def _buffers(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for module in list(network.modules()):
        for name, buffer in list(module.named_buffers(recurse=False, remove_duplicate=False)):
            yield module, name, buffer
