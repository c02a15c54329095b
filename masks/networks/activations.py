"""Collects what modules of a network take in and put out while it runs, as hooks see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.grids import GridFinder


def record(classifier: Classifier, names: Sequence[str]) -> AbstractContextManager[dict[str, Tensor]]:
    """Collects the feature maps of some modules of a classifier's network while it runs; see `record_maps`."""
    return record_maps(classifier.network, names)


@contextmanager
def record_maps(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collects the feature maps of some modules while a network runs.

    The inputs may have another size than the classifier's where the network accepts it, as convolutional ones do. The
    network goes on with a copy, so that in-place operations cannot change a map, and gradients of the logits with
    respect to a map can be computed.

    Args:
        network: Its first argument is a batch of inputs (N, 3, *S).
        names: Names of modules (see `masks.networks.layers.Layer`).

    Yields:
        A dictionary that after each pass holds (N, C, *s) for each name; of a module that is called several times, the
        last map.

    Raises:
        ValueError: No module has such a name. Raised by the pass: a module's output is not a feature map.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 2, stride=2), nn.Flatten())
        >>> with record_maps(network, ["0"]) as maps:
        ...     _ = network(torch.zeros(1, 3, 8, 8))
        >>> maps["0"].shape
        torch.Size([1, 8, 4, 4])
    """
    for name in names:
        _module(network, name)
    maps: dict[str, Tensor] = {}
    finder = GridFinder(())

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal finder
        finder = GridFinder(tuple(inputs[0].shape[2:]))

    def keep(name: str, output: object) -> Tensor | None:
        if name not in names:
            if isinstance(output, Tensor):
                finder.note(tuple(output.shape))
            return None
        grid = finder.find(tuple(output.shape)) if isinstance(output, Tensor) else None
        if grid is None or not isinstance(output, Tensor):
            raise ValueError(f"names: the output of {name!r} is no feature map of an input of size {finder.size}")
        maps[name] = grid.unpack(output)
        return grid.pack(maps[name], output)

    with ExitStack() as stack:
        stack.callback(network.register_forward_pre_hook(begin).remove)
        for name, module in visible_modules(network):
            hook = module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
            stack.callback(hook.remove)
        yield maps


@contextmanager
def entering(network: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Collects what enters a module while a network runs.

    Args:
        network: The network.
        name: The module's name among its `named_modules`.

    Yields:
        A list of the module's first input, one a call; the tensors are the network's own.

    Raises:
        ValueError: No module has such a name.
    """
    module = _module(network, name)
    found: list[Tensor] = []
    with ExitStack() as stack:
        stack.callback(module.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0])).remove)
        yield found


@contextmanager
def leaving(network: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Collects what a module puts out, as `entering` does what enters it; copies, safe from operations in place."""
    module = _module(network, name)
    found: list[Tensor] = []
    with ExitStack() as stack:
        stack.callback(module.register_forward_hook(lambda _, __, output: found.append(output.clone())).remove)
        yield found


def _module(network: nn.Module, name: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if name not in modules:
        raise ValueError(f"name: the network has no module {name!r}")
    return modules[name]


def is_script(module: nn.Module) -> bool:
    """Whether a module is TorchScript, which takes no hooks: its outputs cannot be seen."""
    return isinstance(module, torch.jit.ScriptModule)


def visible_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that take hooks, with their names."""
    return ((name, module) for name, module in network.named_modules() if not is_script(module))
