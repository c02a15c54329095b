"""The masks that an evaluation compares: those of the runs, of attribution methods, and of two controls.

    ====================  =====================================================================  ==================
    method                mask                                                                   order of pixels
    ====================  =====================================================================  ==================
    smooth                the float mask of the first stage                                      by value
    smooth_thresholded    its most salient pixels, as many as the crisp mask's mean              by depth
    crisp                 the float mask of the last stage                                       by value
    binary                the mask that becomes regions                                          by depth
    gradcam               the most salient pixels of Grad-CAM, as many as in the binary mask     by value
    rise                  likewise of RISE                                                       by value
    extremal              likewise of an extremal perturbation of that area                      by value
    random                control: the binary mask, mirrored or not, shifted cyclically          by depth
    disc                  control: a centred disc of that area                                   by depth
    ====================  =====================================================================  ==================

If the masks of a run are those of another attribution, smooth and crisp are its relevance, scaled to [0, 1].

The order is the one in which deletion and insertion change the pixels (see `masks.metrics.faithfulness.ranks`); by
depth means from the centre of a binary mask's regions outwards. The two controls are uninformed: apart from the area of
the binary mask, and for random its shape, they depend on neither the image nor the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visual_summaries.masks.attribution.controls import disc, moved
from visual_summaries.masks.attribution.extremal import extremal
from visual_summaries.masks.attribution.grad_cam import grad_cam
from visual_summaries.masks.attribution.rise import rise
from visual_summaries.masks.attribution.unsuitable import UnsuitableNetworkError
from visual_summaries.masks.metrics.faithfulness import most_salient
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.summaries.evaluation.mask_batches import Batch, generator_of

METHODS = ("smooth", "smooth_thresholded", "crisp", "binary", "gradcam", "rise", "extremal", "random", "disc")
"""In the order of the tables; the first four are the runs' own masks."""

OWN = METHODS[:4]

FloatMask = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MethodMasks:
    """The masks of one method for a batch.

    Attributes:
        masks: float32 (H, W) in [0, 1] of each image.
        saliency: (H, W) of each image; gives the order of pixels.
    """

    masks: list[FloatMask]
    saliency: list[npt.NDArray[Any]]


def _method_masks(masks: Sequence[npt.NDArray[Any]], saliency: Sequence[npt.NDArray[Any]] | None = None) -> MethodMasks:
    return MethodMasks([mask.astype(np.float32) for mask in masks], list(masks if saliency is None else saliency))


def own_masks(batch: Batch) -> dict[str, MethodMasks]:
    """The masks of the runs themselves, by method."""
    return {
        "smooth": _method_masks([m.smooth for m in batch.masks]),
        "smooth_thresholded": _method_masks(
            [most_salient(m.smooth, float(m.crisp.mean(dtype=np.float64))) for m in batch.masks]
        ),
        "crisp": _method_masks([m.crisp for m in batch.masks]),
        "binary": _method_masks([m.binary for m in batch.masks]),
    }


def other_masks(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    batch: Batch,
    seed: int,
    skipped: dict[str, str],
) -> dict[str, MethodMasks]:
    """The masks of attribution methods and controls, by method, each with the area of the binary mask.

    Args:
        classifier: Inside its context.
        images: (N, 3, H, W) in [0, 1], those of the batch.
        targets: int64 (N,).
        batch: The images with their own masks.
        seed: Of random masks.
        skipped: Receives the reason of each method that does not work on the network.
    """
    binary = [masks.binary for masks in batch.masks]
    areas = [float(mask.mean(dtype=np.float64)) for mask in binary]
    maps: dict[str, Tensor] = {}
    try:
        maps["gradcam"] = grad_cam(classifier, images, targets)
    except UnsuitableNetworkError as error:
        skipped["gradcam"] = str(error)
    maps["rise"] = rise(classifier, images, targets, seed=seed)
    maps["extremal"] = extremal(classifier, images, targets, areas=torch.tensor(areas))
    found = {}
    for method, tensor in maps.items():
        saliency = list(tensor[:, 0].cpu().numpy())
        masks = [most_salient(one, area) for one, area in zip(saliency, areas, strict=True)]
        found[method] = _method_masks(masks, saliency)
    found["random"] = _method_masks(
        [moved(mask, generator_of(seed, batch.run, row)) for mask, row in zip(binary, batch.rows, strict=True)]
    )
    size = classifier.frame.size
    found["disc"] = _method_masks([disc(size, area) for area in areas])
    return found
