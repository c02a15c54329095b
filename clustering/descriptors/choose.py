"""Chooses the descriptor of boxes: features of the network, or whitened HOG.

The paper describes boxes by HOG. The features of a network that was trained on photographs match parts better: on
PF-WILLOW they transfer 0.66 to 0.78 of the keypoints correctly, HOG 0.52 to 0.62 (`visual-summaries evaluate
matching`), and a person can name the resulting summaries of photographs. The networks of the embedded world are too
small for that: over all classes, summaries by their features had a purity of 0.69 and a recall of 0.82, by HOG 0.84 and
0.82 with the same options, and both descriptors together were not better than HOG. So the number of channels decides.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from visual_summaries.clustering.descriptors.deep import DeepEncoder
from visual_summaries.clustering.options import AppearanceOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import feature_layers

_log = logging.getLogger(__name__)


def deep_encoder(classifier: Classifier, options: AppearanceOptions) -> DeepEncoder | None:
    """The encoder of boxes by the network; None for HOG.

    Args:
        classifier: Inside its context while the encoder is used.
        options: Which descriptor is wanted.

    Raises:
        UserError: If deep descriptors are wanted and the network has no feature map that can be used.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     chosen = [deep_encoder(classifier, AppearanceOptions(descriptor=name)) for name in ("auto", "deep")]
        >>> [encoder is None for encoder in chosen]  # the network is small: HOG unless features are asked for
        [True, False]
    """
    if options.descriptor == "hog":
        return None
    if not feature_layers(classifier):
        if options.descriptor == "deep":
            raise UserError("no feature map of the network can describe parts: set appearance.descriptor to hog")
        return None
    try:
        encoder = DeepEncoder(classifier, options.deep)
        encoder.maps(np.full((*classifier.frame.size, 3), 128, np.uint8))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a network may raise any error when its layers are recorded
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        if options.descriptor == "deep":
            raise UserError(
                f"the network's feature maps cannot be used ({reason}): set appearance.descriptor to hog"
            ) from error
        _log.warning("the network's feature maps cannot be used (%s): HOG describes parts", reason)
        return None
    return encoder if options.descriptor == "deep" or encoder.channels >= options.min_channels else None
