"""What perturbing an image's mask does to the class (paper section 4.1, table 2).

    drop = (p0 - p) / p0

with p0 the probability of the class in the image, p in the perturbed image. The paper reports the drop of the
float mask; the mask that becomes regions is the binarised one, so the drop is reported for both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from masks.classifier import Classifier
from masks.perturb import Perturbation, blend


def probabilities(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None = None,
    perturbation: Perturbation | None = None,
) -> Tensor:
    """The probability (N,) float64 of the class, in the images or in the images perturbed by masks.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        masks: (N, 1, H, W) in [0, 1], or None for the images themselves.
        perturbation: What takes the place of perturbed pixels; needed with masks.
    """
    with torch.inference_mode():
        if masks is not None and perturbation is not None:
            images = blend(images, perturbation.background(images), masks)
        return classifier.log_probabilities(images, targets).double().exp().cpu()


def drop(p0: Tensor, p: Tensor) -> Tensor:
    """(p0 - p) / p0, elementwise."""
    return (p0 - p) / p0
