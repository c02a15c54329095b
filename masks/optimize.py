"""Masks of a whole batch at once (paper section 3.1).

Starting from a disc, the smooth stage finds roughly where the class is; from its mask the crisp stage finds a binary
one. Each image has its own loss and its own multiplier, and the losses are summed: images do not influence each
other, a batch gives what its images give one at a time.

A mask of a coarser resolution than the frame is theta on a small grid; the mask is

    m = A theta A^T,    A = Gaussian x bilinear upsampling   (separable, one small matrix a side)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from masks.binarize import BinaryOptions, binarize
from masks.classifier import Classifier
from masks.objective import area, greyness, log_odds, total_variation
from masks.perturb import blend, gaussian_kernel, parse_perturbation
from masks.schedule import Schedule, Stage

DESIGN_SIDE = 224
"""Lengths in a stage's options are pixels of a frame of this side; other frames scale them."""

_START_AREA = 0.3
_SETTLE = 20  # passes before the area of a constrained stage moves
_AREA_STEP = 0.02


@dataclass(frozen=True)
class MaskBatch:
    """What the optimisation of a batch gives.

    Attributes:
        smooth: Mask of the first stage, float32 (N, 1, H, W) in [0, 1].
        crisp: Mask of the last stage, likewise.
        history: Loss of each pass, float32 (N, passes).
    """

    smooth: Tensor
    crisp: Tensor
    history: Tensor


