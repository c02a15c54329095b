r"""What a mask is optimised for (paper equation 2), one value an image.

    p_c(Phi(x; m)) + l1 mean|m| + tv mean(|dx|^beta + |dy|^beta) + sparsity mean(m (1 - m))

The paper prints sums over pixels; they are read as means, as its reference program does (with sums any mask would
cost more than the class is worth). Nothing is averaged over images: the values of a batch are summed by the
caller, so that images do not influence each other.

The constrained stage of the default preset minimises ``log_odds`` of the class for a given area instead (see
``masks/optimize.py``).
"""

from __future__ import annotations

import math

from torch import Tensor


def area(masks: Tensor) -> Tensor:
    """Mean of |m| over pixels, (N,), of masks (N, 1, H, W).

    Examples:
        >>> import torch
        >>> area(torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]))
        tensor([0.2500])
    """
    return masks.abs().mean(dim=(1, 2, 3))


def total_variation(masks: Tensor, beta: float) -> Tensor:
    """Mean over pixels of |dx|^beta + |dy|^beta, (N,), of masks (N, 1, H, W).

    Differences are between neighbours; pixels without a right or lower neighbour add nothing in that direction.

    Examples:
        >>> import torch
        >>> step = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])  # two differences of 1 along x
        >>> total_variation(step, beta=3)
        tensor([0.5000])
    """
    pixels = masks[0].numel()
    dx = (masks[..., :, 1:] - masks[..., :, :-1]).abs().pow(beta).sum(dim=(1, 2, 3))
    dy = (masks[..., 1:, :] - masks[..., :-1, :]).abs().pow(beta).sum(dim=(1, 2, 3))
    return (dx + dy) / pixels


def greyness(masks: Tensor) -> Tensor:
    """Mean of m (1 - m) over pixels, (N,): 0 for a binary mask, at most 1/4.

    Examples:
        >>> import torch
        >>> greyness(torch.tensor([[[[0.0, 1.0]]], [[[0.5, 0.5]]]]))
        tensor([0.0000, 0.2500])
    """
    return (masks * (1 - masks)).mean(dim=(1, 2, 3))


def log_odds(logits: Tensor, targets: Tensor) -> Tensor:
    """Log odds log p - log(1 - p) of one class an image, (N,), from logits (N, C >= 2) and class indices (N,).

    They are z_c - log sum exp z_k over the other classes k. Their gradient never vanishes, however sure the network is
    (that of log p - log(1 - p) computed from p does, where p rounds to 1).

    Examples:
        >>> import torch
        >>> log_odds(torch.tensor([[2.0, -1.0]]), torch.tensor([0]))  # with two classes the difference of the logits
        tensor([3.])
    """
    chosen = targets[:, None]
    others = logits.scatter(1, chosen, -math.inf)
    return logits.gather(1, chosen)[:, 0] - others.logsumexp(1)
