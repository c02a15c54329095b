"""What a network that took no part in a run makes of its parts: a vector for the crop of each.

A crop is what lies in a part's box, resized to the network's frame; its vector is what enters the network's last
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
"""Crops that go through the network at once."""


@dataclass(frozen=True)
class Third:
    """The encoder, or why there is none.

    Attributes:
        classifier: The network; None where it is skipped.
        reason: Why it is skipped; empty otherwise.
    """

    classifier: Classifier | None
    reason: str = ""


def third_encoder(run: Run, spec: str | None, device: torch.device) -> Third:
    """A network that took no part in a run.

    Args:
        run: The run.
        spec: As of ``--model``; without it lite0, or lite1 where the run is lite0's own.
        device: Where it will run.

    Returns:
        The network; where none is named and the weights of neither are at hand, the reason.

    Raises:
        UserError: A network that is named cannot be had, or is the one that the run explains.
    """
    name = spec or ("lite1" if run.info["model"]["spec"] == "lite0" else "lite0")
    try:
        classifier = load_classifier(name, device=device)
    except UserError as error:
        if spec is None:
            return Third(None, str(error))
        raise
    if classifier.fingerprint() == run.info["model"]["fingerprint"]:
        raise UserError(f"`encoder` {name} is the network that {run.path} explains: name another one")
    return Third(classifier)


def crop_vectors(run: Run, classifier: Classifier, tick: Tick) -> NDArray[np.float32]:
    """Vectors (P, D) of the crops of a run's parts.

    Args:
        run: The run.
        classifier: The encoder, inside its context.
        tick: Called with the number of crops done and of all.

    Raises:
        UserError: The network has no linear layer.
    """
    linear = linear_layers(classifier)
    if not linear:
        raise UserError(f"{classifier.spec} has no linear layer whose input could describe a crop: name another one")
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
    """What lies in a box, resized: uint8 RGB (*size, 3).

    Args:
        frame: uint8 RGB (H, W, 3).
        box: xyxy in pixels of the frame; rounded to whole ones.
        size: (H, W) wanted.

    Raises:
        UserError: Nothing of the frame lies in the box.
    """
    x0, y0, x1, y1 = (max(0, round(side)) for side in box)
    inside = np.ascontiguousarray(frame[y0:y1, x0:x1])
    if not inside.size:
        raise UserError(f"the box {box} holds nothing of a frame of {frame.shape[1]}x{frame.shape[0]} pixels")
    smaller = inside.shape[0] > size[0] or inside.shape[1] > size[1]
    resized = cv2.resize(inside, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
