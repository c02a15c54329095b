"""When the optimisation of an image stops, and which perturbation its next pass uses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.cut import cleaned, final_masks
from visual_summaries.masks.perturbation.goal import Goal
from visual_summaries.masks.perturbation.perturb import Prepared
from visual_summaries.masks.perturbation.schedule import BinaryOptions, Stage

_CHECK_EVERY = 10  # passes after which all images are checked, whatever their last pass showed


class StopRule:
    """How far each image is from having lost its class under each of P perturbations, and when it stops.

    In a pass the image is shifted, and its mask is larger or smaller than the final one. So an image stops only if its
    final binary mask removes the class under every perturbation. If none does, the best mask that was checked is kept.

    Args:
        classifier: The network.
        prepared: The perturbations of the N images.
        goal: What each image should lose.
        stage: Its drop, ramp, area and iterations are used.
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
        """For images ``rows`` (K,), the index of the perturbation that each one gets in a pass, (K,).

        Without ``drop`` the perturbations take turns. With it, each image gets its worst-case perturbation: the one
        under which its class is furthest from being lost.
        """
        if not self._stage.drop:
            return torch.full_like(rows, step % len(self._prepared))
        return self._gaps[rows].argmax(dim=1)

    def check(self, step: int, rows: Tensor, turns: Tensor, logits: Tensor, fields: Tensor, found: Tensor) -> Tensor:
        """Updates the gaps after a pass, and checks the final masks of images that are near their goal.

        Args:
            step: Number of the pass.
            rows: (K,) the images of the pass.
            turns: (K,) the indices of their perturbations.
            logits: (K, C) of the pass.
            fields: (K, 1, H, W) of the pass.
            found: (N, 1, H, W), into which the best masks are written.

        Returns:
            bool (K,), whether each image stops.
        """
        self._gaps[rows, turns] = self._goal.gaps(logits, rows, self._stage.drop)
        near = self._gaps[rows].amax(dim=1) <= 0
        last = step + 1 == self._stage.iterations
        if (step + 1) % _CHECK_EVERY == 0 or last:
            near = torch.ones_like(near)
        if (step >= self._stage.ramp or last) and near.any():
            checked = rows[near]
            masks = final_masks(fields[near], self._stage, self._cleaning)
            self._gaps[checked] = self._measured(cleaned(masks, self._cleaning).to(masks), checked)
            worst = self._gaps[checked].amax(dim=1)
            better = worst < self._best[checked]
            self._best[checked[better]], found[checked[better]] = worst[better], masks[better]
        return self._best[rows] <= 0

    def _measured(self, binary: Tensor, rows: Tensor) -> Tensor:
        """The gaps (K, P) of binary masks (K, 1, H, W) of images (K,)."""
        with torch.no_grad():
            logits = [self._classifier.finite_logits(images[rows](binary)) for images in self._prepared]
        return torch.stack([self._goal.gaps(each, rows, self._stage.drop) for each in logits], dim=1)
