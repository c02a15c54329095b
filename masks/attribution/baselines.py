"""Other people's explanations, and masks that know nothing, at the area of a mask of ours.

Each gives a saliency map whose most salient pixels, as many as the mask of ours has, are its mask
(:func:`masks.metrics.faithfulness.most_salient`), or such a mask itself.

* Grad-CAM (Selvaraju et al., ICCV 2017), by captum, on the last layer whose output is a map of the image.
* RISE (Petsiuk, Das, Saenko, BMVC 2018): S = 1 / (p M) sum_i p_c(x * M_i) M_i, with M random masks M_i.
* An extremal perturbation of given area (Fong, Patrick, Vedaldi, ICCV 2019), in its deletion game:

      min_g  log odds p_c(Phi(x; m)) + lambda mean( (sort(m) - r_a)^2 ),
      m(u) = smax_v k(u - v) g(v),    smax(z) = sum z exp(z / T) / sum exp(z / T)

  with r_a the vector of a share 1 - a of zeros, then ones, and k a kernel that makes m smooth. The paper maximises
  the score of the class in what is kept, by default; we perturb what is salient, as our masks do.
* A mask of ours moved elsewhere, and a centred disc: what any mask of that area and shape would do.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.metrics.faithfulness import most_salient
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.gradients import gradient_of, with_gradients
from visual_summaries.masks.networks.layers import feature_layers
from visual_summaries.masks.options import Options, Range
from visual_summaries.masks.perturbation.objective import log_odds
from visual_summaries.masks.perturbation.perturb import Blur, Perturbation

Mask = npt.NDArray[np.bool_]


class UnsuitableNetworkError(ValueError):
    """A network that a method does not work on; the message is the reason that is recorded."""


@with_gradients
def grad_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM, (N, 1, H, W), bilinearly enlarged; not cut at zero, so that all pixels have an order.

    Args:
        classifier: The network, entered.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.

    Raises:
        UnsuitableNetworkError: If the network's last feature map is none that Grad-CAM takes, as in transformers.
    """
    from captum.attr import LayerGradCam

    layers = feature_layers(classifier)
    if not layers:
        raise UnsuitableNetworkError("the network has no feature map")
    last = layers[-1]
    method = LayerGradCam(classifier.logits, classifier.network.get_submodule(last.name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's: it lets the images have a gradient
        found = method.attribute(images.clone(), target=targets)
    if not isinstance(found, Tensor) or found.shape != (len(images), 1, *last.size):
        raise UnsuitableNetworkError(f"its last feature map, {last.name!r}, is not laid out as (N, C, h, w)")
    return F.interpolate(found.detach(), size=images.shape[2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class RiseOptions(Options):
    """Hyperparameters of RISE.

    Attributes:
        masks: Random masks, >= 1 (paper: 4,000 to 8,000; here 1,000, because each is a pass).
        cells: Cells a side of the grid that the masks are drawn on, >= 1 (paper: 7).
        kept: Probability that a cell is kept, in (0, 1) (paper: 0.5).
        batch: Images perturbed at once, >= 1.
    """

    masks: Annotated[int, Range(ge=1)] = 1000
    cells: Annotated[int, Range(ge=1)] = 7
    kept: Annotated[float, Range(gt=0, lt=1)] = 0.5
    batch: Annotated[int, Range(ge=1)] = 32


def rise(
    classifier: Classifier, images: Tensor, targets: Tensor, *, seed: int = 0, options: RiseOptions | None = None
) -> Tensor:
    """The saliency (N, 1, H, W) of RISE; all images meet the same masks.

    Args:
        classifier: The network, entered.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        seed: Of the masks.
        options: Hyperparameters.
    """
    options = options or RiseOptions()
    generator = torch.Generator().manual_seed(seed)
    # what is not kept becomes zero after normalisation, as in the paper
    empty = images.new_tensor(classifier.normalisation.mean).view(1, 3, 1, 1)
    total = torch.zeros_like(images[:, :1])
    at_once = max(1, options.batch // len(images))
    with torch.inference_mode():
        for start in range(0, options.masks, at_once):
            count = min(at_once, options.masks - start)
            kept = torch.cat([_rise_mask(images, options, generator) for _ in range(count)])  # (count, 1, H, W)
            seen = torch.lerp(empty, images[:, None], kept[None]).flatten(0, 1)
            p = classifier.log_probabilities(seen, targets.repeat_interleave(count)).exp().view(-1, count)
            total += torch.einsum("nk,kchw->nchw", p, kept)
    return total / (options.masks * options.kept)


def _rise_mask(images: Tensor, options: RiseOptions, generator: torch.Generator) -> Tensor:
    """One mask (1, 1, H, W) in [0, 1]: a random grid, bilinearly enlarged, cut at a random place."""
    cells, sides = options.cells, images.shape[2:]
    grid = (torch.rand(1, 1, cells, cells, generator=generator) < options.kept).float()
    cell = [math.ceil(side / cells) for side in sides]
    large = F.interpolate(grid, size=[(cells + 1) * side for side in cell], mode="bilinear", align_corners=False)
    top, left = (int(torch.randint(0, side, (1,), generator=generator)) for side in cell)
    return large[:, :, top : top + sides[0], left : left + sides[1]].to(images)


@dataclass(frozen=True)
class ExtremalOptions(Options):
    """Hyperparameters of the extremal perturbation.

    Attributes:
        iterations: Passes forward and backward, >= 1 (paper: 800 of SGD; here: 200 gave no larger drop).
        rate: Step of Adam, > 0 (here: of 0.02, 0.05, 0.1 and 0.2 the one of the largest drop).
        grid: Cells of g along the shorter side, >= 1 (here: 28, 8 pixels each in a frame of 224).
        reach: How far k reaches, in cells, >= 1; it is 1 up to one cell (here: 3, a distance of which it is 0.14).
        temperature: T of the smooth maximum, > 0 (paper: 1/20).
        weight: Lambda in the first and in the last pass, > 0, rising by the same factor each pass (paper: 300, doubled
            twice; with so much at the start Adam keeps whichever cells come first, at half the drop).
    """

    iterations: Annotated[int, Range(ge=1)] = 100
    rate: Annotated[float, Range(gt=0)] = 0.1
    grid: Annotated[int, Range(ge=1)] = 28
    reach: Annotated[int, Range(ge=1)] = 3
    temperature: Annotated[float, Range(gt=0)] = 0.05
    weight: tuple[Annotated[float, Range(gt=0)], Annotated[float, Range(gt=0)]] = (1.0, 3000.0)


@with_gradients
def extremal(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    areas: Tensor,
    *,
    perturbation: Perturbation | None = None,
    options: ExtremalOptions | None = None,
) -> Tensor:
    """The extremal perturbations m (N, 1, H, W) in [0, 1].

    Args:
        classifier: The network, entered.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        areas: (N,) in [0, 1], the share a of the frame.
        perturbation: What takes the place of perturbed pixels; None for a blur of sigma 10.
        options: Hyperparameters.
    """
    options = options or ExtremalOptions()
    prepared = (perturbation or Blur(10)).prepare(images)
    size = (images.shape[2], images.shape[3])
    field = SmoothMax(size, options, images)
    cells = images.new_full((len(images), 1, *field.grid), 0.5).requires_grad_()
    wanted = field.wanted(areas.to(images))
    optimizer = torch.optim.Adam([cells], lr=options.rate)
    low, high = options.weight
    for step in range(options.iterations):
        coarse = field.coarse(cells)
        odds = log_odds(classifier.finite_logits(prepared(field.enlarged(coarse))), targets)
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

    It is taken at two places a cell along each side, and bilinearly enlarged to the frame.

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
        return F.interpolate(coarse, size=self.size, mode="bilinear", align_corners=False)

    def wanted(self, areas: Tensor) -> Tensor:
        """The sorted values (N, 4 h w) of masks of given areas (N,)."""
        count = self.PLACES**2 * self.grid[0] * self.grid[1]
        return (torch.arange(count, device=areas.device) >= (count * (1 - areas[:, None])).round()).to(areas)


def moved(mask: Mask, rng: np.random.Generator) -> Mask:
    """A mask (H, W) of the same area and shape elsewhere: mirrored or not, then shifted cyclically."""
    mirrored = mask[:, ::-1] if rng.random() < 0.5 else mask
    shift = (int(rng.integers(mask.shape[0])), int(rng.integers(mask.shape[1])))
    return np.roll(mirrored, shift, axis=(0, 1))


def disc(size: tuple[int, int], area: float) -> Mask:
    """A centred disc (H, W) of a share ``area`` of the frame, cut off where it would leave the frame."""
    y, x = (np.arange(side) - (side - 1) / 2 for side in size)
    return most_salient(-np.hypot(y[:, None], x[None, :]), area)
