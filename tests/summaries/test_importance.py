"""Importance of summaries: planted effects are found, and a killed measurement goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.options import OptionError
from visual_summaries.summaries.files import write_csv, write_json, write_npz, write_png
from visual_summaries.summaries.semantics.importance import Removal, importance_of, interval, places_elsewhere
from visual_summaries.summaries.semantics.options import ImportanceOptions
from visual_summaries.summaries.stages import importance as stage
from visual_summaries.summaries.stages.importance import run_importance
from visual_summaries.summaries.store import ImageRow, PartRow, Run
from visual_summaries.summaries.summary import Member, Summary

SIDE = 64
BOXES = {"red": (6, 6, 24, 24), "green": (38, 6, 56, 24), "blue": (6, 38, 24, 56), "grey": (38, 38, 56, 56)}
COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220), "grey": (220, 220, 220)}


class Reader(nn.Module):
    """Knows the class by patches of the image, by a rule on whether their colours are there."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        there = {}
        for channel, name in enumerate(("red", "green", "blue")):
            x0, y0, x1, y1 = BOXES[name]
            patch = images[:, :, y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].mean((2, 3))
            there[name] = patch[:, channel] - patch.mean(1) > 0.2
        logit = torch.where(self.rule(there), 20.0, -20.0) * self.scale
        return torch.stack([logit, -logit], 1)


def reader(rule):
    return Classifier(
        Reader(rule), frame=Frame((SIDE, SIDE), SIDE, "bilinear"), normalisation=Normalisation((0, 0, 0), (1, 1, 1))
    )


RED = reader(lambda there: there["red"])
EITHER = reader(lambda there: there["red"] | there["green"])
BOTH = reader(lambda there: there["red"] & there["green"])


@pytest.fixture
def path(tmp_path):
    """A run of six images with four patches each, and a summary of each."""
    rng = np.random.default_rng(0)
    ids = [f"i{number}" for number in range(6)]
    members = {name: [] for name in BOXES}
    rows = []
    for image in ids:
        frame = rng.normal(110, 3, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), bool)
        for name, (x0, y0, x1, y1) in BOXES.items():
            frame[y0:y1, x0:x1] = COLOURS[name]
            mask[y0:y1, x0:x1] = name in ("red", "grey")
            box = tuple(map(float, (x0, y0, x1, y1)))
            members[name].append(Member(len(rows), image, box, 1.0, 1.0))
            rows.append(PartRow(len(rows), image, 0, *box, list(BOXES).index(name), 0, 1.0))
        write_png(tmp_path / "frames" / f"{image}.png", frame)
        write_png(tmp_path / "masks" / f"{image}.png", mask)
        write_npz(tmp_path / "masks" / f"{image}.npz", smooth=mask.astype(np.float16), crisp=mask.astype(np.float16))
    summaries = [
        Summary(number, "", members[name][0].part, tuple(members[name]), 1.0, name != "grey", "")
        for number, name in enumerate(BOXES)
    ]
    summaries.append(Summary(4, "", 0, tuple(members["red"][:2]), 1.0, False, "too few"))
    frame = {"size": [SIDE, SIDE]}
    write_json(tmp_path / "run.json", {"format": 1, "stages": {}, "seed": 0, "frame": frame})
    write_csv(
        tmp_path / "images.csv",
        ImageRow,
        [ImageRow(i, i, f"{k:064x}", SIDE, SIDE, "ok", "", 0, 1.0) for k, i in enumerate(ids)],
    )
    write_csv(tmp_path / "parts.csv", PartRow, rows)
    write_json(tmp_path / "summaries.json", [one.to_json() for one in summaries])
    return tmp_path


