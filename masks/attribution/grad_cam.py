"""Grad-CAM, by captum.

R. R. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.

With A_k the channels of the last feature map, z_c the logit of the class and Z the number of places u of the map,

    alpha_k = 1 / Z sum_u dz_c / dA_k(u),    relevance(u) = sum_k alpha_k A_k(u)

enlarged to the input by linear interpolation. The paper keeps positive values only. Here negative values stay, so that
all pixels have an order.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from visual_summaries.masks.attribution.options import GradCamOptions
from visual_summaries.masks.attribution.unsuitable import UnsuitableNetworkError
from visual_summaries.masks.attribution.upsampling import upsampled
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.gradients import with_gradients
from visual_summaries.masks.networks.layers import feature_layers


@with_gradients
def grad_cam(
    classifier: Classifier,
    inputs: Tensor,
    targets: Tensor,
    options: GradCamOptions | None = None,
    *,
    seed: int = 0,
) -> Tensor:
    """The relevance (N, 1, *S) of Grad-CAM on the network's last feature map.

    Args:
        classifier: The network, inside its ``with`` block.
        inputs: (N, 3, *S) in [0, 1], S of any rank.
        targets: (N,) class indices.
        options: Not used: the method has no hyperparameters.
        seed: Not used: nothing is random.

    Raises:
        UnsuitableNetworkError: If the network has no feature map of the layout (N, C, *s), as transformers have none.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> import torch
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     found = grad_cam(classifier, classifier.empty(2), torch.tensor([0, 1]))
        >>> found.shape[:2], found.shape[2:] == classifier.frame.size
        (torch.Size([2, 1]), True)
    """
    from captum.attr import LayerGradCam

    layers = feature_layers(classifier)
    if not layers:
        raise UnsuitableNetworkError("the network has no feature map")
    last = layers[-1]
    method = LayerGradCam(classifier.logits, classifier.network.get_submodule(last.name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's: it lets the inputs have a gradient
        found = method.attribute(inputs.clone(), target=targets)
    if not isinstance(found, Tensor) or found.shape != (len(inputs), 1, *last.size):
        raise UnsuitableNetworkError(f"its last feature map, {last.name!r}, is not laid out as (N, C, *s)")
    return upsampled(found.detach(), inputs.shape[2:])
