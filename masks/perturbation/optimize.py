"""The masks of a batch of images (paper section 3.1).

The smooth stage starts from a disc and finds roughly where the class is. The crisp stage starts from the smooth mask
and finds a nearly binary one. Each image has its own loss, and the losses are summed, so that images do not influence
each other: a batch gives the same masks as its images one at a time. An image that stops early takes no further passes.

The pieces of a pass: the parameters give a field (`masks.perturbation.fields`), the field is cut to a mask
(`masks.perturbation.cut`), the mask perturbs the image (`masks.perturbation.perturb`), and the network's logits give
the loss (`masks.perturbation.objective`). `masks.perturbation.stopping` decides when an image stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.networks.gradients import gradient_of, with_gradients
from visual_summaries.masks.perturbation.cut import cut, final_masks
from visual_summaries.masks.perturbation.fields import Basis, initial_masks, replace_constant
from visual_summaries.masks.perturbation.goal import Goal
from visual_summaries.masks.perturbation.objective import area, greyness, log_odds, log_p, total_variation
from visual_summaries.masks.perturbation.perturb import Prepared, parse_perturbation
from visual_summaries.masks.perturbation.schedule import BinaryOptions, Schedule, Stage
from visual_summaries.masks.perturbation.stopping import StopRule

DESIGN_SIDE = 224
"""Lengths in a stage's options are pixels of a frame whose shorter side is this; for other frames they are scaled."""


@dataclass(frozen=True)
class MaskBatch:
    """The masks of a batch, and how the loss went.

    Attributes:
        smooth: Masks of the first stage, float32 (N, 1, H, W) in [0, 1].
        crisp: Masks of the last stage, float32 (N, 1, H, W) in [0, 1].
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
    """Optimises the masks of a batch of images.

    Args:
        classifier: The network, inside its ``with`` block (frozen, on its device).
        images: (N, 3, H, W) in [0, 1] on the classifier's device, in the frame.
        targets: (N,) int64, for each image the class that it should lose.
        schedule: The stages.
        cleaning: How the binary mask will be cleaned. Masks of a given area are also cleaned like this in each pass.
        seed: Of the random shifts and of the area jitter.
        progress: Called with (passes done, largest number of passes).

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
    masks, done = initial_masks(images), 0
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
    """Optimises masks by one stage.

    Args:
        classifier: The network, inside its ``with`` block.
        images: (N, 3, H, W) in [0, 1].
        goal: What each image should lose.
        start: (N, 1, H, W) in [0, 1], the masks to start from.
        stage: Options of the stage.
        cleaning: How the binary mask will be cleaned.
        generator: Draws the shifts and the area jitter.
        tick: Called with the number of passes done.

    Returns:
        The masks (N, 1, H, W) in [0, 1], without gradient, and the loss of each pass of each image, N tensors
        (passes,). A stage without iterations returns the start.
    """
    if stage.iterations == 0:
        return start, [torch.zeros(0) for _ in images]
    scale = min(images.shape[2:]) / DESIGN_SIDE
    largest_shift = round(stage.jitter * scale)
    basis = Basis((images.shape[2], images.shape[3]), stage, scale, images)
    prepared = [parse_perturbation(name).prepare(images) for name in stage.perturbations]
    stop_rule = StopRule(classifier, prepared, goal, stage, cleaning)
    losses = images.new_full((len(images), stage.iterations), math.nan)
    found = torch.zeros_like(images[:, :1])
    active = _Active(basis.project(replace_constant(start) if stage.area else start), stage)
    for step in range(stage.iterations):
        rows = active.rows
        turns = stop_rule.turns(rows, step)  # of each active image, the index of its perturbation in this pass
        target_area = stage.area * (1 + stage.area_jitter * (2 * torch.rand(1, generator=generator).item() - 1))
        fields = basis.fields(active.theta)
        masks = cut(fields, target_area, stage, step, cleaning) if stage.area else fields
        perturbed = _shifted(_perturbed(prepared, turns, rows, masks), largest_shift, generator)
        with half_precision(images.device, stage):
            logits = classifier.finite_logits(perturbed)
        tempered, targets = goal.tempered(logits, rows), goal.targets[rows]
        # with a given area: log odds; otherwise: class probability plus the area penalty
        loss = log_odds(tempered, targets) if stage.area else log_p(tempered, targets).exp() + stage.l1 * area(masks)
        # regularisers act on the grid, as in the reference program
        if stage.tv:
            loss = loss + stage.tv * total_variation(active.theta, stage.beta)
        if stage.sparsity:
            loss = loss + stage.sparsity * greyness(active.theta)
        losses[rows, step] = loss.detach()
        gradient = gradient_of(loss, active.theta)
        if stage.drop:
            stops = stop_rule.check(step, rows, turns, logits.detach(), fields.detach(), found)
            if stops.any():
                active.keep(~stops)
                gradient = gradient[~stops]
                if not len(active.rows):
                    break
        active.step(gradient)
        tick(step + 1)
    tick(stage.iterations)
    if not stage.drop:
        found = final_masks(basis.fields(active.theta).detach(), stage, cleaning)
    return found, [row[~row.isnan()].cpu() for row in losses]


