"""Hierarchical grouping of selective search (Uijlings et al., IJCV 2013), many hierarchies for one image.

An image is over-segmented (Felzenszwalb and Huttenlocher), then the two most similar neighbouring segments are merged
until one segment is left. Every segment of this hierarchy gives a box. The published "quality" setting has 80
hierarchies:

* five colour spaces: HSV, Lab, rgI (normalised r and g, and intensity), H alone, intensity alone;
* four over-segmentations each: k = smallest segment = 50, 100, 150, 300 pixels, after a blur of sigma 0.8;
* four similarities each, sums of some of colour C, texture T, size S and fill F: C+T+S+F, T+S+F, F, S.

C and T are intersections of histograms: 25 bins a channel for colour, 10 bins a channel and direction for
the Gaussian derivatives (sigma 1) in 8 directions. S = 1 - (size a + size b) / size image. F = 1 - (size of
the box around both - size a - size b) / size image. A merged segment's histograms are the means weighted by
size.

Departure: k is a number of pixels, published for photographs of one size. Here the values hold for a frame of 224 x 224
pixels and are multiplied by the frame's side / 224. Measured on eight photographs, boxes with sides of at least 12/224
of the frame: 1850 at 224 pixels; at 128 pixels 550 with unchanged values, 1310 with this factor, 2760 with its square.
Only the over-segmentation is OpenCV's: its own grouping draws ranks from the C library's global random generator and
does not return the order of merges.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

SEGMENT_SIZES = (50, 100, 150, 300)
"""k and smallest segment, in pixels of a frame of 224 x 224 pixels (published setting)."""

STRATEGIES = ("CTSF", "TSF", "F", "S")
"""The similarities of the published quality setting."""

_SIGMA = 0.8
_REFERENCE_SIDE = 224
_COLOUR_BINS = 25
_TEXTURE_BINS = 10


def groupings(image: NDArray[np.uint8]) -> Iterator[NDArray[np.int32]]:
    """Runs the 80 hierarchies of an image.

    Args:
        image: uint8 RGB (H, W, 3).

    Yields:
        One int32 (n, 4) array of xyxy boxes, half open, per hierarchy: the whole image first, then the
        segments from the last to the first merge, then the segments of the over-segmentation.

    Examples:
        >>> image = np.zeros((32, 32, 3), np.uint8)
        >>> image[8:24, 8:24] = 255
        >>> hierarchies = list(groupings(image))
        >>> len(hierarchies)  # colour spaces x segmentations x similarities
        80
        >>> hierarchies[0][0].tolist()  # the whole image comes first
        [0, 0, 32, 32]
    """
    height, width = image.shape[:2]
    scale = float(np.sqrt(height * width)) / _REFERENCE_SIDE
    for channels in _colour_spaces(image):
        texture = _texture_bins(channels)
        for size in SEGMENT_SIZES:
            k = size * scale
            segmenter = cv2.ximgproc.segmentation.createGraphSegmentation(_SIGMA, k, max(1, round(k)))
            labels: NDArray[np.int32] = segmenter.processImage(channels).astype(np.int32)
            segments = _Segments(labels, channels, texture)
            for strategy in STRATEGIES:
                yield segments.merge(strategy)


def _colour_spaces(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The image in HSV, Lab, rgI, H and I, each uint8 (H, W) or (H, W, 3) over the full range 0..255."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    intensity = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    total = np.maximum(image.sum(axis=2, dtype=np.float32), 1.0)
    chroma = np.rint(255.0 * image[..., :2] / total[..., None]).astype(np.uint8)
    rgi = np.dstack([chroma, intensity])
    return [hsv, lab, rgi, np.ascontiguousarray(hsv[..., 0]), intensity]


def _texture_bins(channels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Histogram bin of each Gaussian derivative: int32 (H, W, channels * 8), values 0.._TEXTURE_BINS - 1."""
    smooth = cv2.GaussianBlur(channels.astype(np.float32), (0, 0), 1.0)
    smooth = smooth.reshape(*channels.shape[:2], -1)
    dy, dx = np.gradient(smooth, axis=(0, 1))
    diagonal = np.float32(np.sqrt(0.5))
    half = np.concatenate([dx, dy, diagonal * (dx + dy), diagonal * (dx - dy)], axis=2)
    responses = np.maximum(np.concatenate([half, -half], axis=2), 0.0)
    top = responses.max(axis=(0, 1))
    bins = (responses * (_TEXTURE_BINS / np.maximum(top, 1e-6))).astype(np.int32)
    clipped: NDArray[np.int32] = np.minimum(bins, _TEXTURE_BINS - 1)
    return clipped