def measure(path, classifier, options=None, fresh=False, targets=None):
    ticks = []
    with classifier:
        run_importance(
            path,
            classifier,
            options or ImportanceOptions(),
            targets or {image: 0 for image in Run(path).ids},
            seed=0,
            key="k",
            fresh=fresh,
            tick=lambda done, all: ticks.append((done, all)),
        )
    assert ticks == [(k + 1, 6) for k in range(6)]
    return {one["summary"]: one for one in json.loads((path / "evaluation/importance.json").read_text())["summaries"]}


def test_the_patch_that_the_network_reads_has_importance_one_and_the_others_none(path):
    found = measure(path, RED)
    assert [round(found[k]["importance"], 6) for k in range(4)] == [1, 0, 0, 0]
    assert [found[k]["matters"] for k in range(4)] == [True, False, False, False]
    assert found[0]["low"] == found[0]["high"] == pytest.approx(1)
    assert found[0]["log_odds"] == pytest.approx(80)  # z_c - z_k falls from 40 to -40
    assert found[0]["frequency"] == 1
    assert found[3]["control"] is not None
    assert 4 not in found  # two members are too few
    scores = [one.scores for one in Run(path).summaries]
    assert scores[0]["importance"] == found[0]["importance"]
    assert "importance" not in scores[4]


def test_of_two_parts_of_which_one_is_enough_none_matters_alone_but_both_together(path):
    found = measure(path, EITHER)
    assert found[0]["importance"] == found[1]["importance"] == pytest.approx(0)
    completeness = json.loads((path / "evaluation/importance.json").read_text())["completeness"]
    assert completeness["kept summaries together"] == pytest.approx(1)
    assert completeness["whole mask"] == pytest.approx(0)  # it lies on red and grey


def test_of_two_parts_that_are_needed_both_each_matters(path):
    found = measure(path, BOTH)
    assert found[0]["importance"] == found[1]["importance"] == pytest.approx(1)
    assert found[2]["importance"] == pytest.approx(0)


def test_what_was_measured_before_a_kill_is_kept_and_the_bytes_are_the_same(path, monkeypatch):
    names = ("evaluation/importance.json", "evaluation/importance.csv", "evaluation/removals.csv", "summaries.json")
    measure(path, RED)
    whole = [(path / name).read_bytes() for name in names]
    records = sorted((path / "work" / "importance").iterdir())
    assert len(records) == 6
    records[0].unlink()
    records[1].write_text("{")
    passes = []
    answers = stage._answers
    monkeypatch.setattr(stage, "_answers", lambda *given: passes.append(1) or answers(*given))
    measure(path, RED)
    assert len(passes) == 2
    assert [(path / name).read_bytes() for name in names] == whole
    measure(path, RED, fresh=True)
    assert len(passes) == 8
    assert [(path / name).read_bytes() for name in names] == whole


def test_scores_of_a_cluster_that_is_not_measured_any_more_go(path):
    measure(path, RED)
    found = measure(path, RED, ImportanceOptions(min_members=7))
    assert found == {}
    assert all("importance" not in one.scores for one in Run(path).summaries)
    with pytest.raises(OptionError, match="min_members"):
        ImportanceOptions(min_members=0)


def test_places_elsewhere_are_elsewhere_and_on_or_off_the_mask():
    rng = np.random.default_rng(0)
    outline = np.zeros((60, 80), bool)
    outline[10:20, 10:25] = True
    outline[10:14, 10:14] = False
    mask = np.zeros((60, 80), bool)
    mask[:, :40] = True
    on, off = places_elsewhere(outline, mask, 3, rng)
    assert len(on) == len(off) == 3
    for place in (*on, *off):
        assert place.sum() == outline.sum()
        assert (place & outline).sum() <= 0.1 * outline.sum()
    assert all((place & mask).sum() >= 0.5 * place.sum() for place in on)
    assert all((place & mask).sum() <= 0.1 * place.sum() for place in off)
    assert places_elsewhere(np.ones((60, 80), bool), mask, 3, rng) == ([], [])
    assert places_elsewhere(outline, mask, 0, rng) == ([], [])


