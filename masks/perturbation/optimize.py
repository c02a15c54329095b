"""Masks of a whole batch at once (paper section 3.1).

Starting from a disc, the smooth stage finds roughly where the class is; from its mask the crisp stage finds a binary
one. Each image has its own loss, and the losses are summed: images do not influence each other, a batch gives what
its images give one at a time. An image that stops early is computed no further.

A mask of a coarser resolution than the frame is theta on a small grid; the field is

    f = A theta A^T,    A = Gaussian x bilinear upsampling   (separable, one small matrix a side)

and the mask is f itself, clamped, or f cut at the quantile that leaves a given area (:func:`cut`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.networks.gradients import gradient_of, with_gradients
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.goal import Goal
from visual_summaries.masks.perturbation.objective import area, greyness, log_odds, log_p, total_variation
from visual_summaries.masks.perturbation.perturb import Prepared, gaussian_kernel, parse_perturbation
from visual_summaries.masks.perturbation.schedule import BinaryOptions, Schedule, Stage

DESIGN_SIDE = 224
"""Lengths in a stage's options are pixels of a frame of this side; other frames scale them."""

_LOOK_EVERY = 10  # passes after which the masks that would remain are looked at, at the latest
_FLAT = 0.01  # standard deviation of a mask below which it tells no places apart
_CLEAN_FROM = 10  # pass from which a cut mask is cleaned: before, the field has no settled outline


@dataclass(frozen=True)
class MaskBatch:
    """What the optimisation of a batch gives.

    Attributes:
        smooth: Mask of the first stage, float32 (N, 1, H, W) in [0, 1].
        crisp: Mask of the last stage, likewise.
        history: Loss of each pass of each image, N tensors float32 (passes,).
    """

    smooth: Tensor
    crisp: Tensor
    history: list[Tensor]


