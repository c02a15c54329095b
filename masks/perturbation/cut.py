"""Masks of a given area: a field cut at a quantile, and cleaned as the binary mask will be."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.schedule import BinaryOptions, Stage

_CLEAN_FROM = 10  # pass from which a cut mask is cleaned: before, the outline of the field is not settled


def cut(fields: Tensor, area: float, stage: Stage, step: int, cleaning: BinaryOptions) -> Tensor:
    """Masks (N, 1, H, W) of a given area.

    A field f is cut at the quantile that leaves the area a,

        m = sigmoid( k (f - q) / std(f) ),    q = the (1 - a)-quantile of f

    with a sharpness k that rises from pass to pass. Only the order of the field's values matters, and no mask can
    collapse. Then the mask is cleaned as the binary mask will be, so that no class is removed by specks alone.

    Args:
        fields: (N, 1, H, W).
        area: The area a, as a fraction of the frame.
        stage: Its sharpness and ramp are used.
        step: Number of the pass.
        cleaning: How the binary mask will be cleaned.
    """
    low, high = stage.sharpness
    sharpness = low * (high / low) ** min(1.0, step / max(stage.ramp, 1))
    # the field is smooth: every fourth row and column is enough for its quantiles
    values = fields.detach()[:, 0, ::4, ::4].flatten(1).sort(dim=1, descending=True).values
    edge = values[:, min(int(area * values.shape[1]), values.shape[1] - 1)][:, None, None, None]
    spread = values.std(dim=1)[:, None, None, None].clamp_min(1e-6)
    masks = torch.sigmoid(sharpness * (fields - edge) / spread)
    if step < _CLEAN_FROM:
        return masks
    clean = cleaned(masks, cleaning)
    return torch.where(clean == (masks.detach() > 0.5), masks, clean.to(masks.dtype))


def final_masks(fields: Tensor, stage: Stage, cleaning: BinaryOptions) -> Tensor:
    """The masks (N, 1, H, W) that fields (N, 1, H, W) become at the end of a stage.

    Args:
        fields: (N, 1, H, W).
        stage: Its area, sharpness and ramp are used.
        cleaning: How the binary mask will be cleaned.
    """
    return cut(fields, stage.area, stage, max(stage.ramp, _CLEAN_FROM), cleaning) if stage.area else fields


def cleaned(masks: Tensor, cleaning: BinaryOptions) -> Tensor:
    """The binary masks, bool (N, 1, H, W), of float masks (N, 1, H, W).

    Examples:
        >>> mask = torch.zeros(1, 1, 20, 20)
        >>> mask[..., 2:12, 2:12], mask[..., 18, 18] = 0.9, 0.9
        >>> int(cleaned(mask, BinaryOptions()).sum())  # without the speck
        100
    """
    raw = masks.detach()[:, 0].float().cpu().numpy()
    return torch.from_numpy(np.stack([binarize(mask, cleaning) for mask in raw])).to(masks.device)[:, None]