def _histograms(
    labels: NDArray[np.int32], bins: NDArray[np.int32], per_channel: int, count: int
) -> NDArray[np.float32]:
    """Histograms of segments, float32 (count, channels * per_channel), each row summing to one."""
    channels = bins.shape[2]
    index = labels[..., None] * (channels * per_channel) + np.arange(channels) * per_channel + bins
    table = np.bincount(index.ravel(), minlength=count * channels * per_channel)
    table = table.reshape(count, channels * per_channel).astype(np.float32)
    normalised: NDArray[np.float32] = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return normalised


class _Segments:
    """One over-segmentation with the histograms for similarities; merging does not change it."""

    def __init__(self, labels: NDArray[np.int32], channels: NDArray[np.uint8], texture: NDArray[np.int32]) -> None:
        height, width = labels.shape
        self._pixels = height * width
        self._count = count = int(labels.max()) + 1
        self._sizes = np.bincount(labels.ravel(), minlength=count)
        colour = channels.reshape(height, width, -1).astype(np.int32) * _COLOUR_BINS // 256
        self._colour = _histograms(labels, colour, _COLOUR_BINS, count)
        self._texture = _histograms(labels, texture, _TEXTURE_BINS, count)
        self._boxes = _bounding_boxes(labels, count)
        self._neighbours = _adjacent(labels)

    def merge(self, strategy: str) -> NDArray[np.int32]:
        """Merges to one segment; int32 (2 * count - 1, 4) boxes, the last merge first."""
        count, pixels = self._count, self._pixels
        total = 2 * count - 1
        boxes = np.zeros((total, 4), dtype=np.int64)
        sizes = np.zeros(total, dtype=np.int64)
        boxes[:count], sizes[:count] = self._boxes, self._sizes
        tables = [
            np.concatenate([table, np.zeros((count - 1, table.shape[1]), np.float32)])
            for letter, table in (("C", self._colour), ("T", self._texture))
            if letter in strategy
        ]

        def similarities(one: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
            """Similarity of a segment to others, float64 (n,)."""
            result = np.zeros(len(others))
            for table in tables:
                result += np.minimum(table[one], table[others]).sum(axis=1, dtype=np.float64)
            both = sizes[one] + sizes[others]
            if "S" in strategy:
                result += 1.0 - both / pixels
            if "F" in strategy:
                low = np.minimum(boxes[one, :2], boxes[others, :2])
                high = np.maximum(boxes[one, 2:], boxes[others, 2:])
                result += 1.0 - (np.prod(high - low, axis=1) - both) / pixels
            return result

        neighbours = [set(near) for near in self._neighbours]
        queue: list[tuple[float, int, int]] = []
        for one in range(count):
            others = np.array([other for other in sorted(neighbours[one]) if other > one], dtype=np.int64)
            if len(others):
                values = similarities(one, others).tolist()
                queue += [(-value, one, other) for value, other in zip(values, others.tolist(), strict=True)]
        heapq.heapify(queue)
        gone = bytearray(total)
        for new in range(count, total):
            while True:
                _, a, b = heapq.heappop(queue)
                if not (gone[a] or gone[b]):
                    break
            gone[a] = gone[b] = 1
            sizes[new] = sizes[a] + sizes[b]
            boxes[new, :2] = np.minimum(boxes[a, :2], boxes[b, :2])
            boxes[new, 2:] = np.maximum(boxes[a, 2:], boxes[b, 2:])
            for table in tables:
                table[new] = (sizes[a] * table[a] + sizes[b] * table[b]) / sizes[new]
            near = (neighbours[a] | neighbours[b]) - {a, b}
            neighbours.append(near)
            others = np.array(sorted(near), dtype=np.int64)
            for value, other in zip(similarities(new, others).tolist(), others.tolist(), strict=True):
                neighbours[other] -= {a, b}
                neighbours[other].add(new)
                heapq.heappush(queue, (-value, other, new))
        return boxes[::-1].astype(np.int32)


def _bounding_boxes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Box around each segment, int64 (count, 4) xyxy, half open."""
    rows, columns = np.indices(labels.shape)
    flat = labels.ravel()
    boxes = np.zeros((count, 4), dtype=np.int64)
    for axis, places in enumerate((columns, rows)):
        low = np.full(count, max(labels.shape))
        np.minimum.at(low, flat, places.ravel())
        np.maximum.at(boxes[:, axis + 2], flat, places.ravel() + 1)
        boxes[:, axis] = low
    return boxes


def _adjacent(labels: NDArray[np.int32]) -> list[set[int]]:
    """Segments that touch each segment, corners included."""
    pairs = [
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    ]
    count = int(labels.max()) + 1
    codes = np.concatenate([(a.astype(np.int64) * count + b)[a != b] for a, b in pairs])
    near: list[set[int]] = [set() for _ in range(count)]
    for code in np.unique(codes).tolist():
        one, other = divmod(code, count)
        near[one].add(other)
        near[other].add(one)
    return near
