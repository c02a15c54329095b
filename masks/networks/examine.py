"""Checks a network on two real inputs before any work.

Entering a classifier has found out how its network is called (see `masks.networks.probe`). What only real inputs show
is checked here, in less time than one pass of the mask stage over a batch: weights and logits are finite, the same
input gives the same logits twice, a gradient reaches the input, there are as many class names as logits. It also tries
whether batch norms can be fused.
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
from visual_summaries.masks.networks.probe import RANDOM, same_input, weight_not_finite


def examine(classifier: Classifier, arrays: Sequence[npt.NDArray[np.uint8]], *, gradients: bool = True) -> list[str]:
    """Checks a network on inputs like those that it will be used for.

    Args:
        classifier: Entered.
        arrays: uint8 (*S, 3), one or two inputs of the classifier's size; of one alone the mirror image is taken as
            well.
        gradients: Whether a gradient is needed.

    Returns:
        A plain sentence for each conversion, and for each step that will not be done.

    Raises:
        UserError: If a check fails; it says what to do.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> classifier = load_classifier("demo:1", weights="none")
        >>> frame = np.random.default_rng(0).integers(0, 256, (*classifier.frame.size, 3), np.uint8)
        >>> with classifier:
        ...     examine(classifier, [frame])  # nothing is converted, and all steps can be done
        []
    """
    first, second = arrays[0], arrays[1] if len(arrays) > 1 else np.ascontiguousarray(arrays[0][..., ::-1, :])
    notes = list(classifier.notes)
    name = weight_not_finite(classifier.network)
    if name:
        raise UserError(f"the network's weight {name} is not finite (NaN or infinite): load other weights")
    with torch.inference_mode(False), torch.set_grad_enabled(gradients):
        inputs = classifier.to_tensor([first, second, first]).requires_grad_(gradients)
        logits = classifier.finite_logits(inputs)
        count = logits.shape[1]
        if classifier.labels and len(classifier.labels) != count:
            raise UserError(
                f"the network gives {count} logits, but {len(classifier.labels)} class names are known: give a list "
                "with one name a logit, in their order"
            )
        if not same_input(classifier.network, logits[0].detach(), logits[2].detach()):
            raise UserError(RANDOM)
        if gradients:
            _check_gradient(logits, inputs)
    reason = try_to_fuse(classifier, inputs.detach())[1]
    if reason:
        notes.append(reason)
    return notes


def _check_gradient(logits: Tensor, inputs: Tensor) -> None:
    """Raises an error for logits (N, C) whose gradient with respect to the inputs is zero or not finite."""
    # a different weight for each logit: a plain sum of probabilities, for example, is constant
    weights = torch.linspace(-1, 1, logits.shape[1], device=logits.device).to(logits)
    gradient = gradient_of((logits * weights).sum(1), inputs)
    if not bool((gradient != 0).any()):
        raise UserError(
            "the gradient of the network's logits is zero everywhere on two inputs: check that its weights are "
            "loaded, and that its forward has no rounding or arg max in it"
        )
    if not bool(torch.isfinite(gradient).all()):
        raise UserError("the gradient of the network's logits is not finite (NaN or infinite) on an input")
