"""A last look at a network before any work: two real frames, one of them twice.

Entering a classifier has found out how its network is asked (``masks/probe.py``). What only real pictures show is
checked here, at less than the time of one pass of the mask stage over a batch: that weights and logits are finite, that
the same picture gives the same twice, that a gradient reaches the input, that there are as many class names as logits,
and whether batch norms can be fused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import try_to_fuse
from visual_summaries.masks.networks.gradients import gradient_of
from visual_summaries.masks.networks.probe import RANDOM, same_picture, weight_not_finite


def examine(classifier: Classifier, frames: Sequence[npt.NDArray[np.uint8]], *, gradients: bool = True) -> list[str]:
    """Checks a network on frames that it will be asked about.

    Args:
        classifier: Entered.
        frames: uint8 (*S, 3), one or two inputs of the classifier's size; of one alone the mirror image is taken as
            well.
        gradients: Whether a gradient is needed.

    Returns:
        A plain sentence for each conversion, and for each thing that will not be done.

    Raises:
        UserError: If nothing that follows would make sense; it says what to do.
    """
    first, second = frames[0], frames[1] if len(frames) > 1 else np.ascontiguousarray(frames[0][..., ::-1, :])
    notes = list(classifier.notes)
    name = weight_not_finite(classifier.network)
    if name:
        raise UserError(f"the network's weight {name} is not finite (NaN or infinite): load other weights")
    with torch.inference_mode(False), torch.set_grad_enabled(gradients):
        images = classifier.to_tensor([first, second, first]).requires_grad_(gradients)
        logits = classifier.finite_logits(images)
        count = logits.shape[1]
        if classifier.labels and len(classifier.labels) != count:
            raise UserError(
                f"the network gives {count} logits, but {len(classifier.labels)} class names are known: give a list "
                "with one name a logit, in their order"
            )
        if not same_picture(classifier.network, logits[0].detach(), logits[2].detach()):
            raise UserError(RANDOM)
        if gradients:
            _check_gradient(logits, images)
    reason = try_to_fuse(classifier, images.detach())[1]
    if reason:
        notes.append(reason)
    return notes


def _check_gradient(logits: Tensor, images: Tensor) -> None:
    """Refuses logits (N, C) whose gradient with respect to the images is zero or not finite."""
    # a weight of its own for each logit: the sum of probabilities, for one, has no gradient
    weights = torch.linspace(-1, 1, logits.shape[1], device=logits.device).to(logits)
    gradient = gradient_of((logits * weights).sum(1), images)
    if not bool((gradient != 0).any()):
        raise UserError(
            "the gradient of the network's logits is zero everywhere on two pictures: check that its weights are "
            "loaded, and that its forward has no rounding or arg max in it"
        )
    if not bool(torch.isfinite(gradient).all()):
        raise UserError("the gradient of the network's logits is not finite (NaN or infinite) on a picture")