@with_gradients
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
        cleaning: How the binary mask will be cleaned; a mask of given area is cleaned likewise in each pass.
        seed: Of the jitter and the wobble.
        progress: Called with (passes done, passes at most).

    Raises:
        UserError: If no gradient of the logits reaches the images, or logits are not finite.

    Examples:
        >>> from visual_summaries.masks import load_classifier, preset
        >>> with load_classifier("lite0") as classifier:  # doctest: +SKIP
        ...     found = optimize(classifier, images, targets, preset("compact"))
    """
    cleaning = cleaning or BinaryOptions()
    order = (schedule.smooth, schedule.crisp)
    total = sum(stage.iterations for stage in order)
    masks, done = disc(images), 0
    stages: list[Tensor] = []
    history = [torch.zeros(0) for _ in images]
    fast = fused(classifier, images)
    goal = Goal.of(fast, images, targets, tempered=schedule.tempered)
    for number, stage in enumerate(order):
        generator = torch.Generator().manual_seed(seed * len(order) + number)

        def tick(passes: int, before: int = done) -> None:
            if progress is not None:
                progress(before + passes, total)

        masks, losses = run_stage(fast, images, goal, masks, stage, cleaning, generator, tick)
        done += stage.iterations
        stages.append(masks)
        history = [torch.cat(pair) for pair in zip(history, losses, strict=True)]
    return MaskBatch(stages[0], stages[-1], history)


def run_stage(
    classifier: Classifier,
    images: Tensor,
    goal: Goal,
    start: Tensor,
    stage: Stage,
    cleaning: BinaryOptions,
    generator: torch.Generator,
    tick: Callable[[int], None],
) -> tuple[Tensor, list[Tensor]]:
    """Optimises masks (N, 1, H, W) from ``start`` by one stage.

    Returns:
        The masks (N, 1, H, W) in [0, 1], without gradient, and the loss of each pass of each image, N tensors
        (passes,). Without iterations the start comes back.
    """
    if stage.iterations == 0:
        return start, [torch.zeros(0) for _ in images]
    scale = min(images.shape[2:]) / DESIGN_SIDE
    jitter = round(stage.jitter * scale)
    basis = Basis((images.shape[2], images.shape[3]), stage, scale, images)
    prepared = [parse_perturbation(name).prepare(images) for name in stage.perturbations]
    watch = _Watch(classifier, prepared, goal, stage, cleaning)
    losses = images.new_full((len(images), stage.iterations), math.nan)
    found = torch.zeros_like(images[:, :1])
    active = _Active(basis.project(_uneven(start) if stage.area else start), stage)
    for step in range(stage.iterations):
        rows = active.rows
        turns = watch.turns(rows, step)
        share = stage.area * (1 + stage.wobble * (2 * torch.rand(1, generator=generator).item() - 1))
        fields = basis.fields(active.theta)
        masks = cut(fields, share, stage, step, cleaning) if stage.area else fields
        perturbed = _shifted(_perturbed(prepared, turns, rows, masks), jitter, generator)
        with half_precision(images.device, stage):
            logits = classifier.finite_logits(perturbed)
        tempered, targets = goal.tempered(logits, rows), goal.targets[rows]
        loss = log_odds(tempered, targets) if stage.area else log_p(tempered, targets).exp() + stage.l1 * area(masks)
        # regularisers of neighbours act on the grid, as in the reference program
        if stage.tv:
            loss = loss + stage.tv * total_variation(active.theta, stage.beta)
        if stage.sparsity:
            loss = loss + stage.sparsity * greyness(active.theta)
        losses[rows, step] = loss.detach()
        gradient = gradient_of(loss, active.theta)
        if stage.drop:
            stops = watch.look(step, rows, turns, logits.detach(), fields.detach(), found)
            if stops.any():
                active.keep(~stops)
                gradient = gradient[~stops]
                if not len(active.rows):
                    break
        active.step(gradient)
        tick(step + 1)
    tick(stage.iterations)
    if not stage.drop:
        found = _final(basis.fields(active.theta).detach(), stage, cleaning)
    return found, [row[~row.isnan()].cpu() for row in losses]


def _uneven(masks: Tensor) -> Tensor:
    """Masks (N, 1, H, W) to cut at a quantile: the disc where a mask has the same value everywhere.

    That happens to a smooth mask whose network is so sure that its probability has no gradient: the mask's own weight
    then takes it away evenly, and a cut of nothing has no gradient either.
    """
    flat = masks.std(dim=(1, 2, 3), keepdim=True) < _FLAT
    return torch.where(flat, disc(masks), masks)


class _Watch:
    """How far each image is from having lost its class, under each of P perturbations, and when it stops.

    What a pass sees has been shifted, and its mask is larger or smaller than what will remain. So an image stops only
    when its binary mask, as it would remain, has lost the class under every perturbation; otherwise the best that was
    looked at remains.

    Args:
        classifier: The network.
        prepared: The perturbations of the N images.
        goal: What is to be lost in them.
        stage: Its drop, ramp, area and passes.
        cleaning: How the binary mask is cleaned.
    """

    def __init__(
        self,
        classifier: Classifier,
        prepared: list[Prepared],
        goal: Goal,
        stage: Stage,
        cleaning: BinaryOptions,
    ) -> None:
        self._classifier, self._prepared, self._goal = classifier, prepared, goal
        self._stage, self._cleaning = stage, cleaning
        self._gaps = goal.log_p0.new_full((len(goal.log_p0), len(prepared)), math.inf)
        self._best = goal.log_p0.new_full((len(goal.log_p0),), math.inf)

    def turns(self, rows: Tensor, step: int) -> Tensor:
        """The perturbation of images (K,) in this pass, (K,): one after the other, then what each withstands most."""
        if not self._stage.drop:
            return torch.full_like(rows, step % len(self._prepared))
        return self._gaps[rows].argmax(dim=1)

    def look(self, step: int, rows: Tensor, turns: Tensor, logits: Tensor, fields: Tensor, found: Tensor) -> Tensor:
        """Takes note of a pass.

        Args:
            step: The pass.
            rows: (K,) images.
            turns: (K,) their perturbations.
            logits: (K, C) that the pass saw.
            fields: (K, 1, H, W) their fields.
            found: (N, 1, H, W), in which the best masks are noted.

        Returns:
            bool (K,), the images that stop.
        """
        self._gaps[rows, turns] = self._goal.gaps(logits, rows, self._stage.drop)
        near = self._gaps[rows].amax(dim=1) <= 0
        last = step + 1 == self._stage.iterations
        if (step + 1) % _LOOK_EVERY == 0 or last:
            near = torch.ones_like(near)
        if (step >= self._stage.ramp or last) and near.any():
            looked = rows[near]
            masks = _final(fields[near], self._stage, self._cleaning)
            self._gaps[looked] = self._measured(cleaned(masks, self._cleaning).to(masks), looked)
            worst = self._gaps[looked].amax(dim=1)
            better = worst < self._best[looked]
            self._best[looked[better]], found[looked[better]] = worst[better], masks[better]
        return self._best[rows] <= 0

    def _measured(self, binary: Tensor, rows: Tensor) -> Tensor:
        """The gaps (K, P) of binary masks (K, 1, H, W) of images (K,)."""
        with torch.no_grad():
            logits = [self._classifier.finite_logits(images[rows](binary)) for images in self._prepared]
        return torch.stack([self._goal.gaps(each, rows, self._stage.drop) for each in logits], dim=1)


class _Active:
    """The parameters of the images that have not stopped, and Adam's state of each.

    Args:
        theta: The grids to start from, (N, 1, h, w).
        stage: Rate and momentum are used; a mask that is not cut stays in [0, 1].
    """

    def __init__(self, theta: Tensor, stage: Stage) -> None:
        self.rows = torch.arange(len(theta), device=theta.device)
        self.theta = theta.requires_grad_()
        self._clamp = not stage.area
        self._optimizer = torch.optim.Adam([self.theta], lr=stage.rate, betas=(stage.momentum, 0.999))

    def step(self, gradient: Tensor) -> None:
        """Moves the grids by one step of Adam."""
        self.theta.grad = gradient
        self._optimizer.step()
        if self._clamp:
            with torch.no_grad():
                self.theta.clamp_(0, 1)

    def keep(self, chosen: Tensor) -> None:
        """Lets go of all images but the chosen, bool (N,)."""
        state = self._optimizer.state.pop(self.theta, {})
        self.rows = self.rows[chosen]
        self.theta = self.theta.detach()[chosen].requires_grad_()
        self._optimizer.param_groups[0]["params"] = [self.theta]
        self._optimizer.state[self.theta] = {
            name: value[chosen] if value.ndim else value for name, value in state.items()
        }


def cut(fields: Tensor, share: float, stage: Stage, step: int, cleaning: BinaryOptions) -> Tensor:
    """Masks (N, 1, H, W) of a given area.

    A smooth field f is cut at the quantile that leaves the area a, ever more sharply,

        m = sigmoid( k (f - q) / std(f) ),    q = the (1 - a)-quantile of f

    so that only the order of the field's values matters and no mask can collapse. Then it is cleaned as the binary
    mask will be, so that nothing is hidden in specks.

    Args:
        fields: (N, 1, H, W).
        share: The area a, as a share of the frame.
        stage: Its sharpness k.
        step: The pass.
        cleaning: How the binary mask will be cleaned.
    """
    low, high = stage.sharpness
    sharpness = low * (high / low) ** min(1.0, step / max(stage.ramp, 1))
    # the field is smooth: a quarter of its rows and columns tells its quantiles
    values = fields.detach()[:, 0, ::4, ::4].flatten(1).sort(dim=1, descending=True).values
    edge = values[:, min(int(share * values.shape[1]), values.shape[1] - 1)][:, None, None, None]
    spread = values.std(dim=1)[:, None, None, None].clamp_min(1e-6)
    masks = torch.sigmoid(sharpness * (fields - edge) / spread)
    if step < _CLEAN_FROM:
        return masks
    clean = cleaned(masks, cleaning)
    return torch.where(clean == (masks.detach() > 0.5), masks, clean.to(masks.dtype))


def _final(fields: Tensor, stage: Stage, cleaning: BinaryOptions) -> Tensor:
    """The masks (N, 1, H, W) that fields (N, 1, H, W) become when a stage ends."""
    return cut(fields, stage.area, stage, max(stage.ramp, _CLEAN_FROM), cleaning) if stage.area else fields


def cleaned(masks: Tensor, cleaning: BinaryOptions) -> Tensor:
    """The binary masks bool (N, 1, H, W) that float masks become.

    Examples:
        >>> mask = torch.zeros(1, 1, 20, 20)
        >>> mask[..., 2:12, 2:12], mask[..., 18, 18] = 0.9, 0.9
        >>> int(cleaned(mask, BinaryOptions()).sum())  # without the speck
        100
    """
    raw = masks.detach()[:, 0].float().cpu().numpy()
    return torch.from_numpy(np.stack([binarize(mask, cleaning) for mask in raw])).to(masks.device)[:, None]


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
    """The matrix (target, source) of bilinear interpolation along one side, float64.

    Examples:
        >>> upsampling(2, 4).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    eye = torch.eye(source, dtype=torch.float64)[None]
    return F.interpolate(eye, size=target, mode="linear", align_corners=False)[0].T.contiguous()


