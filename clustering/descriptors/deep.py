"""Deep descriptors: boxes described by feature maps of the network.

The image is enlarged to `side` pixels, if the network accepts other sizes than its frame, and passed through the
network once. The feature map of the last block of each stride is used (see `masks.networks.layers.last_block`). Its
mean over the image is subtracted from each channel; as whitening does for HOG, this removes what all positions of the
image have in common. A box is described by RoIAlign of each map on a grid of 3 x 3, scaled to unit length for each map,
so that z_a . z_b is the mean over the strides of the cosines of two boxes.

The descriptors are used in place of whitened HOG in `clustering.matching.proposal_flow.Features`.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align

from visual_summaries.clustering.options import DeepOptions
from visual_summaries.masks.networks.activations import record
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import feature_layers, last_block


class DeepEncoder:
    """Describes boxes by the feature maps of one network.

    Args:
        classifier: Inside its context while the encoder is used: frozen, on its device.
        options: Hyperparameters; the defaults without it.

    Attributes:
        names: The layers, one a stride; fewer if two strides have the same nearest layer.
        channels: Sum of the channels of their maps.
    """

    def __init__(self, classifier: Classifier, options: DeepOptions | None = None) -> None:
        self.classifier = classifier
        self.options = options or DeepOptions()
        layers = feature_layers(classifier)
        chosen = [last_block(classifier, layers, stride) for stride in self.options.strides]
        self.names = list(dict.fromkeys(layer.name for layer in chosen))
        self.channels = sum({layer.name: layer.channels for layer in chosen}.values())
        self._step = max(round(classifier.frame.size[0] / layer.size[0]) for layer in layers)
        self._any_size = self._takes((2 * self._step + classifier.frame.size[0], classifier.frame.size[1]))

    def _takes(self, size: tuple[int, int]) -> bool:
        """Whether the network accepts images of a size (H, W) in pixels."""
        empty = torch.zeros(1, 3, *size, device=self.classifier.device)
        try:
            with torch.inference_mode(), record(self.classifier, self.names):
                self.classifier.logits(empty)
        except (AssertionError, RuntimeError, ValueError):  # errors of networks for sizes that they do not accept
            return False
        return True

    def maps(self, image: NDArray[np.uint8], side: int | None = None) -> list[Tensor]:
        """Feature maps of an image, their mean subtracted, float32 (C, h, w) each, on the CPU.

        Args:
            image: uint8 RGB (H, W, 3).
            side: Longer side of the network's input, in place of the options' `side`.
        """
        height, width = self.classifier.frame.size
        if self._any_size:
            scale = (side or self.options.side) / max(image.shape[:2])
            height, width = (max(1, round(length * scale / self._step)) * self._step for length in image.shape[:2])
        shrinks = height * width < image.shape[0] * image.shape[1]
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        with torch.inference_mode(), record(self.classifier, self.names) as found:
            self.classifier.logits(self.classifier.to_tensor([resized.astype(np.uint8)]))
        maps = [found[name][0].float().cpu() for name in self.names]
        return [one - one.mean(dim=(1, 2), keepdim=True) for one in maps]

    def describe(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Describes boxes of one image.

        Args:
            image: uint8 RGB (H, W, 3).
            boxes: float32 (M, 4) xyxy, half open, in pixels of the image.

        Returns:
            float32 (M, D) of length at most 1; z_a . z_b in [-1, 1] is the mean cosine over the maps.
        """
        return pool(self.maps(image), boxes, (image.shape[0], image.shape[1]), self.options.grid)


def pool(
    maps: Sequence[Tensor], boxes: NDArray[np.float32], frame: tuple[int, int], grid: int = 3
) -> NDArray[np.float32]:
    """Descriptors of boxes from feature maps.

    Args:
        maps: float32 (C, h, w) each, over the whole frame.
        boxes: float32 (M, 4) in pixels of the frame.
        frame: (H, W) of the frame, pixels.
        grid: Grid points along each side of a box.

    Returns:
        float32 (M, grid^2 * sum of C); the part from each map has length 1 / sqrt(maps), or 0 if the map is 0.

    Examples:
        >>> maps = [torch.eye(2).reshape(2, 2, 1).expand(2, 2, 4)]  # one channel above, the other below
        >>> boxes = np.array([[0, 0, 32, 8], [0, 24, 32, 32]], np.float32)
        >>> z = pool(maps, boxes, (32, 32), grid=1)
        >>> np.round(z @ z.T, 2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    shares = torch.from_numpy(boxes / np.array([frame[1], frame[0]] * 2, dtype=np.float32))
    return describe_boxes([one[None] for one in maps], [shares], grid).numpy()


def describe_boxes(maps: Sequence[Tensor], boxes: Sequence[Tensor], grid: int) -> Tensor:
    """Descriptors of boxes of several images, as `pool` gives them for one, with their gradients.

    Args:
        maps: (N, C, h, w) each, over the whole frame.
        boxes: (M, 4) xyxy for each of the N images, in fractions of the frame.
        grid: Grid points along each side of a box.

    Returns:
        (sum of M, grid^2 * sum of C), in the order of the images.

    Examples:
        >>> maps = [torch.ones(2, 5, 8, 8), torch.ones(2, 3, 4, 4)]  # of two images
        >>> boxes = [torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0]])]
        >>> tuple(describe_boxes(maps, boxes, grid=2).shape)  # three boxes, 2 x 2 places of 5 + 3 channels
        (3, 32)
    """
    descriptors = []
    for one in maps:
        scale = one.new_tensor([one.shape[3], one.shape[2]] * 2)
        places = [each * scale for each in boxes]
        cells = roi_align(one, places, grid, spatial_scale=1.0, sampling_ratio=2, aligned=True)
        descriptors.append(functional.normalize(cells.flatten(1), eps=1e-6))  # (M, C grid^2)
    joined: Tensor = torch.cat(descriptors, dim=1) * len(descriptors) ** -0.5
    return joined


def sample(feature_map: Tensor, points: NDArray[np.floating], frame: tuple[int, int]) -> NDArray[np.float32]:
    """Unit vectors of a feature map (C, h, w) at points, bilinear; the border is repeated.

    Args:
        feature_map: float32 (C, h, w) over the whole frame.
        points: (..., 2) xy in pixels of the frame.
        frame: (H, W) of the frame, pixels.

    Returns:
        float32 (..., C), of length 1, or 0 if the map is 0.

    Examples:
        >>> left_and_right = torch.tensor([[[3.0, 0.0]], [[0.0, 5.0]]])  # (2, 1, 2)
        >>> sample(left_and_right, np.array([[0.0, 16.0], [32.0, 16.0]]), (32, 32)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    places = (2 * points / np.array(frame[::-1]) - 1).astype(np.float32).reshape(1, 1, -1, 2)
    values = functional.grid_sample(
        feature_map[None], torch.from_numpy(places), padding_mode="border", align_corners=False
    )[0, :, 0]  # (C, points)
    vectors: NDArray[np.float32] = functional.normalize(values.T, eps=1e-6).numpy()
    return vectors.reshape(*points.shape[:-1], len(feature_map))
