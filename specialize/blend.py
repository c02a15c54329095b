"""From the decisions of the SVMs to class probabilities, and their convex sum with the network's (paper section 4.4).

    score of class c    = max over the SVMs of c of  slope * decision + offset
    probabilities after = (1 - weight) * softmax of the network + weight * Q

Q is made of the scores s of the specialised classes in one of these ways:

    ================  ==================================================================================================
    ``raw``           s / sum s, the paper's words; fails on decisions, which are mostly negative
    ``clipped``       max(s, 0) / sum; nothing where no score is positive
    ``softmax``       exp(s) / sum
    ``platt``         sigmoid(s) / sum, slope and offset fitted after Platt
    ``platt_filled``  sigmoid(s) for the specialised classes and the network's own values for the others, / sum
    ``uniform``       the same for every specialised class: a control that knows nothing
    ``bonus``         a control apart: weight is added to the logits of the specialised classes
    ================  ==================================================================================================

Save in ``platt_filled``, Q is zero for unspecialised classes. All of it works on tensors, so that a specialised network
has gradients.
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
"""Of ``bonus``, in logits: more than the distance of nearly any class from the winning one."""

_TINY = 1e-30


@dataclass(frozen=True)
class Blend:
    """How decisions of S SVMs of C classes change the probabilities of K classes.

    Attributes:
        classes: int64 (C,), indices of the specialised classes among K.
        owner: int64 (S,), place of each SVM's class among the C.
        slope: float64 (S,), of each SVM's decision.
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
    """A blend of decisions as they are, of weight 0."""
    return Blend(classes, owner, np.ones(len(owner)), np.zeros(len(owner)), normalisation, 0.0)


def class_scores(decisions: Tensor, blend: Blend) -> tuple[Tensor, Tensor]:
    """The score of each specialised class, and the SVM that gave it.

    Args:
        decisions: (N, S).
        blend: Of these SVMs; each class has one at least.

    Returns:
        Scores (N, C), and int64 (N, C) places among the S SVMs.
    """
    scaled = decisions * decisions.new_tensor(blend.slope) + decisions.new_tensor(blend.offset)
    owner = torch.as_tensor(blend.owner, device=decisions.device)
    scores, places = [], []
    for place in range(len(blend.classes)):
        own = torch.nonzero(owner == place)[:, 0]
        best = scaled[:, own].max(dim=1)
        scores.append(best.values)
        places.append(own[best.indices])
    return torch.stack(scores, dim=1), torch.stack(places, dim=1)


def blended(logits: Tensor, decisions: Tensor, blend: Blend) -> Tensor:
    """Logits after blending: logarithms of the new probabilities (N, K), up to a constant for each image.

    Args:
        logits: (N, K).
        decisions: (N, S); (N, 0) for ``uniform`` and ``bonus``.
        blend: How.

    Raises:
        ValueError: There is no such normalisation.
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
    share = (probabilities if filled else torch.zeros_like(probabilities)).index_copy(1, index, values)
    if filled:
        share = share / share.sum(dim=1, keepdim=True)
    return ((1 - blend.weight) * probabilities + blend.weight * share).clamp_min(_TINY).log()


def _values(scores: Tensor, normalisation: str) -> Tensor:
    """What the specialised classes get, (N, C), before the others are filled in."""
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
    """Platt's slope and offset: sigmoid(slope * decision + offset) is the chance of being right.

    Args:
        decisions: (N,).
        right: bool (N,).

    Returns:
        Slope and offset; (0, the share's logit) where all or none is right.
    """
    if right.all() or not right.any():
        return 0.0, float(np.log((right.sum() + 1) / ((~right).sum() + 1)))
    centre, spread = float(decisions.mean()), float(decisions.std()) or 1.0
    model = LogisticRegression(C=100.0, max_iter=1000).fit(((decisions - centre) / spread)[:, None], right)
    slope = float(model.coef_[0, 0]) / spread
    return slope, float(model.intercept_[0]) - slope * centre
