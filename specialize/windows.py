"""What a network makes of the places of an image: boxes described by its feature maps, as in proposal flow.

A box is RoIAlign of the last feature map of each of several strides on a grid, and beside it, at the same length, what
the whole image is described by: a part in its context. With its context a part is known better, but a watermark is in
every part's context (docs/decisions.md). A summary's part is described so, and in a new image it is looked for in
windows of several sizes all over the frame: the decision of an SVM for the image is that of its best window.
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
from visual_summaries.specialize.options import PlaceOptions
from visual_summaries.summaries.files import Share

Side = Annotated[int, msgspec.Meta(ge=1)]
"""Whole, >= 1."""


@dataclass(frozen=True)
class Places:
    """How the feature maps of an image, laid out as one vector, become vectors of its places.

    Attributes:
        start: Where the maps begin in an image's vector.
        shapes: (C, h, w) of each map.
        grid: Cells along each side of a box.
        windows: (W, 4) xyxy in shares of the frame.
        context: Whether the whole image's vector stands beside a place's own.
    """

    start: Side
    shapes: Annotated[tuple[tuple[Side, Side, Side], ...], msgspec.Meta(min_length=1)]
    grid: Side
    windows: Annotated[tuple[tuple[Share, Share, Share, Share], ...], msgspec.Meta(min_length=1)]
    context: bool

    @property
    def end(self) -> int:
        """M, where the maps end in an image's vector."""
        return self.start + sum(channels * height * width for channels, height, width in self.shapes)

    @property
    def width(self) -> int:
        """D, values of a place's descriptor."""
        own = self.grid**2 * sum(channels for channels, _, _ in self.shapes)
        return own + (self.start if self.context else 0)

    def everywhere(self, vectors: Tensor) -> Tensor:
        """Descriptors (N, W, D) of all windows of images with vectors (N, M), of length 1."""
        boxes = vectors.new_tensor(self.windows)  # (W, 4)
        return self._describe(vectors, [boxes] * len(vectors)).view(len(vectors), len(boxes), -1)

    def at(self, vectors: Tensor, boxes: Tensor) -> Tensor:
        """Descriptors (N, D) of one box in each of N images, boxes (N, 4) xyxy in shares of the frame."""
        if not bool(boxes.isfinite().all()):
            raise ValueError("boxes: are not finite")
        return self._describe(vectors, list(boxes.to(vectors)[:, None]))

    def _describe(self, vectors: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        if vectors.shape[1] != self.end:  # what pools maps does not look whether they are there
            raise ValueError(f"vectors: have {vectors.shape[1]} values, of these places {self.end}")
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


def windows_of(options: PlaceOptions) -> tuple[tuple[float, float, float, float], ...]:
    """The windows of some options, by size, then by row."""
    found = []
    for size in options.sizes:
        corners = [k * options.step for k in range(int((1 - size) / options.step + 1e-9) + 1)]
        found += [(x, y, x + size, y + size) for y in corners for x in corners]
    return tuple(found)


def map_layers(classifier: Classifier, strides: Sequence[int]) -> list[str]:
    """Names of the layers that hand on the last feature map of each stride.

    Args:
        classifier: Inside its context.
        strides: Pixels of the frame.

    Raises:
        UserError: The network has no feature map.
    """
    layers = feature_layers(classifier)
    if not layers:
        raise UserError(f"{classifier.spec} puts out no feature map: use `features.place` image")
    return list(dict.fromkeys(last_block(classifier, layers, stride).name for stride in strides))


def boxes_in_shares(boxes: Sequence[tuple[float, ...]], frame: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (N, 4) in pixels of a frame (H, W) as shares of it."""
    height, width = frame
    sides = np.array([width, height, width, height], dtype=np.float32)
    shares: NDArray[np.float32] = np.asarray(boxes, np.float32).reshape(-1, 4) / sides
    return shares