class _Active:
    """The parameters of the images that have not stopped, and the state of Adam for them.

    Args:
        theta: The grids to start from, (N, 1, h, w).
        stage: Its rate, momentum and area are used. Without a given area the grids are clamped to [0, 1].
    """

    def __init__(self, theta: Tensor, stage: Stage) -> None:
        self.rows = torch.arange(len(theta), device=theta.device)
        self.theta = theta.requires_grad_()
        self._clamp = not stage.area
        self._optimizer = torch.optim.Adam([self.theta], lr=stage.rate, betas=(stage.momentum, 0.999))

    def step(self, gradient: Tensor) -> None:
        """Changes the grids by one step of Adam."""
        self.theta.grad = gradient
        self._optimizer.step()
        if self._clamp:
            with torch.no_grad():
                self.theta.clamp_(0, 1)

    def keep(self, chosen: Tensor) -> None:
        """Keeps the chosen images, bool (K,), and drops the others."""
        state = self._optimizer.state.pop(self.theta, {})
        self.rows = self.rows[chosen]
        self.theta = self.theta.detach()[chosen].requires_grad_()
        self._optimizer.param_groups[0]["params"] = [self.theta]
        self._optimizer.state[self.theta] = {
            name: value[chosen] if value.ndim else value for name, value in state.items()
        }


def half_precision(device: torch.device, stage: Stage) -> torch.autocast:
    """The context of a stage's passes: bfloat16 on a GPU that supports it.

    Only in stages that stop images early: there the last check of each image is in float32.
    """
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=has_it and stage.drop > 0)


def _perturbed(prepared: list[Prepared], turns: Tensor, rows: Tensor, masks: Tensor) -> Tensor:
    """Images ``rows`` (K,) perturbed by masks (K, 1, H, W); ``turns`` (K,): the index of each one's perturbation."""
    chosen = [(turns == turn).nonzero()[:, 0] for turn in range(len(prepared))]
    groups = [images[rows[at]](masks[at]) for images, at in zip(prepared, chosen, strict=True) if len(at)]
    return torch.cat(groups)[torch.cat(chosen).argsort()]


def _shifted(images: Tensor, largest: int, generator: torch.Generator) -> Tensor:
    """All images shifted by the same random number of pixels, at most ``largest``; the border is repeated."""
    if largest == 0:
        return images
    dy, dx = torch.randint(-largest, largest + 1, (2,), generator=generator).tolist()
    pad = (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0))
    height, width = images.shape[2:]
    padded = F.pad(images, pad, mode="replicate")
    top, left = max(-dy, 0), max(-dx, 0)
    return padded[:, :, top : top + height, left : left + width]
