"""RISE, relevance from random masks.

V. Petsiuk, A. Das, K. Saenko, RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018.

Random masks M_i cover the input; a pixel is relevant where the class stays probable while the pixel is kept:

    relevance = 1 / (p M) sum_i p_c(x * M_i) M_i

with M masks, in each of which a cell is kept with probability p. A mask is a coarse grid of zeros and ones, enlarged by
linear interpolation and shifted at random. Only passes forward are needed. The masks have the rank of the input, so
that for a clip they cover space and time.

This is our code and not a library's: captum has no RISE, and the packages that have one are no longer maintained or
bring in another framework.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from visual_summaries.masks.attribution.options import RiseOptions
from visual_summaries.masks.attribution.upsampling import upsampled
from visual_summaries.masks.inputs.shape import per_colour
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused


def rise(
    classifier: Classifier, inputs: Tensor, targets: Tensor, options: RiseOptions | None = None, *, seed: int = 0
) -> Tensor:
    """The relevance (N, 1, *S) of RISE; all inputs are covered by the same masks.

    Args:
        classifier: The network, inside its ``with`` block.
        inputs: (N, 3, *S) in [0, 1], S of any rank.
        targets: (N,) class indices.
        options: Hyperparameters.
        seed: Of the masks.

    Raises:
        UserError: If logits are not finite.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     found = rise(classifier, classifier.empty(1), torch.tensor([0]), RiseOptions(masks=8))
        >>> found.shape[2:] == classifier.frame.size, bool(found.min() >= 0)
        (True, True)
    """
    options = options or RiseOptions()
    generator = torch.Generator().manual_seed(seed)
    fast = fused(classifier, inputs)
    # what is not kept becomes zero after normalisation, as in the paper
    empty = per_colour(classifier.normalisation.mean, inputs)
    total = torch.zeros_like(inputs[:, :1])
    at_once = max(1, options.batch // len(inputs))
    with torch.inference_mode():
        for start in range(0, options.masks, at_once):
            count = min(at_once, options.masks - start)
            kept = torch.cat([random_mask(inputs, options, generator) for _ in range(count)])  # (count, 1, *S)
            seen = torch.lerp(empty, inputs[:, None], kept[None]).flatten(0, 1)  # (N count, 3, *S)
            p = fast.log_probabilities(seen, targets.repeat_interleave(count)).exp().view(-1, count)
            total += torch.einsum("nk,kc...->nc...", p, kept)
    return total / (options.masks * options.kept)


def random_mask(like: Tensor, options: RiseOptions, generator: torch.Generator) -> Tensor:
    """One mask (1, 1, *S) in [0, 1]: a random grid, linearly enlarged, cut at a random place.

    Args:
        like: (N, C, *S); gives size, type and device.
        options: Cells a side, and the probability that one is kept.
        generator: Of the grid and the place.

    Examples:
        >>> mask = random_mask(torch.zeros(1, 3, 28, 28), RiseOptions(), torch.Generator().manual_seed(0))
        >>> mask.shape, bool(mask.min() >= 0), bool(mask.max() <= 1)
        (torch.Size([1, 1, 28, 28]), True, True)
    """
    sides = like.shape[2:]
    grid = (torch.rand(1, 1, *[options.cells] * len(sides), generator=generator) < options.kept).float()
    cell = [math.ceil(side / options.cells) for side in sides]
    large = upsampled(grid, [(options.cells + 1) * side for side in cell])
    starts = [int(torch.randint(0, side, (1,), generator=generator)) for side in cell]
    place = [slice(start, start + side) for start, side in zip(starts, sides, strict=True)]
    return large[:, :, *place].to(like)
