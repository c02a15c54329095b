"""``evaluate summaries``: the whole command, from photographs to its page."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.evaluation.cluster_metrics import METHODS
from visual_summaries.summaries.evaluation.cluster_page import MEASURES
from visual_summaries.summaries.evaluation.clusters import evaluate
from visual_summaries.summaries.evaluation.ground_truth import read_keypoints
from visual_summaries.summaries.evaluation.independent_encoder import crop_vectors
from visual_summaries.summaries.files import read_json, write_json
from visual_summaries.summaries.names import write_names
from visual_summaries.summaries.store import Run


def test_the_command_from_photographs_to_the_page(make_folder, encoder, capsys):
    folder = make_folder(6)
    assert main(folder.arguments()) == 0
    capsys.readouterr()
    command = ["evaluate", "summaries", str(folder.out), "--encoder", encoder, "--device", "cpu"]
    assert main(command) == 0
    shown = capsys.readouterr().out.splitlines()
    page = folder.out / "evaluation" / "clusters.html"
    assert shown[-1] == str(page)
    found = read_json(folder.out / "evaluation" / "clusters.json", Any)
    assert [row["method"] for row in found["rows"]] == list(METHODS)
    for row in found["rows"]:
        wanted = {"method", "clusters", "purity", "recall", "consistency", "cohesion", "ari", "coverage"}
        assert wanted <= row.keys()
        assert row["purity"] is row["recall"] is row["consistency"] is None
        assert 0 <= row["coverage"] <= 1
        assert -1 <= row["ari_low"] <= row["ari"] <= row["ari_high"] <= 1
    kept = [one for one in Run(folder.out).summaries if one.kept]
    assert kept
    assert [one["summary"] for one in found["summaries"]] == [one.summary for one in kept]
    assert found["encoder"] == {"spec": encoder, "skipped": None}
    text = page.read_text()
    for measure in MEASURES:
        assert (measure.meaning in text) == (found["rows"][0][measure.key] is not None)
    assert "../gallery/index.html" in text
    sources = set(re.findall(r'src="([^"]+)"', text))
    assert sources == {f"clusters/{path.name}" for path in (page.parent / "clusters").iterdir()}
    before = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}
    assert main(command) == 0
    assert before == {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}


def test_the_command_with_truth_and_without_packages(planted, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name.startswith("efficientnet_") else find(name, *rest)
    )
    case = planted()
    assert main(["evaluate", "summaries", str(case.run.path), "--truth", str(case.truth)]) == 0
    captured = capsys.readouterr()
    assert "cohesion and separation are skipped: the weights of lite0" in captured.err
    assert "summary 0: bow (100%)" in captured.out
    found = read_json(case.run.path / "evaluation" / "clusters.json", Any)
    assert found["rows"][0]["purity"] == 1
    assert found["rows"][0]["cohesion"] is None
    assert "visual-summaries[lite]" in found["encoder"]["skipped"]
    text = (case.run.path / "evaluation" / "clusters.html").read_text()
    assert "Cohesion and separation were not measured" in text
    assert "../gallery" not in text  # there is none


def test_wrong_use_is_one_line(planted, capsys, tmp_path):
    case = planted()
    command = ["evaluate", "summaries", str(case.run.path)]
    for more, line in (
        (["--truth", str(case.truth), "--pf", str(case.truth)], "give one of them"),
        (["--truth", str(tmp_path / "nowhere")], "not a folder"),
        (["--encoder", "nonsense"], "unknown model"),
    ):
        assert main([*command, *more]) == 2
        assert line in capsys.readouterr().err.splitlines()[-1]
    shutil.rmtree(case.run.path / "work")
    assert main([*command, "--truth", str(case.truth), "--device", "cpu"]) == 2
    assert f"`visual-summaries cluster {case.run.path}` makes it again" in capsys.readouterr().err.splitlines()[-1]


def test_kmeans_has_the_descriptors_of_the_run(planted, encoder, capsys):
    case = planted()
    command = ["evaluate", "summaries", str(case.run.path), "--encoder", encoder, "--device", "cpu"]
    found = []
    for spec in (None, f"{encoder}".replace(":build", ":other")):
        info = read_json(case.run.path / "run.json", Any)
        info["stages"]["matching"]["counts"]["descriptor"] = "deep"
        if spec is not None:
            with load_classifier(spec) as classifier:
                info["model"] = {"spec": spec, "fingerprint": classifier.fingerprint()}
            kind = {"input_size": None, "mean": None, "std": None, "classes": None}
            info["config"]["model"] = {"spec": spec, "weights": None, "input": kind}
        write_json(case.run.path / "run.json", info)
        if spec is not None:
            assert main(command) == 2  # its network is in a file
            assert f"names the Python file {spec!r}" in capsys.readouterr().err
        assert main([*command, *(["--model", spec] if spec else [])]) == 0
        assert ("k-means is on HOG" in capsys.readouterr().err) == (spec is None)
        found.append(read_json(case.run.path / "evaluation" / "clusters.json", Any)["rows"])
    assert found[0][2]["ari_seeds"] != found[1][2]["ari_seeds"]  # blind to what tells the parts apart
    assert found[0][:2] == found[1][:2]


def test_names_are_escaped(planted, encoder):
    case = planted()
    write_names(case.run.path, {0: "<script>alert(1)</script>"}, case.run.summaries)
    assert main(["evaluate", "summaries", str(case.run.path), "--encoder", encoder]) == 0
    text = (case.run.path / "evaluation" / "clusters.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_keypoints_of_the_benchmark(make_folder, encoder, tmp_path):
    benchmark = Path(os.environ.get("VISUAL_SUMMARIES_DATA", "")) / "pf-willow6"
    if "VISUAL_SUMMARIES_DATA" not in os.environ or not benchmark.is_dir():
        pytest.skip("no PF-WILLOW: set VISUAL_SUMMARIES_DATA to the folder that holds pf-willow6")
    script = Path(__file__).parents[2] / "scripts" / "pf_willow_masks.py"
    subprocess.run([sys.executable, script, benchmark, tmp_path / "m"], check=True)
    folder, images = make_folder(1), benchmark / "car(S)"
    more = ["--target", "predicted", "--masks", str(tmp_path / "m" / "car(S)"), "--limit", "6"]
    assert main(folder.arguments(*more, images=images)) == 0
    run = Run(folder.out)
    truth = read_keypoints(run, benchmark)
    for image in run.ids:  # the mask is the box around the keypoints
        rows, columns = np.nonzero(run.mask(image).binary)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert truth.landmarks[image].extent == pytest.approx(box, abs=1.5)
    assert sum(name is not None for name in truth.lies_on) > 0.5 * len(run.parts)
    assert main(["evaluate", "summaries", str(folder.out), "--pf", str(benchmark), "--encoder", encoder]) == 0
    found = json.loads((folder.out / "evaluation" / "clusters.json").read_text())
    assert found["truth"] == "keypoints"
    assert 0 < found["rows"][1]["purity"] < 0.8
    assert found["rows"] == [row.to_json() for row in _again(run, truth, encoder)]


def _again(run, truth, encoder):
    with load_classifier(encoder) as classifier:
        vectors = crop_vectors(run, classifier, lambda done, total: None)
    return evaluate(run, truth=truth, vectors=vectors).rows
