"""Features of a run's parts from an independent encoder: a network that was not used in the run.

The content of a part's box is cropped and resized to the network's frame; its vector is the input of the network's last
linear layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.activations import entering
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.layers import linear_layers
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Box

BATCH = 32
"""Crops in one forward pass."""


@dataclass(frozen=True)
class IndependentEncoder:
    """The encoder, or the reason why there is none.

    Attributes:
        classifier: The network; None if there is none.
        reason: Why there is none; empty otherwise.
    """

    classifier: Classifier | None
    reason: str = ""


def independent_encoder(run: Run, spec: str | None, device: torch.device) -> IndependentEncoder:
    """A network that was not used in a run.

    Args:
        run: The run.
        spec: As of ``--model``; if None, lite0, or lite1 for a run of lite0.
        device: Device of the network.

    Returns:
        The network; or the reason, if ``spec`` is None and the weights are not available.

    Raises:
        UserError: The network ``spec`` cannot be loaded, or is the network of the run.
    """
    name = spec or ("lite1" if run.info["model"]["spec"] == "lite0" else "lite0")
    try:
        classifier = load_classifier(name, device=device)
    except UserError as error:
        if spec is None:
            return IndependentEncoder(None, str(error))
        raise
    if classifier.fingerprint() == run.info["model"]["fingerprint"]:
        raise UserError(f"`encoder` {name} is the network of {run.path}: name another one")
    return IndependentEncoder(classifier)


def crop_vectors(run: Run, classifier: Classifier, tick: Tick) -> NDArray[np.float32]:
    """Vectors (P, D) of the crops of a run's parts.

    Args:
        run: The run.
        classifier: The encoder, inside its context.
        tick: Called with the number of crops done, and of all.

    Raises:
        UserError: The network has no linear layer.
    """
    linear = linear_layers(classifier)
    if not linear:
        raise UserError(
            f"{classifier.spec} has no linear layer at its end, so no features of crops: name another `encoder`"
        )
    width = classifier.network.get_submodule(linear[-1]).in_features
    vectors = [np.zeros((0, int(width)), np.float32)]  # type: ignore[arg-type]
    with entering(classifier.network, linear[-1]) as entered, torch.inference_mode():
        for start in range(0, len(run.parts), BATCH):
            batch = run.parts[start : start + BATCH]
            frames = {image: run.frame(image) for image in {part.image for part in batch}}
            crops = [crop(frames[part.image], part.box, classifier.frame.size) for part in batch]
            classifier.logits(classifier.to_tensor(crops))
            found = entered.pop().float().cpu().numpy()
            if not np.isfinite(found).all():
                raise UserError(f"{classifier.spec} gives values that are not finite for parts of {run.path}")
            vectors.append(found)
            tick(start + len(batch), len(run.parts))
    return np.concatenate(vectors)


def crop(frame: NDArray[np.uint8], box: Box, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The content of a box, resized: uint8 RGB (*size, 3).

    Args:
        frame: uint8 RGB (H, W, 3).
        box: xyxy in pixels of the frame; rounded to whole ones.
        size: (H, W) of the result.

    Raises:
        UserError: The box does not overlap the frame.

    Examples:
        >>> crop(np.zeros((20, 30, 3), np.uint8), (10, 5, 20, 15), (8, 8)).shape
        (8, 8, 3)
    """
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    inside = np.ascontiguousarray(frame[y0:y1, x0:x1])
    if not inside.size:
        raise UserError(f"the box {box} does not overlap the frame of {frame.shape[1]}x{frame.shape[0]} pixels")
    smaller = inside.shape[0] > size[0] or inside.shape[1] > size[1]
    resized = cv2.resize(inside, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
