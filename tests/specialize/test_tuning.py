"""The chosen weight keeps the harm limit, and the results of planted images are as computed by hand."""

import numpy as np
import pytest

from visual_summaries.specialize.blend import plain_blend
from visual_summaries.specialize.boost_results import table
from visual_summaries.specialize.bootstrap import EQUAL_HARMS, gain_at_equal_harm
from visual_summaries.specialize.evaluate import evaluate
from visual_summaries.specialize.options import TuningOptions
from visual_summaries.specialize.svm import Svms
from visual_summaries.specialize.tuning import HeldOut, Method, candidates, choose_weight, decide_all, right_along

CLASSES = np.array([0, 1])
NONE = np.zeros(0, np.int64)


def planted(seed: int = 0, images: int = 200, others: int = 200) -> HeldOut:
    """Vectors tell the class better than the logits of eight classes do; the first two are specialised."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([rng.integers(0, 2, images), rng.integers(2, 8, others)])
    logits = 2.0 * np.eye(8)[labels] + rng.normal(0, 1.2, (len(labels), 8))
    vectors = np.eye(8)[labels] + rng.normal(0, 0.25, (len(labels), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return HeldOut(vectors.astype(np.float32), logits.astype(np.float32), labels, labels > 1)


def machines(_: float = 1.0) -> Svms:
    return Svms(np.array([0, 1]), np.eye(8, dtype=np.float32)[:2], np.full(2, -0.5, np.float32))


def method(name: str, normalisation: str, weight: float, svms: Svms | None = None) -> Method:
    owner = NONE if svms is None else svms.owner
    return Method(name, svms, plain_blend(CLASSES, owner, normalisation).at(weight))


@pytest.mark.parametrize("limit", [0.0, 1.0, 5.0])
def test_the_harm_limit_is_kept_and_more_of_it_gains_no_less(limit):
    held = planted()
    options = TuningOptions(harm_limit=limit, costs=(1.0,))
    chosen = choose_weight(candidates("s", machines, CLASSES, held, options), held, options)
    found = evaluate([chosen], held, order=("s",)).rows[0]
    assert found.harm <= limit
    assert found.gain > 10
    tighter = TuningOptions(harm_limit=limit / 2, costs=(1.0,))
    less = choose_weight(candidates("s", machines, CLASSES, held, tighter), held, tighter)
    assert evaluate([less], held, order=("s",)).rows[0].gain <= found.gain


def test_a_bonus_that_may_not_harm_is_small_and_without_others_there_is_no_limit():
    held = planted()
    tried = [(method("bonus", "bonus", 0.0), np.zeros((400, 0), np.float32))]
    careful = choose_weight(tried, held, TuningOptions(harm_limit=0.0))
    free = HeldOut(held.vectors[:200], held.logits[:200], held.labels[:200], held.other[:200])
    bold = choose_weight([(tried[0][0], tried[0][1][:200])], free, TuningOptions(harm_limit=0.0))
    assert careful.blend.weight < bold.blend.weight


def test_decisions_of_several_methods_are_those_of_each():
    held = planted()
    both = [method("a", "platt", 0.5, machines()), method("b", "bonus", 1.0), method("c", "clipped", 0.5, machines())]
    first, none, third = decide_all(both, held.vectors)
    np.testing.assert_array_equal(first, machines().decisions(held.vectors))
    np.testing.assert_array_equal(first, third)
    assert none.shape == (400, 0)


def test_figures_are_those_of_the_images():
    held = planted()
    own = method("summaries", "platt_filled", 0.7, machines())
    found = evaluate([own, method("bonus", "bonus", 1.0)], held, order=("summaries", "bonus"), seed=1)
    decisions = decide_all([own], held.vectors)[0]
    before = held.logits.argmax(1) == held.labels
    after = right_along(own.blend, decisions, held, np.array([0.7]))[0]
    row = found.rows[0]
    assert row.gain == pytest.approx(100 * (after[~held.other].mean() - before[~held.other].mean()))
    assert row.harm == pytest.approx(100 * (before[held.other].mean() - after[held.other].mean()))
    assert row.gain_low < row.gain < row.gain_high
    assert {one.image for one in found.corrected} == set(np.flatnonzero(~before & after))
    assert {one.image for one in found.broken} >= set(np.flatnonzero(before & ~after))
    assert found.specialised.top1_after == pytest.approx(after[~held.other].mean())
    assert sum(one.images for one in found.classes) == found.specialised.images == 200
    share = found.overall["share"]
    assert share == 2 / 8
    assert found.overall["value"] == pytest.approx(share * row.gain - (1 - share) * row.harm)
    assert found.comparisons[0].gain.value == pytest.approx(row.gain - found.rows[1].gain)
    assert "over all 8 classes" in "\n".join(table(found))
    assert evaluate([own], held, order=("summaries",), seed=1).rows[0] == row


def test_the_deciding_summary_is_the_best_of_the_class_it_went_to():
    held = planted()
    own = method("summaries", "platt_filled", 0.7, machines())
    for one in evaluate([own], held, order=("summaries",)).corrected:
        assert one.label == one.after
        assert one.away == (one.after > 1)
        assert one.summary == (one.before if one.away else one.after)


def test_a_method_against_itself_differs_by_nothing_and_draws_are_averaged():
    held = planted()
    same = [method(name, "platt", 0.4, machines()) for name in ("summaries", "random:0", "random:1")]
    found = evaluate(same, held, order=("summaries", "random"))
    assert [row.method for row in found.rows] == ["summaries", "random"]
    assert found.rows[0].gain == found.rows[1].gain
    one = found.comparisons[0]
    assert (one.gain.value, one.gain.low, one.gain.high, one.equal_harm.value, one.equal_harm.high) == (0, 0, 0, 0, 0)


def test_gain_at_equal_harm_by_hand():
    other = np.array([False, False, True, True])
    change = np.array([[0, 0, 0, 0], [100, 0, 0, 0], [100, 100, -100, 0]], float)  # harms 0, 0, 50
    assert gain_at_equal_harm(change, other, np.ones((1, 4))).tolist() == [50]
    resampled = np.array([[0, 2, 0, 2]], float)  # without the harmed image
    assert gain_at_equal_harm(change, other, resampled).tolist() == [100]
    assert EQUAL_HARMS[-1] == 1.5


def test_a_curve_grows_and_draws_are_averaged():
    held = planted()
    draws = [method("summaries", "platt", 0.4, machines()), *(method(f"random:{k}", "bonus", 1.0) for k in range(2))]
    first, second = evaluate(draws, held, order=("summaries", "random")).curves
    for curve in (first, second):
        assert curve.harm == sorted(curve.harm)
        assert curve.gain == sorted(curve.gain)
    assert (first.harm[0], second.harm[0]) == (0, 0)


def test_top_5_counts_five():
    held = planted()
    found = evaluate([method("summaries", "platt", 0.0, machines())], held, order=("summaries",))
    order = np.argsort(-held.logits[held.other], axis=1)[:, :5]
    expected = (order == held.labels[held.other][:, None]).any(1).mean()
    assert found.others.top5_before == found.others.top5_after == pytest.approx(expected)
