"""Scores of classes from the decision values of SVMs, and their blend with the network's probabilities (section 4.4).

    score of class c    = max over the SVMs of c of  slope * decision + offset
    probabilities after = (1 - weight) * softmax of the network + weight * Q

Q is computed from the scores s of the specialised classes by one of these normalisations:

    ================  ==================================================================================================
    ``raw``           s / sum s, as the paper says; fails on decision values, which are mostly negative
    ``clipped``       max(s, 0) / sum; zero if no score is positive
    ``softmax``       exp(s) / sum
    ``platt``         sigmoid(s) / sum, slope and offset from Platt scaling
    ``platt_filled``  sigmoid(s) for the specialised classes and the network's probabilities for the others, / sum
    ``uniform``       the same value for every specialised class: an uninformed control
    ``bonus``         not a blend, an uninformed control: the weight is added to the logits of the specialised classes
    ================  ==================================================================================================

Except with ``platt_filled``, Q is zero for the other classes. Everything works on tensors, so that a specialised
network has gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from visual_summaries.specialize.options import NORMALISATIONS

LARGEST_BONUS = 8.0
"""Of ``bonus``, in logits: more than nearly any difference between the largest logit and another one."""

_TINY = 1e-30


@dataclass(frozen=True)
class Blend:
    """How decision values of S SVMs of C classes change the probabilities of K classes.

    Attributes:
        classes: int64 (C,), indices of the specialised classes among K.
        owner: int64 (S,), position of each SVM's class among the C.
        slope: float64 (S,), of each SVM's decision value.
        offset: float64 (S,).
        normalisation: See the module's table.
        weight: Of Q, in [0, 1]; of ``bonus``, in logits, in [0, `LARGEST_BONUS`].
    """

    classes: NDArray[np.int64]
    owner: NDArray[np.int64]
    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    normalisation: str
    weight: float

    def at(self, weight: float) -> Blend:
        """The same with another weight."""
        return replace(self, weight=weight)

    def strengths(self, steps: int) -> NDArray[np.float64]:
        """Weights from 0 to the largest, float64 (steps + 1,)."""
        return np.linspace(0, LARGEST_BONUS if self.normalisation == "bonus" else 1, steps + 1)


def plain_blend(classes: NDArray[np.int64], owner: NDArray[np.int64], normalisation: str) -> Blend:
    """A blend of unscaled decision values, with weight 0."""
    return Blend(classes, owner, np.ones(len(owner)), np.zeros(len(owner)), normalisation, 0.0)


def class_scores(decisions: Tensor, blend: Blend) -> tuple[Tensor, Tensor]:
    """The score of each specialised class, and the SVM that has it.

    Args:
        decisions: (N, S).
        blend: Of these SVMs; each class has at least one.

    Returns:
        Scores (N, C), and int64 (N, C) indices among the S SVMs.

    Examples:
        >>> blend = plain_blend(np.array([1, 4]), np.array([0, 0, 1]), "clipped")
        >>> scores, best = class_scores(torch.tensor([[0.5, 2.0, -1.0]]), blend)
        >>> scores.tolist(), best.tolist()
        ([[2.0, -1.0]], [[1, 2]])
    """
    scaled = decisions * decisions.new_tensor(blend.slope) + decisions.new_tensor(blend.offset)
    owner = torch.as_tensor(blend.owner, device=decisions.device)
    scores, deciding = [], []
    for position in range(len(blend.classes)):
        own = torch.nonzero(owner == position)[:, 0]
        best = scaled[:, own].max(dim=1)
        scores.append(best.values)
        deciding.append(own[best.indices])
    return torch.stack(scores, dim=1), torch.stack(deciding, dim=1)


def blended(logits: Tensor, decisions: Tensor, blend: Blend) -> Tensor:
    """Logits after blending: logarithms of the new probabilities (N, K), up to a constant for each image.

    Args:
        logits: (N, K).
        decisions: (N, S); (N, 0) for ``uniform`` and ``bonus``.
        blend: Normalisation, weight and scaling.

    Raises:
        ValueError: There is no such normalisation.

    Examples:
        >>> blend = plain_blend(np.array([0]), np.array([0]), "clipped").at(0.5)
        >>> blended(torch.zeros(1, 2), torch.tensor([[3.0]]), blend).exp().tolist()
        [[0.75, 0.25]]
    """
    index = torch.as_tensor(blend.classes, device=logits.device)
    if blend.normalisation == "bonus":
        return logits + torch.zeros_like(logits[:1]).index_fill(1, index, blend.weight)
    probabilities = logits.softmax(dim=1)
    if blend.normalisation == "uniform":
        values = torch.full_like(probabilities[:, index], 1 / len(index))
    else:
        values = _values(class_scores(decisions, blend)[0], blend.normalisation)
    filled = blend.normalisation == "platt_filled"
    scores = (probabilities if filled else torch.zeros_like(probabilities)).index_copy(1, index, values)  # Q, (N, K)
    if filled:
        scores = scores / scores.sum(dim=1, keepdim=True)
    return ((1 - blend.weight) * probabilities + blend.weight * scores).clamp_min(_TINY).log()


def _values(scores: Tensor, normalisation: str) -> Tensor:
    """The values of Q for the specialised classes, (N, C), before the others are filled in."""
    if normalisation == "softmax":
        return scores.softmax(dim=1)
    if normalisation == "platt_filled":
        return scores.sigmoid()
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation={normalisation!r}: use one of {', '.join(NORMALISATIONS)}")
    values = scores.clamp_min(0) if normalisation == "clipped" else scores
    values = values.sigmoid() if normalisation == "platt" else values
    total = values.sum(dim=1, keepdim=True)
    return values / torch.where(total.abs() < _TINY, torch.ones_like(total), total)


def calibrate(decisions: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt scaling: slope and offset such that sigmoid(slope * decision + offset) is the probability of the class.

    Args:
        decisions: (N,).
        right: bool (N,), whether the image is of the class.

    Returns:
        Slope and offset; (0, the logit of the fraction, with add-one smoothing) if all or none is of the class.

    Examples:
        >>> calibrate(np.array([0.1, 0.2]), np.array([False, False]))  # log(1 / 3)
        (0.0, -1.0986122886681098)
    """
    if right.all() or not right.any():
        return 0.0, float(np.log((right.sum() + 1) / ((~right).sum() + 1)))
    centre, spread = float(decisions.mean()), float(decisions.std()) or 1.0
    model = LogisticRegression(C=100.0, max_iter=1000).fit(((decisions - centre) / spread)[:, None], right)
    slope = float(model.coef_[0, 0]) / spread
    return slope, float(model.intercept_[0]) - slope * centre
