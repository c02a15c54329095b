"""Whether summaries mean anything: planted clusters, the third encoder, keypoints, and the whole command."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from clustering.stability import StabilityOptions
from masks.errors import UserError
from masks.images import Frame
from masks.models import load_classifier
from summaries.cli import main
from summaries.cluster_evaluation import METHODS, evaluate, table
from summaries.cluster_page import MEASURES
from summaries.crops import BATCH, crop, crop_vectors, third_encoder
from summaries.store import Run, read_json, write_json
from summaries.truth import find_truth, read_keypoints, read_truth, score

ENCODER = """
import torch
from torch import nn


def build():
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 3),
    )
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network


def other():
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network


def without_linear():
    network = nn.Sequential(nn.Conv2d(3, 3, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network
"""

QUICK = StabilityOptions(seeds=1, samples=4)


@pytest.fixture
def encoder(tmp_path):
    (tmp_path / "encoder.py").write_text(ENCODER)
    return f"{tmp_path / 'encoder.py'}:build"


def vectors_of(run, encoder):
    with load_classifier(encoder) as classifier:
        return crop_vectors(run, classifier, lambda done, total: None)


# --- planted clusters ----------------------------------------------------------------------------------------


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
    own, random, kmeans, _ = (row.figures for row in found.rows)
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
    row = evaluate(case.run, options=QUICK).rows[0].figures
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
    assert own.purity == found.rows[0].figures.purity == 0.75
    assert random.purity == found.rows[1].figures.purity
    assert {number: one.part for number, one in own.majorities.items()} == {0: "bow", 1: "hull"}


def test_work_that_was_deleted_or_is_of_other_parts(planted):
    case = planted()
    boxes = read_json(case.run.path / "run.json")
    file = case.run.path / "work" / "similarity.npz"
    text = (case.run.path / "parts.csv").read_text().splitlines()
    (case.run.path / "parts.csv").write_text("\n".join(text[:-1]) + "\n")
    with pytest.raises(UserError, match=re.escape(f"`visual-summaries cluster {case.run.path}` makes it again")):
        evaluate(Run(case.run.path), options=QUICK)
    file.unlink()
    with pytest.raises(UserError, match=re.escape(f"`visual-summaries cluster {case.run.path}` makes it again")):
        evaluate(Run(case.run.path), options=QUICK)
    assert boxes == read_json(case.run.path / "run.json")


# --- truth ---------------------------------------------------------------------------------------------------


def test_a_watermark_is_a_landmark_but_none_of_the_object(planted, tmp_path):
    case = planted()
    world = tmp_path / "world"
    (world / "truth").mkdir(parents=True)
    shutil.copytree(case.truth, world / "truth" / "boat")
    kind = {"name": "boat", "telling": ["flag"], "marked": True}
    write_json(world / "world.json", {"classes": [kind], "mark": {"part": "hull"}})
    truth = read_truth(case.run, world)
    assert truth.wanted == ["flag", "hull"]
    assert find_truth(case.run, world) == (world / "truth" / "boat", ["flag", "hull"])
    differ = 0
    for image, known in truth.landmarks.items():
        assert known.points.keys() == {"bow", "funnel", "flag", "hull"}
        with np.load(case.truth / f"{image}.npz") as pixels:
            rows, columns = np.nonzero(pixels["bow"] | pixels["funnel"] | pixels["flag"])
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert known.extent.tolist() == expected
        differ += read_truth(case.run, case.truth).landmarks[image].extent.tolist() != expected
    assert differ > 0
    found = evaluate(case.run, truth=truth, options=QUICK)
    assert found.rows[0].figures.recall == 1


def test_truth_that_is_not_there(planted, tmp_path):
    case = planted()
    with pytest.raises(UserError, match="not a folder"):
        read_truth(case.run, tmp_path / "nowhere")
    (case.truth / "i3.npz").unlink()
    with pytest.raises(UserError, match=r"i3\.npz is missing"):
        read_truth(case.run, case.truth)


@pytest.mark.parametrize("resize", [40, None])
@pytest.mark.parametrize("size", [(90, 60), (60, 90)])
def test_keypoints_are_moved_into_the_frame(planted, tmp_path, resize, size):
    run = planted().run
    keypoints = np.array([[26.5, 30.5], [44.5, 24.5], [1.5, 1.5]])
    pixels = np.zeros((size[0], size[1], 3), np.uint8)
    for k, (x, y) in enumerate(keypoints):
        pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2, k] = 255
    folder = tmp_path / "pf" / "boat"
    folder.mkdir(parents=True)
    for image in run.ids:
        Image.fromarray(pixels).save(folder / f"{image}.png")
        savemat(folder / f"{image}.mat", {"pts_coord": keypoints.T})
    info = run.info | {"frame": {"size": [32, 32], "resize": resize, "interpolation": "bilinear"}}
    write_json(run.path / "run.json", info)
    height, width = size
    table_of = (run.path / "images.csv").read_text().replace(",96,96,", f",{width},{height},")
    (run.path / "images.csv").write_text(table_of)
    frame = Frame((32, 32), resize, "bilinear").cut(Image.fromarray(pixels))
    for given in (tmp_path / "pf", folder):
        truth = read_keypoints(Run(run.path), given)
        assert truth.wanted == ["keypoint 1", "keypoint 2", "keypoint 3"]
        points = truth.landmarks["i0"].points
        for k in range(3):
            weight = frame[..., k].astype(float)
            if resize is not None and k == 2:
                assert "keypoint 3" not in points  # cut off
                continue
            y, x = np.mgrid[:32, :32] + 0.5
            centre = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
            assert points[f"keypoint {k + 1}"] == pytest.approx(centre, abs=0.35)
        assert ((truth.landmarks["i0"].extent >= 0) & (truth.landmarks["i0"].extent <= 32)).all()
    Image.fromarray(pixels[:-1]).save(folder / "i2.png")
    with pytest.raises(UserError, match="does not hold i2"):
        read_keypoints(Run(run.path), folder)
    with pytest.raises(UserError, match="give the folder of PF-WILLOW"):
        read_keypoints(Run(run.path), tmp_path / "nowhere")
    Image.fromarray(pixels).save(folder / "i2.png")
    folder.rename(folder.with_name("ship"))
    with pytest.raises(UserError, match="holds no class 'boat'"):
        read_keypoints(Run(run.path), tmp_path / "pf")


# --- the third encoder ---------------------------------------------------------------------------------------


def test_vectors_are_what_enters_the_last_linear_layer(planted, encoder):
    run = planted(images=BATCH // 4 + 2).run
    told = []
    with load_classifier(encoder) as classifier:
        found = crop_vectors(run, classifier, lambda done, total: told.append((done, total)))
        network = classifier.network
        for place in (0, BATCH - 1, BATCH, len(run.parts) - 1):
            part = run.parts[place]
            x0, y0, x1, y1 = map(int, part.box)
            inside = torch.from_numpy(run.frame(part.image)[y0:y1, x0:x1].copy()).permute(2, 0, 1)[None].float() / 255
            large = torch.nn.functional.interpolate(inside, (32, 32), mode="bicubic", align_corners=False).clip(0, 1)
            with torch.inference_mode():
                expected = network[:-1]((large - 0.5) / 0.25)[0].numpy()
            assert np.dot(found[place], expected) > 0.999 * np.linalg.norm(found[place]) * np.linalg.norm(expected)
        assert not network[-1]._forward_pre_hooks
    assert found.shape == (len(run.parts), 20)
    assert told == [(BATCH, len(run.parts)), (len(run.parts), len(run.parts))]


def test_a_crop_is_what_lies_in_the_box():
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(crop(frame, (10.0, 5.0, 42.0, 37.0), (32, 32)), frame[5:37, 10:42])
    assert crop(frame, (0.0, 0.0, 60.0, 40.0), (16, 8)).shape == (16, 8, 3)


def test_the_encoder_is_none_that_took_part(planted, encoder, monkeypatch):
    run = planted().run
    asked = []
    monkeypatch.setattr("summaries.crops.load_classifier", lambda name, device: asked.append(name) or Stub("1"))
    third_encoder(run, None, torch.device("cpu"))
    run.info["model"]["spec"] = "lite0"
    third_encoder(run, None, torch.device("cpu"))
    third_encoder(run, "timm:resnet18", torch.device("cpu"))
    assert asked == ["lite0", "lite1", "timm:resnet18"]
    run.info["model"]["fingerprint"] = "1"
    with pytest.raises(UserError, match="is the network that"):
        third_encoder(run, "lite0", torch.device("cpu"))


class Stub:
    def __init__(self, mark):
        self.mark = mark

    def fingerprint(self):
        return self.mark


def test_no_package_with_weights_is_a_reason_and_a_named_encoder_an_error(planted, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name.startswith("efficientnet_") else find(name, *rest)
    )
    run = planted().run
    third = third_encoder(run, None, torch.device("cpu"))
    assert third.classifier is None
    assert "visual-summaries[lite]" in third.reason
    with pytest.raises(UserError, match="lite1"):
        third_encoder(run, "lite1", torch.device("cpu"))


def test_a_network_without_linear_layers_is_refused(planted, encoder):
    with (
        load_classifier(encoder.replace(":build", ":without_linear")) as classifier,
        pytest.raises(UserError, match="no linear layer"),
    ):
        crop_vectors(planted().run, classifier, lambda done, total: None)


# --- the command ---------------------------------------------------------------------------------------------


def test_the_command_from_photographs_to_the_page(make_folder, encoder, capsys):
    folder = make_folder(6)
    assert main(folder.arguments()) == 0
    capsys.readouterr()
    command = ["evaluate", "summaries", str(folder.out), "--encoder", encoder, "--device", "cpu"]
    assert main(command) == 0
    shown = capsys.readouterr().out.splitlines()
    page = folder.out / "evaluation" / "clusters.html"
    assert shown[-1] == str(page)
    found = read_json(folder.out / "evaluation" / "clusters.json")
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
    found = read_json(case.run.path / "evaluation" / "clusters.json")
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
        info = read_json(case.run.path / "run.json")
        info["stages"]["matching"]["counts"]["descriptor"] = "deep"
        if spec is not None:
            with load_classifier(spec) as classifier:
                info["model"] = {"spec": spec, "fingerprint": classifier.fingerprint()}
            kind = {"input_size": None, "mean": None, "std": None, "classes": None}
            info["config"]["model"] = {"spec": spec, "weights": None, "input": kind}
        write_json(case.run.path / "run.json", info)
        assert main(command) == 0
        assert ("k-means is on HOG" in capsys.readouterr().err) == (spec is None)
        found.append(read_json(case.run.path / "evaluation" / "clusters.json")["rows"])
    assert found[0][2]["ari_seeds"] != found[1][2]["ari_seeds"]  # blind to what tells the parts apart
    assert found[0][:2] == found[1][:2]


def test_names_are_escaped(planted, encoder):
    case = planted()
    data = read_json(case.run.path / "summaries.json")
    data[0]["name"] = "<script>alert(1)</script>"
    write_json(case.run.path / "summaries.json", data)
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
