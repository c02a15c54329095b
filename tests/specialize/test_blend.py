"""Blending: a slow reference, the controls, gradients, and what fails on negative decisions."""

import numpy as np
import pytest
import torch

from tests.reference.blend import blend as slow
from visual_summaries.specialize.blend import LARGEST_BONUS, Blend, blended, calibrate, class_scores, plain_blend
from visual_summaries.specialize.options import NORMALISATIONS

CLASSES = np.array([1, 4, 6])
OWNER = np.array([0, 1, 1, 2, 0])


def example(seed: int = 0, images: int = 6) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits, decisions = (
        torch.from_numpy(rng.normal(0, 2, (images, 8))),
        torch.from_numpy(rng.normal(-0.3, 1, (images, 5))),
    )
    return logits, decisions, rng.uniform(0.5, 2, 5), rng.normal(0, 1, 5)


@pytest.mark.parametrize("normalisation", [*NORMALISATIONS, "uniform"])
@pytest.mark.parametrize("weight", [0.0, 0.35, 1.0])
def test_equals_the_slow_definition(normalisation, weight):
    logits, decisions, slope, offset = example()
    found = blended(logits, decisions, Blend(CLASSES, OWNER, slope, offset, normalisation, weight)).exp().numpy()
    for k in range(len(logits)):
        expected = slow(
            logits[k].tolist(),
            decisions[k].tolist(),
            OWNER.tolist(),
            slope,
            offset,
            CLASSES.tolist(),
            normalisation,
            weight,
        )
        np.testing.assert_allclose(found[k], np.maximum(expected, 1e-30), atol=1e-12)


@pytest.mark.parametrize("normalisation", [*NORMALISATIONS, "uniform", "bonus"])
def test_a_weight_of_zero_changes_no_probability(normalisation):
    logits, decisions, slope, offset = example()
    found = blended(logits, decisions, Blend(CLASSES, OWNER, slope, offset, normalisation, 0.0))
    torch.testing.assert_close(found.softmax(1), logits.softmax(1))


def test_a_bonus_is_added_to_the_specialised_logits_alone():
    logits, decisions, *_ = example()
    found = blended(logits, decisions[:, :0], plain_blend(CLASSES, np.zeros(0, int), "bonus").at(1.5))
    expected = logits.clone()
    expected[:, CLASSES] += 1.5
    torch.testing.assert_close(found, expected)
    assert plain_blend(CLASSES, OWNER, "bonus").strengths(4)[-1] == LARGEST_BONUS


def test_the_best_svm_of_a_class_decides_and_is_named():
    decisions = torch.tensor([[0.1, -1.0, -0.5, 2.0, 0.7], [-0.2, 0.3, -0.5, 0.0, -0.9]])
    scores, deciding = class_scores(decisions, plain_blend(CLASSES, OWNER, "clipped"))
    torch.testing.assert_close(scores, torch.tensor([[0.7, -0.5, 2.0], [-0.2, 0.3, 0.0]]))
    assert deciding.tolist() == [[4, 2, 3], [0, 1, 3]]


def test_normalising_negative_decisions_to_sum_one_turns_their_order_round():
    decisions = torch.tensor([[-0.1, -2.0, -2.0, -1.0, -0.1]], dtype=torch.float64)
    logits = torch.zeros(1, 8, dtype=torch.float64)
    raw = blended(logits, decisions, plain_blend(CLASSES, OWNER, "raw").at(1.0))
    assert int(raw.argmax()) == 4  # the class whose SVMs are surest that it is not there
    platt = blended(logits, decisions, plain_blend(CLASSES, OWNER, "platt").at(1.0))
    assert int(platt.argmax()) == 1


def test_nothing_positive_is_nothing_added_when_clipped():
    logits, decisions, *_ = example()
    found = blended(logits, -decisions.abs() - 0.1, plain_blend(CLASSES, OWNER, "clipped").at(0.5))
    assert (found.argmax(1) == logits.argmax(1)).all()


def test_gradients_reach_logits_and_decisions():
    logits, decisions, slope, offset = example()
    logits.requires_grad_()
    decisions.requires_grad_()
    blended(logits, decisions, Blend(CLASSES, OWNER, slope, offset, "platt_filled", 0.5))[:, 4].sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert decisions.grad is not None
    assert decisions.grad.abs().sum() > 0


def test_an_unknown_normalisation_is_named():
    logits, decisions, *_ = example()
    with pytest.raises(ValueError, match="normalisation='sum'"):
        blended(logits, decisions, plain_blend(CLASSES, OWNER, "sum"))


def test_calibration_finds_the_chances_that_were_planted():
    rng = np.random.default_rng(1)
    decisions = rng.normal(0, 1.5, 20000)
    right = rng.random(20000) < 1 / (1 + np.exp(-(2.0 * decisions - 1.0)))
    slope, offset = calibrate(decisions, right)
    assert slope == pytest.approx(2.0, abs=0.1)
    assert offset == pytest.approx(-1.0, abs=0.08)


def test_calibration_without_both_kinds_says_what_the_share_says():
    assert calibrate(np.array([0.1, 0.2]), np.array([False, False])) == (0.0, pytest.approx(np.log(1 / 3)))
