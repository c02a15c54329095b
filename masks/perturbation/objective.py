r"""The objective of a mask (paper equation 2), one value for each image.

    p_c(Phi(x; m)) + l1 mean|m| + tv mean(|dx|^beta + |dy|^beta) + sparsity mean(m (1 - m))

The paper prints sums over pixels. They are means here, as in its reference program: with sums the weights of any mask
would exceed the probability of the class. Nothing is averaged over images: the caller sums the values of a batch, so
that images do not influence each other.

The crisp stage of the default preset minimises ``log_odds`` of the class instead, for a given area (see
`masks.perturbation.optimize`).

If the logits of a network are multiplied by a large factor, its probabilities become 0 or 1 nearly everywhere. Then
they have no gradient, the smooth mask vanishes, and the class counts as lost after the first passes. So the default
preset divides the logits z of an image by a temperature T, in the objective and in the stop rule. T is computed from
the unperturbed image:

    T = 1 where lead <= 25, else lead / 12,    lead = z_best - mean of the other z

A factor on the logits multiplies the lead and cancels in z / T. (The log odds of a class cannot replace the lead: two
classes may be nearly equal in an image, whatever the factor.) By Jensen's inequality no class has log odds above
lead - log(C - 1), with C the number of classes.

25 is above all leads that were measured, so such networks keep T = 1 and exactly the same masks; 12 is a usual lead.
Measured: 5 to 16 (median 9) for EfficientNet-Lite0 and -Lite2 on 281 photographs; 2 to 23.5 for the embedded world's
networks on 480 of its pictures (median of ``demo``: 12). Mean overlap (IoU) of binary masks, on 8 photographs and 16
pictures of the embedded world:

    =====================================  ===========  ===========  ==========  ==========
    masks that are compared                lite0, no T  lite0, with  demo, no T  demo, with
    =====================================  ===========  ===========  ==========  ==========
    logits as they are, and times 10       0.36         0.53         0.43        0.58
    logits as they are, and times 50       0.31         0.50         0.37        0.58
    logits times 10, and times 50          0.38         0.68         0.41        0.81
    the same with 1e-7 on the pixels       0.60         0.60         0.77        0.77
    =====================================  ===========  ===========  ==========  ==========

The last row shows the effect of rounding alone over many passes. T = lead / 24 would be nearly continuous at the
limit, but masks of factors 1 and 10 then overlap by 0.41 (lite0) and 0.50 (demo) only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ORDINARY = 25.0
"""Largest lead of logits whose temperature is 1."""

USUAL = 12.0
"""The lead after division by the temperature, where that is not 1."""


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


def log_p(logits: Tensor, targets: Tensor) -> Tensor:
    """Log probability of one class an image, (N,), from logits (N, C) and class indices (N,).

    Examples:
        >>> log_p(torch.tensor([[0.0, 0.0]]), torch.tensor([1])).exp()
        tensor([0.5000])
    """
    return logits.log_softmax(1).gather(1, targets[:, None])[:, 0]


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


def temperatures(logits: Tensor) -> Tensor:
    """The temperature of each image, (N,) >= 1, from the logits (N, C >= 2) of the unperturbed images.

    1 if the best logit leads the mean of the others by at most `ORDINARY`, else such that it leads by `USUAL`.

    Examples:
        >>> temperatures(torch.tensor([[5.0, -1.0, 1.0], [50.0, -10.0, 10.0]]))  # they lead by 5 and by 50
        tensor([1.0000, 4.1667])
    """
    best = logits.amax(dim=1)
    lead = best - (logits.sum(dim=1) - best) / (logits.shape[1] - 1)
    return torch.where(lead > ORDINARY, lead / USUAL, 1)
