"""Extremal perturbations, in their deletion game.

R. Fong, M. Patrick, A. Vedaldi, Understanding Deep Networks via Extremal Perturbations and Smooth Masks, ICCV 2019.

Of all smooth masks m of a given area a, the one whose perturbation lowers the class most:

    min_g  log odds p_c(Phi(x; m)) + lambda mean( (sort(m) - r_a)^2 ),
    m(u) = smax_v k(u - v) g(v),    smax(z) = sum z exp(z / T) / sum exp(z / T)

r_a is the vector with a share 1 - a of zeros, then ones: the sorted mask is pulled towards it, which fixes the area and
makes the mask nearly binary. The kernel k and the smooth maximum smax over the cells v of a grid g make m smooth. By
default, the paper maximises the score of the class in what is kept; here what is relevant is perturbed, as in the masks
of ``masks.perturbation``.

This is our code and not a library's: the authors' TorchRay is no longer maintained and its licence excludes commercial
use, and captum has no extremal perturbations.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.attribution.options import ExtremalOptions
from visual_summaries.masks.attribution.upsampling import upsampled
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.networks.gradients import gradient_of, with_gradients
from visual_summaries.masks.perturbation.objective import log_odds
from visual_summaries.masks.perturbation.perturb import parse_perturbation


@with_gradients
def extremal(
    classifier: Classifier,
    inputs: Tensor,
    targets: Tensor,
    options: ExtremalOptions | None = None,
    *,
    seed: int = 0,
    areas: Tensor | None = None,
) -> Tensor:
    """The extremal perturbations m (N, 1, H, W) in [0, 1].

    Args:
        classifier: The network, inside its ``with`` block.
        inputs: (N, 3, H, W) in [0, 1]; images only.
        targets: (N,) class indices.
        options: Hyperparameters.
        seed: Not used: nothing is random.
        areas: (N,) in [0, 1], an area for each input; None for that of the options.

    Raises:
        ValueError: If the inputs are no images.
        UserError: If no gradient of the logits reaches the inputs, or logits are not finite.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     found = extremal(classifier, classifier.empty(1), torch.tensor([0]), ExtremalOptions(iterations=2))
        >>> found.shape[2:] == classifier.frame.size
        True
    """
    if inputs.ndim != 4:
        raise ValueError(f"inputs have the shape {tuple(inputs.shape)}: give images (N, 3, H, W)")
    options = options or ExtremalOptions()
    if areas is None:
        areas = torch.full((len(inputs),), options.area)
    fast = fused(classifier, inputs)
    prepared = parse_perturbation(options.perturbation).prepare(inputs)
    field = SmoothMax((inputs.shape[2], inputs.shape[3]), options, inputs)
    cells = inputs.new_full((len(inputs), 1, *field.grid), 0.5).requires_grad_()
    wanted = field.wanted(areas.to(inputs))
    optimizer = torch.optim.Adam([cells], lr=options.rate)
    low, high = options.weight
    for step in range(options.iterations):
        coarse = field.coarse(cells)
        odds = log_odds(fast.finite_logits(prepared(field.enlarged(coarse))), targets)
        weight = low * (high / low) ** (step / options.iterations)
        misfit = (coarse.flatten(1).sort(dim=1).values - wanted).square().mean(dim=1)
        cells.grad = gradient_of(odds + weight * misfit, cells)
        optimizer.step()
        with torch.no_grad():
            cells.clamp_(0, 1)
    with torch.no_grad():
        return field.enlarged(field.coarse(cells))


class SmoothMax:
    """From cells g (N, 1, h, w) to smooth masks: the smooth maximum of k(u - v) g(v) over the cells v near u.

    It is computed at two places a cell along each side, and bilinearly enlarged to the frame.

    Args:
        size: (H, W) of the frame.
        options: Hyperparameters.
        like: Gives type and device.
    """

    PLACES = 2

    def __init__(self, size: tuple[int, int], options: ExtremalOptions, like: Tensor) -> None:
        self.size = size
        self.temperature = options.temperature
        self.reach = options.reach
        self.grid = [max(1, round(options.grid * side / min(size))) for side in size]
        cells = torch.arange(-options.reach, options.reach + 1, dtype=torch.float64)
        within = (torch.arange(self.PLACES, dtype=torch.float64) + 0.5) / self.PLACES - 0.5
        away = (cells[None, :] - within[:, None]).square()  # (places, window)
        distance = (away[:, None, :, None] + away[None, :, None, :]).sqrt()  # (places, places, window, window)
        kernel = torch.exp(-(distance - 1).clamp_min(0).square() / 2)
        self.kernel = kernel.view(self.PLACES**2, -1, 1).to(like)  # (places^2, window^2, 1)

    def coarse(self, cells: Tensor) -> Tensor:
        """Masks (N, 1, 2 h, 2 w) of cells (N, 1, h, w)."""
        window = F.unfold(cells, 2 * self.reach + 1, padding=self.reach)  # (N, window^2, h w)
        z = self.kernel * window[:, None]  # (N, places^2, window^2, h w)
        smax = (z * torch.softmax(z / self.temperature, dim=2)).sum(dim=2)  # (N, places^2, h w)
        return F.pixel_shuffle(smax.view(len(cells), -1, *self.grid), self.PLACES)

    def enlarged(self, coarse: Tensor) -> Tensor:
        """Masks (N, 1, H, W) of masks at two places a cell."""
        return upsampled(coarse, self.size)

    def wanted(self, areas: Tensor) -> Tensor:
        """The sorted values (N, 4 h w) of masks of given areas (N,)."""
        count = self.PLACES**2 * self.grid[0] * self.grid[1]
        return (torch.arange(count, device=areas.device) >= (count * (1 - areas[:, None])).round()).to(areas)