def optimize(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    schedule: Schedule,
    *,
    cleaning: BinaryOptions | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MaskBatch:
    """Finds the masks of a batch of images.

    Args:
        classifier: The network, entered (frozen, on its device).
        images: (N, 3, H, W) in [0, 1] on the classifier's device, in the frame.
        targets: (N,) int64, the class to be lost, an image each.
        schedule: The stages.
        cleaning: How the binary mask will be cleaned; a stage with a drop takes it into account.
        seed: Of the jitter.
        progress: Called with (passes done, passes in all).
    """
    order = (schedule.smooth, schedule.core, schedule.crisp)
    total = sum(stage.iterations for stage in order)
    masks, histories, done = disc(images), [], 0
    stages = []
    for number, stage in enumerate(order):
        generator = torch.Generator().manual_seed(seed * len(order) + number)

        def tick(passes: int, before: int = done) -> None:
            if progress is not None:
                progress(before + passes, total)

        masks, history = run_stage(
            classifier, images, targets, masks, stage, cleaning or BinaryOptions(), generator, tick
        )
        done += stage.iterations
        stages.append(masks)
        histories.append(history)
    return MaskBatch(stages[0], stages[-1], torch.cat(histories, dim=1))


def run_stage(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    start: Tensor,
    stage: Stage,
    cleaning: BinaryOptions,
    generator: torch.Generator,
    tick: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """Optimises masks (N, 1, H, W) from ``start`` by one stage.

    Returns:
        The masks (N, 1, H, W) in [0, 1], without gradient, and the loss of each pass (N, iterations). Without
        iterations the start comes back.
    """
    if stage.iterations == 0:
        return start, torch.zeros(len(images), 0)
    size, scale = (images.shape[2], images.shape[3]), min(images.shape[2:]) / DESIGN_SIDE
    basis = Basis(size, stage, scale, images)
    backgrounds = [parse_perturbation(name).background(images) for name in stage.perturbations]
    if stage.margin:
        start = grown(start, stage.margin * scale, cleaning)
    theta = basis.project(start).requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=stage.rate)
    control: Cut | None = None
    if stage.area == "least":
        log_p0 = _log_p(classifier, images, targets)
        log_p_whole = torch.stack([_log_p(classifier, whole, targets) for whole in backgrounds], dim=1)
        control = LeastArea(stage, log_p0, log_p_whole, cleaning)
    elif stage.area == "start":
        control = Cut(stage, area(start), cleaning)
    jitter = round(stage.jitter * scale)
    history = torch.zeros(len(images), stage.iterations)
    for step in range(stage.iterations):
        turn = step % len(backgrounds)
        fields = basis.fields(theta)
        masks = fields if control is None else control.masks(fields, step)
        perturbed = _shifted(blend(images, backgrounds[turn], masks), jitter, generator)
        log_p = classifier.log_probabilities(perturbed, targets)
        loss = log_p.exp() + stage.l1 * area(masks) if control is None else log_odds(log_p)
        # regularisers of neighbours act on the grid, as in the reference program
        if stage.tv:
            loss = loss + stage.tv * total_variation(theta, stage.beta)
        if stage.sparsity:
            loss = loss + stage.sparsity * greyness(theta)
        (theta.grad,) = torch.autograd.grad(loss.sum(), theta)
        optimizer.step()
        if control is None:
            with torch.no_grad():
                theta.clamp_(0, 1)
        else:
            control.update(loss.detach(), turn, step)
        history[:, step] = loss.detach()
        tick(step + 1)
    fields = basis.fields(theta).detach()
    return (fields if control is None else control.masks(fields, stage.iterations)), history


class Cut:
    """Masks of a given area.

    The smooth field f is cut at the quantile that leaves the area a, ever more sharply,

        m = sigmoid( k (f - q) / std(f) ),    q = the (1 - a)-quantile of f

    so that only the order of the field's values matters and no mask can collapse. Then it is cleaned as the binary mask
    will be, so that nothing is hidden in specks.

    Args:
        stage: A stage whose area is not weighed.
        areas: Share of the frame, (N,).
        cleaning: How the binary mask will be cleaned.
    """

    def __init__(self, stage: Stage, areas: Tensor, cleaning: BinaryOptions) -> None:
        self.stage = stage
        self.cleaning = cleaning
        self.areas = areas.clamp(max=stage.max_area)

    def masks(self, fields: Tensor, step: int) -> Tensor:
        """Masks (N, 1, H, W) of fields (N, 1, H, W) at a pass."""
        low, high = self.stage.sharpness
        sharpness = low * (high / low) ** (step / max(self.stage.iterations, 1))
        # the field is smooth: a quarter of its rows and columns tells its quantiles
        values = fields.detach()[:, 0, ::4, ::4].flatten(1).sort(dim=1, descending=True).values
        place = (self.areas * values.shape[1]).long().clamp(0, values.shape[1] - 1)
        cut = values.gather(1, place[:, None])[:, :, None, None]
        spread = values.std(dim=1)[:, None, None, None].clamp_min(1e-6)
        masks = torch.sigmoid(sharpness * (fields - cut) / spread)
        if step < _SETTLE:
            return masks
        clean = cleaned(masks, self.cleaning)
        return torch.where(clean == (masks.detach() > 0.5), masks, clean.to(masks.dtype))

    def update(self, found: Tensor, turn: int, step: int) -> None:
        """Takes note of log odds (N,) found under a perturbation; a given area stays."""


class LeastArea(Cut):
    """Masks of the area that an image needs.

    It shrinks while the class is lost under every perturbation as it was seen last, and grows while it is not. The
    class counts as lost at the drop that is asked for, or where there is no more of it than in the wholly perturbed
    image: a network may still see it there.

    Args:
        stage: A stage of least area.
        log_p0: Log probability of the class in the images, (N,).
        log_p_whole: The same in the images wholly perturbed, (N, perturbations).
        cleaning: How the binary mask will be cleaned.
    """

    def __init__(self, stage: Stage, log_p0: Tensor, log_p_whole: Tensor, cleaning: BinaryOptions) -> None:
        super().__init__(stage, torch.full_like(log_p0, _START_AREA), cleaning)
        goal = log_p0 + math.log1p(-stage.drop)
        self.goals = log_odds(torch.maximum(goal[:, None], log_p_whole))
        self._gaps = torch.full_like(log_p_whole, math.inf)

    def update(self, found: Tensor, turn: int, step: int) -> None:
        """Takes note of log odds (N,) found under a perturbation, and moves the areas."""
        self._gaps[:, turn] = found - self.goals[:, turn]
        if step >= _SETTLE:
            lost = self._gaps.amax(dim=1) <= 0
            self.areas = (self.areas * torch.where(lost, 1 - _AREA_STEP, 1 + _AREA_STEP)).clamp(max=self.stage.max_area)


def cleaned(masks: Tensor, cleaning: BinaryOptions) -> Tensor:
    """The binary masks bool (N, 1, H, W) that float masks become."""
    raw = masks.detach()[:, 0].float().cpu().numpy()
    return torch.from_numpy(np.stack([binarize(mask, cleaning) for mask in raw])).to(masks.device)[:, None]


def grown(masks: Tensor, margin: float, cleaning: BinaryOptions) -> Tensor:
    """Masks (N, 1, H, W), cut and cleaned, with all that is within a margin in pixels."""
    binary = cleaned(masks, cleaning)[:, 0].cpu().numpy()
    near = [distance_transform_edt(~mask) <= margin if mask.any() else mask for mask in binary]
    return torch.from_numpy(np.stack(near)).to(masks)[:, None]


class Basis:
    """From the grid of a stage's parameters theta (N, 1, h, w) to fields (N, 1, H, W): masks, before any cut."""

    def __init__(self, size: tuple[int, int], stage: Stage, scale: float, like: Tensor) -> None:
        self.size = size
        self.stage = stage
        self.grid = [max(1, round(side / stage.resolution)) for side in size]
        sigma = stage.smoothing * scale
        up = [upsampling(g, s) for g, s in zip(self.grid, size, strict=True)]
        smooth = [smoothing(s, sigma) for s in size]
        through = [b @ a for a, b in zip(up, smooth, strict=True)]
        self._rows, self._columns = (matrix.to(like) for matrix in (through if stage.smoothing_gradient else up))
        self._smooth = None if stage.smoothing_gradient else [matrix.to(like) for matrix in smooth]

    def project(self, masks: Tensor) -> Tensor:
        """The grid that looks most like masks (N, 1, H, W), by averaging; a new tensor (N, 1, h, w)."""
        return F.adaptive_avg_pool2d(masks.detach(), (self.grid[0], self.grid[1])).clone()

    def fields(self, theta: Tensor) -> Tensor:
        """Fields (N, 1, H, W) in [0, 1]."""
        if self.grid == list(self.size) and not self.stage.smoothing:
            return theta
        fields = self._rows @ theta @ self._columns.T
        if self._smooth is not None:  # the reference program ignores the gradient of this blur
            blurred = self._smooth[0] @ fields.detach() @ self._smooth[1].T
            fields = fields + (blurred - fields.detach())
        return fields


def upsampling(source: int, target: int) -> Tensor:
    """The matrix (target, source) of bilinear interpolation along one side, float64."""
    eye = torch.eye(source, dtype=torch.float64)[None]
    return F.interpolate(eye, size=target, mode="linear", align_corners=False)[0].T.contiguous()


def smoothing(side: int, sigma: float) -> Tensor:
    """The matrix (side, side) of a Gaussian along one side, renormalised at the borders, float64."""
    if sigma <= 0:
        return torch.eye(side, dtype=torch.float64)
    offsets = torch.arange(side)[:, None] - torch.arange(side)
    radius = max(side - 1, math.ceil(3 * sigma))
    matrix = gaussian_kernel(sigma, radius)[offsets + radius]
    return matrix / matrix.sum(dim=1, keepdim=True)


def disc(images: Tensor) -> Tensor:
    """The start: a disc of radius half the shorter side perturbed, the corners kept; (N, 1, H, W)."""
    n, _, height, width = images.shape
    y = torch.arange(height).to(images) - (height - 1) / 2
    x = torch.arange(width).to(images) - (width - 1) / 2
    inside = (y[:, None] ** 2 + x**2).sqrt() <= min(height, width) / 2
    return inside.to(images.dtype).expand(n, 1, height, width).clone()


def _log_p(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        return classifier.log_probabilities(images, targets)


def _shifted(images: Tensor, jitter: int, generator: torch.Generator) -> Tensor:
    """All images shifted by the same random number of pixels, the border repeated."""
    if jitter == 0:
        return images
    dy, dx = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
    pad = (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0))
    height, width = images.shape[2:]
    padded = F.pad(images, pad, mode="replicate")
    top, left = max(-dy, 0), max(-dx, 0)
    return padded[:, :, top : top + height, left : left + width]
