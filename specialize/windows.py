"""Descriptors of windows: boxes of an image, described by the network's feature maps as in proposal flow.

The descriptor of a box is RoIAlign of the last feature map of each of several strides, on a grid. With `context`, the
vector of the whole image is appended, at the same length: SVMs then know a part better, but a watermark is in the
context of every part (docs/decisions.md). The parts of a summary are described like this; in a new image they are
searched in sliding windows of several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries.clustering.descriptors.deep import describe_boxes
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import feature_layers, last_block
from visual_summaries.specialize.options import WindowOptions
from visual_summaries.summaries.files import Share

Side = Annotated[int, msgspec.Meta(ge=1)]
"""Whole, >= 1."""


@dataclass(frozen=True)
class WindowPooling:
    """Pools the descriptors of windows from an image's vector, which ends with its flattened feature maps.

    Attributes:
        start: Index of the first value of the maps in an image's vector.
        shapes: (C, h, w) of each map.
        grid: RoIAlign cells along each side of a box.
        windows: (W, 4) xyxy, fractions of the frame's sides.
        context: Whether the image's vector is appended to each window's descriptor.
    """

    start: Side
    shapes: Annotated[tuple[tuple[Side, Side, Side], ...], msgspec.Meta(min_length=1)]
    grid: Side
    windows: Annotated[tuple[tuple[Share, Share, Share, Share], ...], msgspec.Meta(min_length=1)]
    context: bool

    @property
    def end(self) -> int:
        """M, the length of an image's vector."""
        return self.start + sum(channels * height * width for channels, height, width in self.shapes)

    @property
    def width(self) -> int:
        """D, the length of a window's descriptor."""
        own = self.grid**2 * sum(channels for channels, _, _ in self.shapes)
        return own + (self.start if self.context else 0)

    def pool_windows(self, vectors: Tensor) -> Tensor:
        """Descriptors (N, W, D), of length 1, of all windows of images with vectors (N, M)."""
        boxes = vectors.new_tensor(self.windows)  # (W, 4)
        return self._describe(vectors, [boxes] * len(vectors)).view(len(vectors), len(boxes), -1)

    def pool_boxes(self, vectors: Tensor, boxes: Tensor) -> Tensor:
        """Descriptors (N, D) of one box in each of N images, boxes (N, 4) xyxy in fractions of the frame's sides."""
        if not bool(boxes.isfinite().all()):
            raise ValueError("boxes: are not finite")
        return self._describe(vectors, list(boxes.to(vectors)[:, None]))

    def _describe(self, vectors: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        if vectors.shape[1] != self.end:  # RoIAlign itself does not check its input
            raise ValueError(f"vectors: have {vectors.shape[1]} values, expected {self.end}")
        maps, begin = [], self.start
        for channels, height, width in self.shapes:
            end = begin + channels * height * width
            maps.append(vectors[:, begin:end].reshape(-1, channels, height, width))
            begin = end
        described = describe_boxes(maps, boxes, self.grid)
        if not self.context:
            return described
        whole = vectors[:, : self.start].repeat_interleave(len(boxes[0]), dim=0)
        return torch.cat([described, whole], dim=1) * 2**-0.5


def sliding_windows(options: WindowOptions) -> tuple[tuple[float, float, float, float], ...]:
    """Windows (x0, y0, x1, y1) in fractions of the frame's sides, ordered by size, then by row.

    Examples:
        >>> sliding_windows(WindowOptions(sizes=(0.5,), step=0.5))[:2]
        ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5))
    """
    found = []
    for size in options.sizes:
        corners = [k * options.step for k in range(int((1 - size) / options.step + 1e-9) + 1)]
        found += [(x, y, x + size, y + size) for y in corners for x in corners]
    return tuple(found)


def map_layers(classifier: Classifier, strides: Sequence[int]) -> list[str]:
    """Names of the layers that output the last feature map of each stride.

    Args:
        classifier: Inside its context.
        strides: Pixels of the frame.

    Raises:
        UserError: The network has no feature map.
    """
    layers = feature_layers(classifier)
    if not layers:
        raise UserError(f"{classifier.spec} has no feature map: use `features.level` image")
    return list(dict.fromkeys(last_block(classifier, layers, stride).name for stride in strides))


def relative_boxes(boxes: Sequence[tuple[float, ...]], frame: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (N, 4) in pixels of a frame (H, W) as fractions of its sides.

    Examples:
        >>> relative_boxes([(0, 10, 50, 20)], (20, 100)).tolist()
        [[0.0, 0.5, 0.5, 1.0]]
    """
    height, width = frame
    sides = np.array([width, height, width, height], dtype=np.float32)
    relative: NDArray[np.float32] = np.asarray(boxes, np.float32).reshape(-1, 4) / sides
    return relative
