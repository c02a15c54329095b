"""Which pairs of images are matched: all of them, or each image with its nearest by the network's features.

The time of matching all pairs grows with the square of the number of images. "knn:K" matches each image with its K
nearest images. Images are compared by the cosine of the network's features: the mean of the last feature map over its
positions, in most networks the input of the last linear layer. A pair is matched if one of the two images is among the
nearest of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.activations import record
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import feature_layers

_BATCH = 16


def encode(classifier: Classifier, frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Encodes images by the network.

    Args:
        classifier: Inside its context: frozen, on its device.
        frames: uint8 RGB (H, W, 3) each, of the classifier's frame.

    Returns:
        float32 (N, C), the mean of the last feature map over its positions.

    Raises:
        UserError: If the network has no feature map.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     encodings = encode(classifier, np.zeros((3, *classifier.frame.size, 3), np.uint8))
        >>> len(encodings), encodings.ndim
        (3, 2)
    """
    layers = feature_layers(classifier)
    if not layers:
        raise UserError("the network puts out no feature map to find an image's nearest by: give `pairs` all")
    last, encodings = layers[-1], []
    at_once = 1 if classifier.reading.one_by_one else _BATCH  # maps are those of the last call
    frames = iter(frames)
    with torch.inference_mode(), record(classifier, [last.name]) as maps:
        while batch := list(islice(frames, at_once)):
            classifier.logits(classifier.to_tensor(batch))
            encodings.append(maps[last.name].float().mean(dim=(2, 3)).cpu().numpy())
    return np.concatenate(encodings) if encodings else np.zeros((0, last.channels), np.float32)


def nearest_pairs(encodings: NDArray[np.floating], neighbours: int) -> NDArray[np.int64]:
    """Pairs of images, one of which is among the nearest of the other.

    Args:
        encodings: (N, C), one row per image.
        neighbours: Nearest images of each image, >= 1; if there are fewer other images, all of them.

    Returns:
        int64 (n, 2), one < other, in rising order.

    Examples:
        >>> encodings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> nearest_pairs(encodings, 1).tolist()
        [[0, 1], [2, 3]]
    """
    images = len(encodings)
    if images < 2:
        return np.zeros((0, 2), dtype=np.int64)
    search = NearestNeighbors(n_neighbors=min(neighbours, images - 1), metric="cosine", algorithm="brute")
    with threadpool_limits(limits=1):  # sums must not depend on the number of threads
        nearest = search.fit(encodings.astype(np.float64)).kneighbors(return_distance=False)  # (N, neighbours)
    one = np.repeat(np.arange(images), nearest.shape[1])
    pairs = np.sort(np.stack([one, nearest.ravel()], axis=1), axis=1)
    return np.unique(pairs, axis=0).astype(np.int64)


def all_pairs(images: int) -> NDArray[np.int64]:
    """All pairs of images.

    Args:
        images: Number of images.

    Returns:
        int64 (n, 2), one < other, in rising order.

    Examples:
        >>> all_pairs(3).tolist()
        [[0, 1], [0, 2], [1, 2]]
    """
    return np.stack(np.triu_indices(images, 1), axis=1).astype(np.int64)


def adjacency(pairs: NDArray[np.int64], inputs: int) -> csr_array:
    """Which of N inputs were matched with which, int8 (N, N), symmetric.

    Args:
        pairs: int64 (n, 2), indices of inputs, one < other.
        inputs: N.

    Examples:
        >>> adjacency(np.array([[0, 2]]), 3).toarray().tolist()
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    """
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return csr_array((np.ones(len(both), np.int8), (both[:, 0], both[:, 1])), shape=(inputs, inputs))
