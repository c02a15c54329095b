"""Checks before the first stage whether a run can explain the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from visual_summaries.clustering.descriptors.choose import deep_encoder
from visual_summaries.clustering.options import count_neighbours
from visual_summaries.masks.attribution.names import METHODS
from visual_summaries.masks.attribution.registry import check_network
from visual_summaries.masks.attribution.unsuitable import UnsuitableNetworkError
from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.folders import list_images
from visual_summaries.masks.inputs.reading import read_image
from visual_summaries.masks.networks.activations import is_script
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.examine import examine
from visual_summaries.masks.networks.layers import feature_layers
from visual_summaries.summaries.progress import say
from visual_summaries.summaries.settings import Settings


def examine_network(folder: Path, classifier: Classifier, settings: Settings, *, makes_masks: bool) -> list[str]:
    """Checks the network on the first images of a class folder, and reports what is converted or not used.

    Args:
        folder: Images of one class. If none can be read, nothing is checked, and the stage of images reports why.
        classifier: Entered.
        settings: How masks are made, how parts are described, and which pairs are matched.
        makes_masks: Whether masks are made here, not elsewhere.

    Returns:
        The reported lines, for the record.

    Raises:
        UserError: If the network cannot be explained, or does not have what a setting needs.
    """
    frames = first_frames(folder, classifier)
    if not frames:
        return list(classifier.notes)
    notes = examine(classifier, frames, gradients=makes_masks and settings.attribution.gradients)
    if makes_masks:
        check_attribution(classifier, settings.attribution.method)
    if not feature_layers(classifier):
        if count_neighbours(settings.similarity.pairs) is not None:
            raise UserError("the network puts out no feature map to find an image's nearest by: give `pairs` all")
        if settings.appearance.descriptor != "hog" and any(map(is_script, classifier.network.modules())):
            notes.append("TorchScript shows no feature map of the network: HOG describes parts")
    deep_encoder(classifier, settings.appearance)
    for note in notes:
        say(f"model: {note}")
    return notes


def check_attribution(classifier: Classifier, method: str) -> None:
    """Checks that an attribution works on a network.

    Args:
        classifier: Entered or not.
        method: Name of the attribution.

    Raises:
        UserError: If it does not work.
    """
    try:
        with classifier:
            check_network(method, classifier)
    except UnsuitableNetworkError as error:
        others = ", ".join(name for name in METHODS if name != method)
        raise UserError(
            f"`attribution` {method} does not work on this network: {error}; give another one ({others})"
        ) from None


def first_frames(folder: Path, classifier: Classifier, count: int = 2) -> list[npt.NDArray[np.uint8]]:
    """The frames (H, W, 3) of the first images of a class folder that can be read, ``count`` at most."""
    frames: list[npt.NDArray[np.uint8]] = []
    for file in list_images(folder):
        if len(frames) == count:
            break
        try:
            photograph = read_image(file.path)
        except UnusableImageError:
            continue  # the images stage records why
        frames.append(classifier.frame.cut(photograph.pixels, size=photograph.size))
    return frames