def test_the_interval_is_scipys_percentile_bootstrap():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).beta(0.4, 1, 24)
    options = ImportanceOptions(resamples=4000)
    expected = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(5))
    low, high = interval(values, options, 7)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.015)
    assert interval(np.array([0.3]), options, 0) == pytest.approx((0.3, 0.3))


def test_a_summary_matters_when_its_interval_is_above_its_control_and_zero():
    def removal(loss, control):
        return Removal(0, 0, "i", 0.9, 0.9 - loss, 1.0, control, None)

    losses = (0.3, 0.4, 0.5)
    for control, matters in ((0.0, True), (0.2, True), (0.6, False), (None, True)):
        found = importance_of([removal(loss, control) for loss in losses], 6, ImportanceOptions(), 0)
        assert (found.matters, found.control) == (matters, control if control is None else pytest.approx(control))
    assert not importance_of([removal(loss, -0.5) for loss in (-0.1, 0.1, 0.2)], 3, ImportanceOptions(), 0).matters


def completeness(path):
    return json.loads((path / "evaluation/importance.json").read_text())["completeness"]


def test_kept_summaries_with_too_few_members_to_be_measured_count_when_all_are_removed(path):
    for kept in (True, False):
        summaries = [replace(one, kept=kept) for one in Run(path).summaries]
        write_json(path / "summaries.json", [one.to_json() for one in summaries])
        assert measure(path, RED, ImportanceOptions(min_members=7)) == {}
        assert completeness(path)["kept summaries together"] == (pytest.approx(1) if kept else None)
        assert completeness(path)["whole mask"] == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record | {"removals": []},
        lambda record: record | {"removals": [record["removals"][0] | {"summary": 77}, *record["removals"][1:]]},
        lambda record: record | {"removals": [record["removals"][0] | {"p0": 1e308}, *record["removals"][1:]]},
        lambda record: record | {"removals": [record["removals"][0] | {"image": "../x"}, *record["removals"][1:]]},
    ],
)
def test_a_record_that_was_changed_is_made_again(path, change):
    measure(path, RED)
    whole = (path / "evaluation/removals.csv").read_bytes()
    record = next((path / "work" / "importance").iterdir())
    write_json(record, change(json.loads(record.read_text())))
    measure(path, RED)
    assert (path / "evaluation/removals.csv").read_bytes() == whole


def test_two_copies_of_a_photograph_have_the_effect_of_their_own_mask(path):
    rows = Run(path).images
    write_csv(path / "images.csv", ImageRow, [replace(row, sha256=rows[0].sha256) for row in rows])
    write_json(path / "summaries.json", [])
    write_png(path / "masks" / "i0.png", np.zeros((SIDE, SIDE), bool))
    measure(path, RED)
    assert completeness(path)["whole mask"] == pytest.approx(5 / 6)
    write_png(path / "masks" / "i1.png", np.zeros((SIDE, SIDE), bool))  # it is measured again when its mask changes
    measure(path, RED)
    assert completeness(path)["whole mask"] == pytest.approx(4 / 6)


def test_the_effect_is_that_of_the_class_of_each_image(path):
    other = {image: int(image in ("i1", "i4")) for image in Run(path).ids}
    found = measure(path, RED, targets=other)
    assert found[0]["importance"] == pytest.approx((4 - 2) / 6)  # the other class gains what the first one loses
    assert found[0]["log_odds"] == pytest.approx(80 * (4 - 2) / 6)


def test_the_control_is_the_mean_of_places_on_the_mask_and_off_it():
    def control(*places):
        removals = [Removal(0, 0, "i", 0.9, 0.1, 1.0, on, off) for on, off in places]
        return importance_of(removals, 2, ImportanceOptions(), 0).control

    assert control((0.1, 0.3), (0.4, None)) == pytest.approx(0.3)
    assert control((None, 0.2), (None, None)) == pytest.approx(0.2)
    assert control((None, None)) is None
