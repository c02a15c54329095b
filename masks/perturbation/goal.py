"""What is to be lost in each image of a batch, and how far it is from being lost.

A class is lost when its probability has dropped by a given share, (p0 - p) / p0, both in what the network says itself
and at the image's temperature (see ``masks/perturbation/objective.py``). The first is what is reported; the second
does not depend on a factor on the logits. At temperature 1 both are the same.
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
    """What is to be lost in each of N images.

    Attributes:
        targets: (N,) int64, the class of each image.
        temperatures: (N,) >= 1, what its logits are divided by.
        log_p0: (N,) log probability of the class in the image, as the network says it.
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
            classifier: The network, entered.
            images: (N, 3, H, W) in [0, 1].
            targets: (N,) class indices.
            tempered: Whether each image has a temperature; without, it is 1.

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
        """How much log probability the classes of images ``rows`` (K,) have yet to lose, (K,); lost where <= 0.

        Args:
            logits: (K, C) of the perturbed images.
            rows: (K,) which images they are.
            drop: The share of its probability that a class has to lose, in [0, 1).
        """
        left, chosen = math.log1p(-drop), self.targets[rows]
        own = log_p(logits, chosen) - (self.log_p0[rows] + left)
        tempered = log_p(self.tempered(logits, rows), chosen) - (self.tempered_log_p0[rows] + left)
        # what is told apart at the temperature ranks images and perturbations; the network itself has the last word
        return torch.where(tempered > 0, tempered, torch.maximum(tempered, own))
