"""Features of an image: a vector of length 1, feature maps where they are asked for, and the logits.

The paper takes the first fully connected layer of AlexNet (section 4.4). Most current networks have none; the default
here is the input of the last linear layer, and any named module works. Layers are found in a forward pass of an empty
image, not by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.activations import entering, leaving, record_maps
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import feature_layers, linear_layers
from visual_summaries.specialize.options import FeatureOptions
from visual_summaries.specialize.windows import WindowPooling, map_layers, sliding_windows


@dataclass(frozen=True)
class Tap:
    """Where features are read from a network.

    Attributes:
        module: Name of a module.
        side: Its input, its output, or the mean of its feature map over all spatial positions.
        maps: Names of the modules whose feature maps are appended to the vector.
    """

    module: str
    side: Literal["input", "output", "map"]
    maps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extracted:
    """Features and logits of N images.

    Attributes:
        vectors: float32 (N, M): D values of length 1, then the flattened feature maps, if the tap has any.
        logits: float32 (N, K).
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]


def find_tap(classifier: Classifier, options: FeatureOptions | None = None) -> Tap:
    """Finds where the features of a network are read.

    Args:
        classifier: Inside its context.
        options: Hyperparameters.

    Raises:
        UserError: The network has no such layer, or the layer's output is neither a vector nor a feature map.
    """
    options = options or FeatureOptions()
    tap = _vector_tap(classifier, options.layer)
    if options.level == "image":
        return tap
    return replace(tap, maps=tuple(map_layers(classifier, options.windows.strides)))


def find_pooling(classifier: Classifier, tap: Tap, options: FeatureOptions) -> WindowPooling | None:
    """How the vectors of a tap become descriptors of windows; None if it has no feature maps.

    Args:
        classifier: Inside its context.
        tap: See `find_tap`.
        options: Hyperparameters.
    """
    if not tap.maps:
        return None
    with tapped(classifier.network, replace(tap, maps=())) as vectors, torch.inference_mode():
        classifier.logits(classifier.empty(1))
        start = vectors().shape[1]
    shapes = map_shapes(classifier, tap.maps)
    return WindowPooling(start, shapes, options.windows.grid, sliding_windows(options.windows), options.windows.context)


def map_shapes(classifier: Classifier, names: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """(C, h, w) of the feature maps of some modules.

    Args:
        classifier: Inside its context.
        names: Names of modules.
    """
    if not names:
        return ()
    with record_maps(classifier.network, names) as maps, torch.inference_mode():
        classifier.logits(classifier.empty(1))
    return tuple((maps[name].shape[1], maps[name].shape[2], maps[name].shape[3]) for name in names)


def _vector_tap(classifier: Classifier, layer: str) -> Tap:
    if layer not in ("last", "first"):
        return _tap_of(classifier, layer)
    linear = linear_layers(classifier)
    if not linear:
        raise UserError(f"{classifier.spec} has no linear layer at its end: name a module with `features.layer`")
    if layer == "last":
        return Tap(linear[-1], "input")
    if len(linear) < 2:
        raise UserError(
            f"{classifier.spec} has no fully connected layer before its last one: use `features.layer` last"
        )
    return Tap(linear[0], "output")


def _tap_of(classifier: Classifier, name: str) -> Tap:
    if name not in dict(classifier.network.named_modules()):
        raise UserError(f"{classifier.spec} has no module {name!r}: give last, first or one of its modules")
    if name in {layer.name for layer in feature_layers(classifier)}:
        return Tap(name, "map")
    with leaving(classifier.network, name) as left, torch.inference_mode():
        classifier.logits(classifier.empty(1))
    if not left or left[-1].ndim != 2:
        raise UserError(
            f"the output of {name!r} of {classifier.spec} is neither a vector nor a feature map: name another module"
        )
    return Tap(name, "output")


@contextmanager
def tapped(network: nn.Module, tap: Tap) -> Iterator[Callable[[], Tensor]]:
    """Records features during forward passes.

    Args:
        network: The network.
        tap: Where features are read.

    Yields:
        A function that, after a forward pass of N images, returns their vectors (N, M) (see `Extracted`), with
        gradients.
    """
    grids = [*tap.maps, tap.module] if tap.side == "map" else list(tap.maps)
    listen = entering if tap.side == "input" else leaving
    with record_maps(network, grids) as maps, listen(network, tap.module) as found:

        def vectors() -> Tensor:
            value = maps[tap.module].mean(dim=(2, 3)) if tap.side == "map" else found[-1]
            if value.ndim != 2:
                raise ValueError(f"tap: {tap.module!r} gives {tuple(value.shape)}, not one vector an image")
            joined = torch.cat([functional.normalize(value), *(maps[name].flatten(1) for name in tap.maps)], dim=1)
            found.clear()
            maps.clear()
            return joined

        yield vectors


def extract(classifier: Classifier, tap: Tap, frames: Sequence[NDArray[np.uint8]]) -> Extracted:
    """Features and logits of frames, in one forward pass.

    Args:
        classifier: Inside its context.
        tap: Where features are read.
        frames: uint8 RGB (H, W, 3) of the classifier's frame, N of them.
    """
    if classifier.reading.one_by_one and len(frames) > 1:
        each = [extract(classifier, tap, [frame]) for frame in frames]
        return Extracted(np.concatenate([one.vectors for one in each]), np.concatenate([one.logits for one in each]))
    with tapped(classifier.network, tap) as vectors, torch.inference_mode():
        logits = classifier.logits(classifier.to_tensor(frames))
        return Extracted(vectors().float().cpu().numpy(), logits.float().cpu().numpy())
