"""What a page says first: order, sentence, bars and crops are those of the measured importance."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import hash_file, write_json
from visual_summaries.summaries.pages.evidence import by_importance, crop_style, evidence_of
from visual_summaries.summaries.pages.gallery import write_gallery
from visual_summaries.summaries.store import Run

MEASURED = {
    0: {"importance": 0.02, "low": -0.01, "high": 0.05, "control": 0.03},
    1: {"importance": 0.40, "low": 0.25, "high": 0.50, "control": 0.10},
    3: {"importance": 0.31, "low": 0.20, "high": 0.44},
    4: {"importance": 0.01, "low": 0.00, "high": 0.02, "control": 0.00},
}
"""Of the clusters of the run: 0 to 2 are kept, 3 and 4 are not; 2 was not measured."""


@pytest.fixture
def measured(make_run):
    """A run whose importance is known."""

    def make(scores=MEASURED, **completeness):
        run = make_run()
        summaries = json.loads((run.path / "summaries.json").read_text())
        for number, values in scores.items():
            summaries[number]["scores"] |= values
        write_json(run.path / "summaries.json", summaries)
        info = json.loads((run.path / "run.json").read_text())
        digests = {"summaries.json": hash_file(run.path / "summaries.json")}
        info["stages"] = {"importance": {"status": "done", "inputs": {}, "counts": {}, "digests": digests}}
        write_json(run.path / "run.json", info)
        write_json(run.path / "evaluation" / "importance.json", {"level": 0.95, "completeness": completeness})
        return Run(run.path)

    return make


def sentence(run):
    html = write_gallery(run).read_text()
    (found,) = re.findall(r'<p class="sentence">(.*?)</p>', html, re.DOTALL)
    return " ".join(unescape(re.sub("<[^>]*>", "", found)).split())


def test_summaries_stand_by_falling_importance(measured):
    evidence = evidence_of(measured())
    assert [row.summary.summary for row in evidence.relied_on] == [1]
    assert [row.summary.summary for row in evidence.recurring] == [0]
    assert [row.summary.summary for row in evidence.unmeasured] == [2]
    assert [row.summary.summary for row in evidence.pruned] == [3]
    (row,) = evidence.relied_on
    assert (row.bar, row.low, row.high, row.control) == (80, 50, 100, 20)  # of the largest interval's end, 0.5
    assert evidence.pruned[0].control is None
    assert [one.summary for one in by_importance(measured().summaries)] == [1, 3, 0, 4, 2]


def test_the_sentence_tells_what_was_measured(measured):
    told = sentence(measured(**{"kept summaries together": 0.6, "whole mask": 0.98}))
    assert told == (
        'Without the <i>"spire"</i> & co the probability of the class falls by 40 points in the 3 images that show it '
        "(the same outlines removed elsewhere: 10 points). One other summary has no clear effect. Without all kept "
        "summaries together it falls by 60 points, without the whole mask by 98 points (means over all images). One "
        "pruned cluster also has a clear effect: Cluster 3 (31 points)."
    )


def test_the_sentence_claims_nothing_that_was_not_measured(measured):
    none = {0: MEASURED[0], 1: MEASURED[4]}
    told = sentence(measured(none))
    assert told == (
        "No summary alone has a clear effect: without it, the probability of the class does not fall clearly more than "
        "with the same outlines removed elsewhere."
    )
    assert sentence(measured({})) == "The importance of these summaries was not measured."


def test_a_run_that_was_made_before_importance_has_a_page(make_run):
    run = make_run()
    evidence = evidence_of(run)
    assert (len(evidence.unmeasured), evidence.joint, evidence.measured) == (3, None, False)
    assert "not measured" in write_gallery(run).read_text()


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((8, 10, 40, 44), (64, 64)),
        ((0, 0, 64, 64), (64, 64)),
        ((50, 2, 64, 12), (64, 64)),
        ((10, 0, 90, 60), (60, 120)),
        ((0, 10, 30, 118), (120, 60)),
    ],
)
def test_a_crop_holds_its_box(box, size):
    values = {name: float(value) for name, value in re.findall(r"(\w+):(-?[\d.]+)%", crop_style(box, size))}
    side = 100 * size[1] / values["width"]
    left, top = -values["left"] * side / 100, -values["top"] * side / 100
    assert min(left, top) >= -0.1
    assert left + side <= size[1] + 0.2
    assert top + side <= size[0] + 0.2
    wide, high = box[2] - box[0], box[3] - box[1]
    for start, one, extent in ((left, box[0], wide), (top, box[1], high)):
        if extent <= side:
            assert start <= one + 0.2
            assert start + side >= one + extent - 0.2
    assert side == pytest.approx(min(1.2 * max(wide, high), *size), rel=0.01)


def test_completeness_of_other_clusters_is_not_shown(measured):
    run = measured(**{"kept summaries together": 0.6, "whole mask": 0.98})
    assert run.completeness["whole mask"] == 0.98
    summaries = json.loads((run.path / "summaries.json").read_text())
    write_json(run.path / "summaries.json", summaries[:3])  # clustered again, and stopped before importance
    assert (Run(run.path).completeness, Run(run.path).level) == ({}, None)


def test_scores_that_are_incomplete_were_not_measured(measured):
    for missing in ("importance", "low", "high"):
        run = measured({1: {name: value for name, value in MEASURED[1].items() if name != missing}})
        assert not evidence_of(run).measured
        assert sentence(run) == "The importance of these summaries was not measured."


def test_a_lost_file_of_importance_names_the_command_that_makes_it(measured):
    run = measured()
    (run.path / "evaluation" / "importance.json").unlink()
    with pytest.raises(UserError, match="run `visual-summaries importance` on the folder"):
        evidence_of(Run(run.path))


def test_the_page_explains_importance_where_it_was_measured(measured, make_run):
    text = " ".join(write_gallery(measured()).read_text().split())
    assert "so is its 95% bootstrap interval" in text
    assert "importance <b>40 points</b> (25 to 50, control 10)" in text
    assert ">low <b>" not in text
    assert "bootstrap" not in write_gallery(make_run("other")).read_text()
