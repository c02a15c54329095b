"""The class that each image of a batch should lose, and how far it is from that.

A class is lost when the drop (p0 - p) / p0 reaches a given value, both for the network's own probabilities and for
those at the image's temperature (see `masks.perturbation.objective`). Only the network's own
probabilities are reported. Those at the temperature do not change when all logits are multiplied by a factor. At
temperature 1 both are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.objective import log_p, temperatures


@dataclass(frozen=True)
class Goal:
    """The class that each of N images should lose.

    Attributes:
        targets: (N,) int64, the class of each image.
        temperatures: (N,) >= 1, by which the image's logits are divided.
        log_p0: (N,) the network's log probability of the class in the image.
        tempered_log_p0: (N,) the same at the image's temperature.
    """

    targets: Tensor
    temperatures: Tensor
    log_p0: Tensor
    tempered_log_p0: Tensor

    @classmethod
    def of(cls, classifier: Classifier, images: Tensor, targets: Tensor, *, tempered: bool) -> Self:
        """The goal for a batch.

        Args:
            classifier: The network, inside its ``with`` block.
            images: (N, 3, H, W) in [0, 1].
            targets: (N,) class indices.
            tempered: Whether each image has a temperature of its own; otherwise it is 1.

        Raises:
            UserError: If logits are not finite.
        """
        with torch.no_grad():
            logits = classifier.finite_logits(images)
            found = temperatures(logits) if tempered else logits.new_ones(len(logits))
            return cls(targets, found, log_p(logits, targets), log_p(logits / found[:, None], targets))

    def tempered(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Logits (K, C) of images ``rows`` (K,), perturbed or not, at the images' temperatures."""
        return logits / self.temperatures[rows, None]

    def gaps(self, logits: Tensor, rows: Tensor, drop: float) -> Tensor:
        """The log probability that the class of each image must still lose, (K,); it is lost where this is <= 0.

        Args:
            logits: (K, C) of the perturbed images.
            rows: (K,) indices of the images in the batch.
            drop: The drop (p0 - p) / p0 to reach, in [0, 1).
        """
        left, chosen = math.log1p(-drop), self.targets[rows]
        own = log_p(logits, chosen) - (self.log_p0[rows] + left)
        tempered = log_p(self.tempered(logits, rows), chosen) - (self.tempered_log_p0[rows] + left)
        # tempered gaps rank the perturbations; the class is lost only where both gaps are <= 0
        return torch.where(tempered > 0, tempered, torch.maximum(tempered, own))
