"""The figures of summaries on planted clusters, and where there is little to measure."""

import re
from typing import Any

import numpy as np
import pytest

from visual_summaries.clustering.metrics.stability import StabilityOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.evaluation.cluster_metrics import METHODS, table
from visual_summaries.summaries.evaluation.clusters import evaluate
from visual_summaries.summaries.evaluation.ground_truth import read_truth, score
from visual_summaries.summaries.evaluation.independent_encoder import crop_vectors
from visual_summaries.summaries.files import read_json
from visual_summaries.summaries.store import Run

QUICK = StabilityOptions(seeds=1, samples=4)


def vectors_of(run, encoder):
    with load_classifier(encoder) as classifier:
        return crop_vectors(run, classifier, lambda done, total: None)


def test_perfect_clusters_have_the_best_figures(planted, encoder):
    case = planted()
    found = evaluate(
        case.run, truth=read_truth(case.run, case.truth), vectors=vectors_of(case.run, encoder), options=QUICK
    )
    rows = {row.method: row.to_json() for row in found.rows}
    assert tuple(rows) == METHODS
    own, random = rows["summaries"], rows["random"]
    for name in ("purity", "consistency", "ari", "ari_low", "ari_kept", "ari_seeds", "coverage", "mask_coverage"):
        assert own[name] == 1, name
    assert own["recall"] is None  # a folder of masks says nothing of what is to be found
    assert (own["clusters"], own["members"], own["counted"]) == (4, 8, 4)
    assert random["purity"] < 0.55
    assert random["consistency"] < 0.05
    assert abs(random["ari"]) < 0.15
    assert 1 - own["cohesion"] < 0.2 * (1 - random["cohesion"])
    assert own["separation"] > 0.3 > 0 > random["separation"]
    for method in ("kmeans", "agglomerative"):
        assert rows[method]["purity"] == rows[method]["ari"] == rows[method]["coverage"] == 1
        assert (rows[method]["clusters"], rows[method]["members"]) == (4, 8)
    assert [one.part for one in found.summaries] == ["bow", "funnel", "flag", "hull"]
    assert [one.landmark for one in found.summaries] == ["bow", "funnel", "flag", "hull"]
    assert {one.purity for one in found.summaries} == {1}


def test_summaries_of_mixed_parts_are_no_better_than_random(planted, encoder):
    rng = np.random.default_rng(3)
    mixed = [[(image, int(rng.integers(4))) for image in range(8)] for _ in range(4)]
    case = planted(mixed)
    truth = read_truth(case.run, case.truth)
    found = evaluate(case.run, truth=truth, vectors=vectors_of(case.run, encoder), options=QUICK)
    own, random, kmeans, _ = (row.metrics for row in found.rows)
    assert own.purity == pytest.approx(random.purity, abs=0.12)
    assert own.consistency == 0
    assert 1 - kmeans.cohesion < 0.2 * (1 - own.cohesion)
    assert own.separation < 0


def test_others_are_no_more_and_no_larger_than_the_summaries(planted):
    case = planted([[(image, 0) for image in range(5)], [(image, 2) for image in range(7)]])
    rows = {row.method: row for row in evaluate(case.run, options=QUICK).rows}
    for method in METHODS:
        assert (rows[method].clusters, rows[method].members) == (2, 6), method


def test_without_truth_and_encoder_the_rest_is_measured(planted):
    row = evaluate(planted().run, options=QUICK).rows[0].to_json()
    missing = {name for name, value in row.items() if value is None}
    assert missing == {"purity", "recall", "consistency", "counted", "cohesion", "separation"}


def test_the_same_seed_gives_the_same_and_another_seed_other_chance(planted, encoder):
    case = planted()
    options = {"truth": read_truth(case.run, case.truth), "vectors": vectors_of(case.run, encoder), "options": QUICK}
    one, same, other = (evaluate(case.run, **options, seed=seed).to_json() for seed in (1, 1, 2))
    assert one == same
    assert one["rows"][1] != other["rows"][1]
    assert one["rows"][0]["purity"] == other["rows"][0]["purity"]


def test_coverage_is_that_of_kept_summaries(planted):
    case = planted([[(image, 0) for image in range(6)]])
    row = evaluate(case.run, options=QUICK).rows[0].metrics
    assert row.coverage == 6 / 8
    assert row.mask_coverage == pytest.approx(6 / 32, abs=1e-9)  # every part is 30 x 30


def test_no_summary_is_kept(planted):
    case = planted([])
    found = evaluate(case.run, truth=read_truth(case.run, case.truth), options=QUICK)
    assert found.summaries == []
    own = found.rows[0].to_json()
    assert (own["clusters"], own["purity"], own["coverage"], own["ari"]) == (0, None, 0, 1)
    assert table(found)[1].split()[:2] == ["summaries", "0"]


def test_scores_for_scripts_are_those_of_the_command(planted):
    case = planted([[(image, image % 2) for image in range(8)], [(image, 3) for image in range(5)]])
    own, random = score(case.run, case.truth, seed=5)
    found = evaluate(case.run, truth=read_truth(case.run, case.truth), options=QUICK, seed=5)
    assert own.purity == found.rows[0].metrics.purity == 0.75
    assert random.purity == found.rows[1].metrics.purity
    assert {number: one.part for number, one in own.majorities.items()} == {0: "bow", 1: "hull"}


def test_work_that_was_deleted_or_is_of_other_parts(planted):
    case = planted()
    boxes = read_json(case.run.path / "run.json", Any)
    file = case.run.path / "work" / "similarity.npz"
    text = (case.run.path / "parts.csv").read_text().splitlines()
    (case.run.path / "parts.csv").write_text("\n".join(text[:-1]) + "\n")
    with pytest.raises(UserError, match=re.escape(f"`visual-summaries cluster {case.run.path}` makes it again")):
        evaluate(Run(case.run.path), options=QUICK)
    file.unlink()
    with pytest.raises(UserError, match=re.escape(f"`visual-summaries cluster {case.run.path}` makes it again")):
        evaluate(Run(case.run.path), options=QUICK)
    assert boxes == read_json(case.run.path / "run.json", Any)
