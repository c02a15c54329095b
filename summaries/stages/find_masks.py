"""The masks of a batch of images: optimised, or the relevance of another attribution, cut at an area.

============  ======================================  ==============================================================
array         optimised masks (the default)           another attribution
============  ======================================  ==============================================================
smooth        the mask of the first stage             its relevance, shifted and scaled to [0, 1] for each image
crisp         the mask of the last stage              the same array
binary        crisp > 0.5, cleaned                    the most relevant pixels, as many as the area says, cleaned
history       the loss of each pass                   empty
============  ======================================  ==============================================================

Because the scale of a relevance is the method's own, its cut is by order and not at 0.5: binary is not crisp > 0.5.
An image whose relevance is the same everywhere has no order; its binary mask is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visual_summaries.masks.attribution.cut import cut, normalised
from visual_summaries.masks.attribution.registry import ATTRIBUTIONS
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.summaries.progress import say
from visual_summaries.summaries.settings import Settings


@dataclass(frozen=True)
class FoundMasks:
    """The masks of a batch of N images.

    Attributes:
        smooth: float16 (N, H, W) in [0, 1].
        crisp: float16 (N, H, W) in [0, 1].
        binary: bool (N, H, W).
        history: Loss of each pass of each image, N arrays float32 (passes,).
    """

    smooth: npt.NDArray[np.float16]
    crisp: npt.NDArray[np.float16]
    binary: npt.NDArray[np.bool_]
    history: list[npt.NDArray[np.float32]]


def find_masks(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    settings: Settings,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> FoundMasks:
    """Finds the masks of a batch, of half the images at a time if all do not fit into memory.

    Args:
        classifier: The network, inside its ``with`` block.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        settings: Which attribution is used, its options, and how binary masks are cleaned.
        seed: Of random choices.
        progress: Called with (passes done, passes in all) while masks are optimised.

    Raises:
        UserError: If the network does not allow it, or gives values that are not finite.
    """
    try:
        if settings.attribution.chosen is None:
            return _optimised(classifier, images, targets, settings, seed, progress)
        return _attributed(classifier, images, targets, settings, seed)
    except torch.OutOfMemoryError:
        if len(images) == 1:
            raise
    # outside the except block, because the error holds references to what did not fit
    return _in_halves(classifier, images, targets, settings, seed, progress)


def _optimised(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    settings: Settings,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> FoundMasks:
    found = optimize(
        classifier, images, targets, settings.masks, cleaning=settings.binary, seed=seed, progress=progress
    )
    smooth, crisp = (masks[:, 0].cpu().numpy().astype(np.float16) for masks in (found.smooth, found.crisp))
    binary = clean(crisp, settings)
    return FoundMasks(smooth, crisp, binary, [losses.numpy() for losses in found.history])


def _attributed(classifier: Classifier, images: Tensor, targets: Tensor, settings: Settings, seed: int) -> FoundMasks:
    options, method = settings.attribution.chosen, settings.attribution.method
    assert options is not None  # asked by the caller
    relevance = ATTRIBUTIONS[method](classifier, images, targets, options, seed=seed)[:, 0].cpu().numpy()
    if not np.isfinite(relevance).all():
        raise UserError(
            f"`attribution` {method} gives values that are not finite (NaN or infinite) on this network: give another"
        )
    shown = np.stack([normalised(one) for one in relevance]).astype(np.float16)
    binary = clean(np.stack([cut(one, options.area) for one in relevance]), settings)
    return FoundMasks(shown, shown, binary, [np.zeros(0, np.float32) for _ in relevance])


def clean(masks: npt.NDArray[np.float16] | npt.NDArray[np.bool_], settings: Settings) -> npt.NDArray[np.bool_]:
    """The binary masks (N, H, W) of masks (N, H, W) in [0, 1]."""
    return np.stack([binarize(mask.astype(np.float32), settings.binary) for mask in masks])


def _in_halves(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    settings: Settings,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> FoundMasks:
    """The same masks with less memory: images do not influence each other, and share their random choices."""
    half = len(images) // 2
    say(f"  {len(images)} images at once do not fit into memory: {half} and {len(images) - half} (option masks.batch)")
    if images.is_cuda:
        torch.cuda.empty_cache()
    first, second = (
        find_masks(classifier, images[rows], targets[rows], settings, seed=seed, progress=progress)
        for rows in (slice(half), slice(half, None))
    )
    return FoundMasks(
        np.concatenate([first.smooth, second.smooth]),
        np.concatenate([first.crisp, second.crisp]),
        np.concatenate([first.binary, second.binary]),
        first.history + second.history,
    )