def smoothing(side: int, sigma: float) -> Tensor:
    """The matrix (side, side) of a Gaussian along one side, renormalised at the borders, float64.

    Examples:
        >>> matrix = smoothing(5, sigma=1.0)
        >>> torch.allclose(matrix.sum(dim=1), torch.ones(5, dtype=torch.float64))  # a constant stays what it is
        True
    """
    if sigma < 1e-3:  # to float64 nothing but the middle is left of it
        return torch.eye(side, dtype=torch.float64)
    offsets = torch.arange(side)[:, None] - torch.arange(side)
    radius = max(side - 1, math.ceil(3 * sigma))
    matrix = gaussian_kernel(sigma, radius)[offsets + radius]
    return matrix / matrix.sum(dim=1, keepdim=True)


def disc(images: Tensor) -> Tensor:
    """The start: a disc of radius half the shorter side perturbed, the corners kept; (N, 1, H, W).

    Examples:
        >>> disc(torch.zeros(1, 3, 4, 4))[0, 0].int().tolist()
        [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    """
    n, _, height, width = images.shape
    y = torch.arange(height).to(images) - (height - 1) / 2
    x = torch.arange(width).to(images) - (width - 1) / 2
    inside = (y[:, None] ** 2 + x**2).sqrt() <= min(height, width) / 2
    return inside.to(images.dtype).expand(n, 1, height, width).clone()


def half_precision(device: torch.device, stage: Stage) -> torch.autocast:
    """What the passes of a stage run in: bfloat16 on a GPU that has it, where an image's last look is in float32."""
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=has_it and stage.drop > 0)


def _perturbed(prepared: list[Prepared], turns: Tensor, rows: Tensor, masks: Tensor) -> Tensor:
    """Images ``rows`` (K,) under masks (K, 1, H, W), each under its own perturbation of ``prepared``: turns (K,)."""
    places = [(turns == turn).nonzero()[:, 0] for turn in range(len(prepared))]
    parts = [images[rows[at]](masks[at]) for images, at in zip(prepared, places, strict=True) if len(at)]
    return torch.cat(parts)[torch.cat(places).argsort()]


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
