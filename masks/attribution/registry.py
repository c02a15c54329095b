"""Attributions by name."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from visual_summaries.masks.attribution.extremal import extremal
from visual_summaries.masks.attribution.grad_cam import grad_cam
from visual_summaries.masks.attribution.names import METHODS
from visual_summaries.masks.attribution.rise import rise
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.gradients import gradient_of, with_gradients


class Attribution(Protocol):
    """Which places of inputs the network's answer depends on."""

    def __call__(
        self, classifier: Classifier, inputs: Tensor, targets: Tensor, options: Any = None, *, seed: int = 0
    ) -> Tensor:
        """The relevance float32 (N, 1, *S), higher is more relevant.

        Args:
            classifier: The network, inside its ``with`` block.
            inputs: (N, 3, *S) in [0, 1].
            targets: (N,) class indices.
            options: Options of the method; None for its defaults.
            seed: Of random choices; methods without any do not use it.

        Raises:
            UnsuitableNetworkError: If the method does not work on the network.
        """
        ...


ATTRIBUTIONS: dict[str, Attribution] = {"grad_cam": grad_cam, "rise": rise, "extremal": extremal}
"""All but the optimised mask. Options of the same name are fields of
:class:`masks.attribution.options.AttributionOptions`."""


@with_gradients
def check_network(name: str, classifier: Classifier) -> None:
    """Tries on an empty input what an attribution needs of a network: gradients, and for Grad-CAM a feature map.

    Args:
        name: Of the attribution, the optimised mask included.
        classifier: The network, inside its ``with`` block.

    Raises:
        UnsuitableNetworkError: If the attribution does not work on the network.
        UserError: If it needs gradients, and none reaches the input.
    """
    empty = classifier.empty(1)
    if METHODS[name].gradients:
        inputs = empty.clone().requires_grad_()
        gradient_of(classifier.logits(inputs).sum(1), inputs)
    if name == "grad_cam":
        grad_cam(classifier, empty, torch.zeros(1, dtype=torch.int64, device=empty.device))
