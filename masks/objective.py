r"""What a mask is optimised for (paper equation 2), one value an image.

    p_c(Phi(x; m)) + l1 mean|m| + tv mean(|dx|^beta + |dy|^beta) + sparsity mean(m (1 - m))

The paper prints sums over pixels; they are read as means, as its reference program does (with sums any mask would
cost more than the class is worth). Nothing is averaged over images: the values of a batch are summed by the
caller, so that images do not influence each other.

The default preset replaces p_c by a constraint, ``shortfall``: the probability has to fall below a share of what it
was, and only the area is minimised once it has.
"""

from __future__ import annotations

import torch
from torch import Tensor


def area(masks: Tensor) -> Tensor:
    """Mean of |m| over pixels, (N,), of masks (N, 1, H, W)."""
    return masks.abs().mean(dim=(1, 2, 3))


def total_variation(masks: Tensor, beta: float) -> Tensor:
    """Mean over pixels of |dx|^beta + |dy|^beta, (N,), of masks (N, 1, H, W).

    Differences are between neighbours; pixels without a right or lower neighbour add nothing in that direction.
    """
    pixels = masks[0].numel()
    dx = (masks[..., :, 1:] - masks[..., :, :-1]).abs().pow(beta).sum(dim=(1, 2, 3))
    dy = (masks[..., 1:, :] - masks[..., :-1, :]).abs().pow(beta).sum(dim=(1, 2, 3))
    return (dx + dy) / pixels


def greyness(masks: Tensor) -> Tensor:
    """Mean of m (1 - m) over pixels, (N,): 0 for a binary mask, at most 1/4."""
    return (masks * (1 - masks)).mean(dim=(1, 2, 3))


def shortfall(log_p: Tensor, log_p0: Tensor, drop: float) -> Tensor:
    """How far the class is from being lost, in log odds, (N,); 0 once p <= (1 - drop) p0.

    Log odds, not probabilities: their gradient does not vanish while the network is still sure of the class.

    Args:
        log_p: Log probability of the class in the perturbed image, (N,).
        log_p0: The same in the image itself, (N,).
        drop: The drop (p0 - p) / p0 that is asked for, in (0, 1).
    """
    goal = log_p0 + torch.log1p(torch.as_tensor(-drop, dtype=log_p0.dtype))
    return (_log_odds(log_p) - _log_odds(goal)).clamp_min(0)


def _log_odds(log_p: Tensor) -> Tensor:
    # log(1 - p) without cancellation; p = 1 is taken as the largest value below it
    return log_p - torch.log(-torch.expm1(log_p.clamp_max(-1e-7)))
