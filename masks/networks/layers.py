"""The layers of any network, found by what they put out and not by what they are called.

One dry pass over an empty image shows which modules put out a feature map: a float tensor that is a grid over the
image. Grids come in three layouts, told apart by their shape and the image's aspect ratio:

* (N, C, h, w), convolutional networks;
* (N, h, w, C), Swin and its like;
* (N, T, C), tokens of vision transformers, T = h w + prefix tokens (class, registers) in front.

All of them are given out as (N, C, h, w). A layer's stride is the image's height / h; it need not be a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.masks.networks.classifier import Classifier

MAX_PREFIX = 16
"""Most tokens in front of a grid that are no place of the image (class, distillation, registers: 1 to 9 in use)."""


@dataclass(frozen=True)
class Layer:
    """A module that puts out a feature map.

    Attributes:
        name: Its name among the network's `named_modules`.
        channels: C of its map.
        size: (h, w) of its map for an image of the frame.
    """

    name: str
    channels: int
    size: tuple[int, int]


def feature_layers(classifier: Classifier) -> list[Layer]:
    """All modules that put out a feature map with h, w > 1, in the order in which they finish.

    A module that is called several times stands where it finishes for the last time. Attention maps (heads x T x T)
    are no feature maps, and modules of TorchScript are not seen.

    Args:
        classifier: Inside its context: frozen, on its device.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: object) -> None:
        shapes.pop(name, None)
        if isinstance(output, Tensor) and output.is_floating_point() and output.shape[:1] == (1,):
            shapes[name] = tuple(output.shape)

    frame = classifier.frame.size
    with ExitStack() as stack, torch.inference_mode():
        for name, module in _visible(classifier.network):
            hook = module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
            stack.callback(hook.remove)
        classifier.logits(classifier.empty(1))
    tokens = {shape[1] for shape in shapes.values() if len(shape) == 3 and _grid_of(shape, frame) is not None}
    layers = []
    for name, shape in shapes.items():
        grid = _grid_of(shape, frame)
        attention = len(shape) == 4 and shape[2] == shape[3] and shape[2] in tokens
        if grid is not None and min(grid.size) > 1 and not attention:
            layers.append(Layer(name, grid.channels, grid.size))
    return layers


def deepest(layers: Sequence[Layer], stride: float, frame: tuple[int, int]) -> Layer:
    """The last layer of a stride, or of the stride nearest to it (as a ratio; the coarser one of two as near).

    Args:
        layers: In the order of execution, at least one.
        stride: Pixels of the frame a step of the map, > 0.
        frame: (H, W) of the frame in pixels.

    Raises:
        ValueError: There is no layer.
    """
    if not layers:
        raise ValueError("layers: the network puts out no feature map")

    def miss(layer: Layer) -> tuple[float, int]:
        height = layer.size[0]
        return abs(math.log(frame[0] / height / stride)), height

    least = min(map(miss, layers))
    return next(layer for layer in reversed(layers) if miss(layer) == least)


def last_block(classifier: Classifier, layers: Sequence[Layer], stride: float) -> Layer:
    """The last block of a stride: what a stage hands on, not the wide or narrow maps inside it or in the head.

    A block is a module with at least two weights of two dimensions or more in it (convolutions, linear layers).
    Where the stride has none, its last layer.

    Args:
        classifier: The layers' network.
        layers: See `feature_layers`.
        stride: See `deepest`.

    Raises:
        ValueError: There is no layer.
    """
    last = deepest(layers, stride, classifier.frame.size)
    modules = dict(classifier.network.named_modules())

    def is_block(layer: Layer) -> bool:
        return [weight.ndim >= 2 for weight in modules[layer.name].parameters()].count(True) >= 2

    blocks = [layer for layer in layers if layer.size == last.size and is_block(layer)]
    return blocks[-1] if blocks else last


def record(classifier: Classifier, names: Sequence[str]) -> AbstractContextManager[dict[str, Tensor]]:
    """Collects the feature maps of some modules of a classifier's network while it runs; see `record_maps`."""
    return record_maps(classifier.network, names)


