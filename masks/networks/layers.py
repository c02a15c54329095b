"""The layers of any network, found by their outputs and not by their names.

One pass over an empty input shows which modules put out a feature map: a float tensor that is a grid over the input
(see `masks.networks.grids`). All maps are given out as (N, C, *s). A layer has one stride for each axis of the input,
for instance H / h; it need not be a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visual_summaries.masks.networks.activations import visible_modules
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.grids import Grid, GridFinder


@dataclass(frozen=True)
class Layer:
    """A module that puts out a feature map.

    Attributes:
        name: Its name among the network's `named_modules`.
        channels: C of its map.
        size: s of its map for an input of the classifier's size S: (h, w) or (t, h, w).
        strides: S / s, pixels or frames of the input for each step of the map, one number for each axis.
    """

    name: str
    channels: int
    size: tuple[int, ...]
    strides: tuple[float, ...]


def feature_layers(classifier: Classifier) -> list[Layer]:
    """All modules that put out a feature map with h, w > 1, in the order in which they finish.

    A module that is called several times counts where it finishes for the last time. Attention maps (heads x T x T) are
    not feature maps, and the outputs of TorchScript modules cannot be seen.

    Args:
        classifier: Inside its context: frozen, on its device.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo", weights="none") as classifier:
        ...     found = feature_layers(classifier)
        >>> found[-1].size < found[0].size, found[-1].channels >= found[0].channels
        (True, True)

    Examples:
        >>> from visual_summaries.masks.inputs.shape import InputShape
        >>> from visual_summaries.masks.networks.classifier import Normalisation
        >>> plain = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        >>> network = nn.Sequential(nn.Conv3d(3, 8, 2, stride=2), nn.AdaptiveAvgPool3d(1), nn.Flatten())
        >>> with Classifier(network, shape=InputShape((8, 16, 16)), normalisation=plain) as classifier:
        ...     feature_layers(classifier)
        [Layer(name='0', channels=8, size=(4, 8, 8), strides=(2.0, 2.0, 2.0))]
    """
    size = classifier.shape.size
    finder = GridFinder(size)
    found: dict[str, tuple[tuple[int, ...], Grid]] = {}

    def note(name: str, output: object) -> None:
        found.pop(name, None)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        shape = tuple(output.shape)
        grid = finder.find(shape)
        if grid is not None and shape[0] == 1:
            found[name] = shape, grid

    with ExitStack() as stack, torch.inference_mode():
        for name, module in visible_modules(classifier.network):
            hook = module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
            stack.callback(hook.remove)
        classifier.logits(classifier.empty(1))
    tokens = {shape[1] for shape, _ in found.values() if len(shape) == 3}
    layers = []
    for name, (shape, grid) in found.items():
        attention = len(shape) == 4 and shape[2] == shape[3] and shape[2] in tokens
        if min(grid.size[-2:]) > 1 and not attention:
            strides = tuple(length / steps for length, steps in zip(size, grid.size, strict=True))
            layers.append(Layer(name, grid.channels, grid.size, strides))
    return layers


def deepest(layers: Sequence[Layer], stride: float) -> Layer:
    """The last layer of a stride, or of the stride nearest to it (as a ratio; the coarser one of two as near).

    Args:
        layers: In the order of execution, at least one.
        stride: Pixels of the input's height for each step of the map, > 0.

    Raises:
        ValueError: There is no layer.

    Examples:
        >>> layers = [Layer("a", 8, (28, 28), (8.0, 8.0)), Layer("b", 8, (28, 28), (8.0, 8.0))]
        >>> deepest(layers, 16).name
        'b'
    """
    if not layers:
        raise ValueError("layers: the network puts out no feature map")

    def miss(layer: Layer) -> tuple[float, int]:
        return abs(math.log(layer.strides[-2] / stride)), layer.size[-2]

    least = min(map(miss, layers))
    return next(layer for layer in reversed(layers) if miss(layer) == least)


def last_block(classifier: Classifier, layers: Sequence[Layer], stride: float) -> Layer:
    """The last block of a stride: the output of a stage, not the wide or narrow maps inside it or in the head.

    A block is a module with at least two weights of two dimensions or more in it (convolutions, linear layers).
    Where the stride has none, its last layer.

    Args:
        classifier: The layers' network.
        layers: See `feature_layers`.
        stride: See `deepest`.

    Raises:
        ValueError: There is no layer.
    """
    last = deepest(layers, stride)
    modules = dict(classifier.network.named_modules())

    def is_block(layer: Layer) -> bool:
        return [weight.ndim >= 2 for weight in modules[layer.name].parameters()].count(True) >= 2

    blocks = [layer for layer in layers if layer.size == last.size and is_block(layer)]
    return blocks[-1] if blocks else last


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
        for name, module in visible_modules(classifier.network):
            hook = module.register_forward_hook(lambda m, inputs, _, name=name: note(name, m, inputs))
            stack.callback(hook.remove)
        classifier.logits(classifier.empty(1))
    return list(dict.fromkeys(order))
