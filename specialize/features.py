"""What a network makes of an image, as one vector of length 1, together with its logits.

The paper takes the first fully connected layer of AlexNet (section 4.4). Most networks of today have none; what
enters their last linear layer is the default here, and any named module will do. Where a network is tapped is found
in a pass over an empty image, not read off names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from masks.classifier import Classifier
from masks.errors import UserError
from masks.layers import entering, feature_layers, leaving, linear_layers, record_maps


@dataclass(frozen=True)
class FeatureOptions:
    """Where the features come from.

    Attributes:
        layer: "last" for what enters the last linear layer; "first" for what the first fully connected layer puts out
            (paper section 4.4), on networks that have one before the last; or the name of a module, whose output is
            averaged over its places. "last" is the default because every usual network has it.
    """

    layer: str = "last"


@dataclass(frozen=True)
class Tap:
    """Where a network is tapped.

    Attributes:
        module: Name of a module.
        side: What enters it, what leaves it, or its feature map's mean over all places.
    """

    module: str
    side: Literal["input", "output", "map"]


@dataclass(frozen=True)
class Seen:
    """What a network makes of N images.

    Attributes:
        vectors: float32 (N, D), of length 1.
        logits: float32 (N, K).
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]


def find_tap(classifier: Classifier, options: FeatureOptions | None = None) -> Tap:
    """Finds where a network is tapped.

    Args:
        classifier: Inside its context.
        options: Hyperparameters.

    Raises:
        UserError: The network has no such layer, or what it puts out is neither a vector nor a feature map.
    """
    layer = (options or FeatureOptions()).layer
    if layer not in ("last", "first"):
        return _tap_of(classifier, layer)
    linear = linear_layers(classifier)
    if not linear:
        raise UserError(f"{classifier.spec} has no linear layer at its end: name a module with --set.features.layer")
    if layer == "last":
        return Tap(linear[-1], "input")
    if len(linear) < 2:
        raise UserError(
            f"{classifier.spec} has no fully connected layer before its last one: use --set.features.layer last"
        )
    return Tap(linear[0], "output")


def _tap_of(classifier: Classifier, name: str) -> Tap:
    if name not in dict(classifier.network.named_modules()):
        raise UserError(f"{classifier.spec} has no module {name!r}: give last, first or one of its modules")
    if name in {layer.name for layer in feature_layers(classifier)}:
        return Tap(name, "map")
    with leaving(classifier.network, name) as left, torch.inference_mode():
        classifier.logits(torch.zeros(1, 3, *classifier.frame.size, device=classifier.device))
    if not left or left[-1].ndim != 2:
        raise UserError(f"what {name!r} of {classifier.spec} puts out is neither a vector nor a feature map")
    return Tap(name, "output")


@contextmanager
def tapped(network: nn.Module, tap: Tap) -> Iterator[Callable[[], Tensor]]:
    """Taps a network while it runs.

    Args:
        network: The network.
        tap: Where.

    Yields:
        A function that, after a pass over N images, gives their vectors (N, D), of length 1, with their gradients.
    """
    if tap.side == "map":
        with record_maps(network, [tap.module]) as maps:
            yield lambda: functional.normalize(maps.pop(tap.module).mean(dim=(2, 3)))
    else:
        listen = entering if tap.side == "input" else leaving
        with listen(network, tap.module) as found:
            yield lambda: functional.normalize(_last(found))


def _last(found: list[Tensor]) -> Tensor:
    value = found[-1]
    found.clear()
    return value


def look(classifier: Classifier, tap: Tap, frames: Sequence[NDArray[np.uint8]]) -> Seen:
    """One pass over a batch of frames.

    Args:
        classifier: Inside its context.
        tap: Where it is tapped.
        frames: uint8 RGB (H, W, 3) of the classifier's frame, N of them.
    """
    with tapped(classifier.network, tap) as vectors, torch.inference_mode():
        logits = classifier.logits(classifier.to_tensor(frames))
        return Seen(vectors().float().cpu().numpy(), logits.float().cpu().numpy())