@contextmanager
def record_maps(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collects the feature maps of some modules while a network runs.

    The images may have another size than the frame where the network takes it, as convolutional ones do. What the
    network itself goes on with is a copy, so that operations in place cannot change a map, and gradients of the
    logits with respect to a map are to be had.

    Args:
        network: Its first input is images (N, 3, H, W).
        names: Names of modules (see `Layer`).

    Yields:
        A dictionary that after each pass holds (N, C, h, w) for each name; of a module that is called several
        times, the last map.

    Raises:
        ValueError: No module has such a name. Raised by the pass: a module's output is no feature map.
    """
    modules = dict(network.named_modules())
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise ValueError(f"names: the network has no module {unknown[0]!r}")
    maps: dict[str, Tensor] = {}
    image: tuple[int, int] = (0, 0)  # of the pass that runs

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal image
        image = (inputs[0].shape[2], inputs[0].shape[3])

    def keep(name: str, output: object) -> Tensor:
        grid = _grid_of(tuple(output.shape), image) if isinstance(output, Tensor) else None
        if grid is None or not isinstance(output, Tensor):
            raise ValueError(f"names: the output of {name!r} is no feature map of an image of {image} pixels")
        maps[name] = grid.unpack(output)
        return grid.pack(maps[name], output)

    with ExitStack() as stack:
        stack.callback(network.register_forward_pre_hook(look).remove)
        for name in dict.fromkeys(names):
            hook = modules[name].register_forward_hook(lambda _, __, output, name=name: keep(name, output))
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
    """Whether a module is TorchScript, which takes no hooks: what it puts out is not seen."""
    return isinstance(module, torch.jit.ScriptModule)


def _visible(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules whose outputs can be seen."""
    return ((name, module) for name, module in network.named_modules() if not is_script(module))


def linear_layers(classifier: Classifier) -> list[str]:
    """Names of the linear layers that take one vector an image, after the last feature map, in order of execution.

    For most networks this is the classifying layer alone; networks of the age of AlexNet and VGG have fully connected
    layers in front of it. Linear layers within attention, or that squeeze and excite, come before the last feature
    map.

    Args:
        classifier: Inside its context.
    """
    last = {layer.name for layer in feature_layers(classifier)[-1:]}
    order: list[str] = []

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, nn.Linear) and isinstance(inputs[0], Tensor) and inputs[0].ndim == 2:
            order.append(name)
        elif name in last:
            order.clear()

    with ExitStack() as stack, torch.inference_mode():
        for name, module in _visible(classifier.network):
            hook = module.register_forward_hook(lambda m, inputs, _, name=name: note(name, m, inputs))
            stack.callback(hook.remove)
        classifier.logits(classifier.empty(1))
    return list(dict.fromkeys(order))


@dataclass(frozen=True)
class _Grid:
    """How a module's output is a grid.

    Attributes:
        channels: C.
        size: (h, w).
        prefix: Tokens in front of the grid's; None for an output of four dimensions.
        last: Whether channels are the last of four dimensions.
    """

    channels: int
    size: tuple[int, int]
    prefix: int | None = None
    last: bool = False

    def unpack(self, output: Tensor) -> Tensor:
        """The output as (N, C, h, w)."""
        if self.prefix is not None:
            return output[:, self.prefix :].transpose(1, 2).reshape(len(output), self.channels, *self.size)
        return output.permute(0, 3, 1, 2) if self.last else output

    def pack(self, grid: Tensor, output: Tensor) -> Tensor:
        """A new tensor in the output's layout, made of its grid and its prefix."""
        if self.prefix is not None:
            return torch.cat([output[:, : self.prefix], grid.flatten(2).transpose(1, 2)], dim=1)
        return grid.permute(0, 2, 3, 1).clone() if self.last else grid.clone()


def _grid_of(shape: tuple[int, ...], image: tuple[int, int]) -> _Grid | None:
    """The layout of an output of a shape for an image (H, W), None where it is no grid over the image."""
    if len(shape) == 4:
        _, one, two, three = shape
        first, last = _misfit((two, three), image), _misfit((one, two), image)
        if min(first, last) > 1.0:
            return None
        return _Grid(one, (two, three)) if first <= last else _Grid(three, (one, two), last=True)
    if len(shape) == 3:
        for prefix in range(min(MAX_PREFIX, shape[1] // 2) + 1):
            size = _factors(shape[1] - prefix, image)
            if size is not None:
                return _Grid(shape[2], size, prefix=prefix)
    return None


def _misfit(size: tuple[int, int], image: tuple[int, int]) -> float:
    """Columns a grid has more or less than an image of that shape and the grid's height would have."""
    if size[0] > image[0] or size[1] > image[1]:
        return math.inf
    return abs(size[1] - size[0] * image[1] / image[0])


def _factors(count: int, image: tuple[int, int]) -> tuple[int, int] | None:
    """(h, w) with h w = count in the image's shape, None where there is none."""
    height = math.sqrt(count * image[0] / image[1])
    for rows in (math.floor(height), math.ceil(height)):
        if rows > 0 and count % rows == 0 and _misfit((rows, count // rows), image) < 0.5:
            return rows, count // rows
    return None
