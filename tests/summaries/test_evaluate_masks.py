"""`evaluate masks` on small runs: what it writes, that its figures are what they say, and what it refuses."""

import csv
import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image

from visual_summaries.masks.attribution.options import ExtremalOptions, RiseOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.metrics.faithfulness import most_salient, shape
from visual_summaries.masks.metrics.overlap import iou
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.perturb import parse_perturbation
from visual_summaries.masks.perturbation.schedule import preset
from visual_summaries.summaries import pipeline
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.cli.run import model_record
from visual_summaries.summaries.evaluation.mask_batches import optimised_against
from visual_summaries.summaries.evaluation.mask_methods import METHODS, OWN
from visual_summaries.summaries.evaluation.mask_metrics import PERTURBATIONS
from visual_summaries.summaries.evaluation.mask_tables import aligned
from visual_summaries.summaries.evaluation.masks import evaluate
from visual_summaries.summaries.files import write_json, write_npz, write_png
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.prefetch import read_ahead
from visual_summaries.summaries.store import Run

COLUMNS = [
    *("method", "perturbation", "drop_mean", "drop_var", "area", "regions", "top5_share"),
    *("deletion_auc", "insertion_auc"),
]


@pytest.fixture(scope="module", autouse=True)
def cheap():
    """Fewer steps of curves and of the methods that we compare with, and small pictures."""
    with pytest.MonkeyPatch.context() as patch:
        for kind, few in ((RiseOptions, {"masks": 8}), (ExtremalOptions, {"iterations": 2})):
            values = vars(kind())
            patch.setattr(
                kind, "__init__", lambda self, values=values, few=few, **given: _fill(self, **(values | given | few))
            )
        patch.setattr("visual_summaries.masks.metrics.faithfulness.fractions", lambda: [0.0, 0.2, 0.6, 1.0])
        patch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 48)
        patch.setattr("visual_summaries.summaries.evaluation.mask_figures._DPI", 40)
        yield


def _fill(options, **values):
    for name, value in values.items():
        object.__setattr__(options, name, value)


@pytest.fixture(scope="module")
def folder(make_folder):
    made = make_folder(5)
    network = made.home / "network.py"
    text = network.read_text()
    # the same function, by way of a feature map
    text = text.replace("super().__init__()", "super().__init__()\n        self.pool = nn.AvgPool2d(8)")
    old = "energy = (images - smooth).square().mean(1)[:, 24:72, 24:72].mean((1, 2))"
    assert old in text
    text = text.replace(old, "energy = self.pool((images - smooth).square())[:, :, 3:9, 3:9].mean((1, 2, 3))")
    network.write_text(text)
    return made


def make_masks(images, out, spec, **options):
    """The first two stages of a run."""
    weights = options.pop("weights", None)
    classifier = load_classifier(spec, weights=weights)
    model = model_record(spec, weights, InputFormat())
    schedule = preset("compact")
    short = {
        one.name: replace(getattr(schedule, one.name), iterations=2)
        for one in fields(schedule)
        if hasattr(getattr(schedule, one.name), "iterations")
    }
    settings = Settings(masks=replace(schedule, **short, batch=2))
    job = pipeline.Job(folder=images, out=out, model=model, settings=settings, **options)
    pipeline.run(job, classifier, until="masks")


@pytest.fixture(scope="module")
def runs(folder):
    """Two runs with three and two images, masks only."""
    found = []
    for name, images in (("first", range(3)), ("second", range(3, 5))):
        source = folder.home / name / "textured"
        source.mkdir(parents=True)
        for number in images:
            shutil.copy(folder.photographs / f"p{number}.png", source)
        found.append(folder.home / f"run-{name}")
        make_masks(source, found[-1], folder.model)
    return found


@pytest.fixture(scope="module")
def evaluated(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated")
    assert main(["evaluate", "masks", "--trust", *map(str, runs), "--out", str(out), "--device", "cpu"]) == 0
    return out


@pytest.fixture(scope="module")
def found(evaluated):
    return json.loads((evaluated / "masks.json").read_text())


@pytest.fixture
def copy(runs, tmp_path):
    """A run that a test may change."""
    shutil.copytree(runs[0], tmp_path / "run")
    return tmp_path / "run"


def rows_of(found, method, perturbation="blur:10"):
    return next(row for row in found["rows"] if (row["method"], row["perturbation"]) == (method, perturbation))


# --- what is written -----------------------------------------------------------------------------------------


def test_there_is_a_row_for_each_method_and_perturbation(found):
    names = found["perturbations"]["optimised"] + found["perturbations"]["unseen"]
    assert set(names) > set(PERTURBATIONS) - {"blur:10"}
    assert [list(row) for row in found["rows"]] == [COLUMNS] * (len(METHODS) * len(names))
    assert [(row["method"], row["perturbation"]) for row in found["rows"]] == [(m, n) for m in METHODS for n in names]
    assert found["images"] == 5
    assert found["collapsed"]["count"] == len(found["collapsed"]["images"])
    assert found["skipped"] == []


def test_the_csv_holds_the_same_figures(evaluated, found):
    with (evaluated / "masks.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == COLUMNS
    for row, expected in zip(rows, found["rows"], strict=True):
        assert row["method"] == expected["method"]
        assert [float(row[name]) for name in COLUMNS[2:]] == [expected[name] for name in COLUMNS[2:]]


def test_perturbations_are_told_apart_by_what_the_run_says(found, runs):
    optimised, unseen = found["perturbations"]["optimised"], found["perturbations"]["unseen"]
    assert sorted(optimised) == sorted(optimised_against(Run(runs[0])))
    assert set(optimised) | set(unseen) == set(PERTURBATIONS) | set(optimised)
    assert not set(optimised) & set(unseen)
    assert "noise:0.25" in unseen


def test_the_figures_are_pictures_and_the_table_has_the_papers_layout(evaluated, capfd):
    for name in ("masks.png", "examples.png"):
        picture = np.asarray(Image.open(evaluated / name).convert("RGB"))
        assert picture.std() > 5
    text = (evaluated / "table.md").read_text()
    assert "0.99738" in text
    assert "0.97704" in text
    assert "0.99964" in text


def test_the_same_seed_gives_the_same_figures_and_another_one_other_random_masks(runs, evaluated, found, tmp_path):
    for seed in (0, 1):
        given = [*map(str, runs), "--out", str(tmp_path / str(seed)), "--seed", str(seed), "--no-sanity"]
        assert main(["evaluate", "masks", "--trust", *given, "--device", "cpu"]) == 0
    again, other = (json.loads((tmp_path / str(seed) / "masks.json").read_text()) for seed in (0, 1))
    assert again["rows"] == found["rows"]
    assert again["sanity"] is None
    assert (tmp_path / "0" / "masks.png").read_bytes() == (evaluated / "masks.png").read_bytes()
    assert rows_of(other, "binary") == rows_of(found, "binary")
    assert rows_of(other, "random") != rows_of(found, "random")


# --- that it is right ----------------------------------------------------------------------------------------


def test_drops_under_the_reported_blur_are_those_of_the_runs(found, runs):
    for method in ("smooth", "crisp", "binary"):
        drops = [getattr(row, f"drop_{method}") for run in runs for row in Run(run).masks.values()]
        areas = [getattr(row, f"area_{method}") for run in runs for row in Run(run).masks.values()]
        row = rows_of(found, method)
        assert row["drop_mean"] == pytest.approx(np.mean(drops), abs=1e-5)
        assert row["drop_var"] == pytest.approx(np.var(drops), abs=1e-6)
        assert row["area"] == pytest.approx(np.mean(areas), abs=1e-4)


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_the_thresholded_smooth_mask_by_hand(found, runs, folder, perturbation):
    classifier = load_classifier(folder.model)
    drops, areas, regions = [], [], []
    with classifier, torch.inference_mode():
        for run in map(Run, runs):
            for image in run.ids:
                masks, frame = run.mask(image), classifier.to_tensor([run.frame(image)])
                mask = most_salient(masks.smooth, float(masks.crisp.mean(dtype=np.float64)))
                background = parse_perturbation(perturbation).background(frame)
                seen = torch.where(torch.from_numpy(mask), background, frame)
                p0, p = (float(classifier.logits(x).double().softmax(1)[0, 0]) for x in (frame, seen))
                drops.append((p0 - p) / p0)
                areas.append(mask.mean())
                regions.append(shape(mask).regions)
                assert mask.sum() == round(masks.crisp.mean(dtype=np.float64) * mask.size)
    row = rows_of(found, "smooth_thresholded", perturbation)
    assert row["drop_mean"] == pytest.approx(np.mean(drops), abs=1e-5)
    assert row["drop_var"] == pytest.approx(np.var(drops), abs=1e-5)
    assert row["area"] == pytest.approx(np.mean(areas))
    assert row["regions"] == np.median(regions)


def test_all_that_is_compared_has_the_area_of_the_binary_mask(found):
    area = rows_of(found, "binary")["area"]
    for method in METHODS[len(OWN) :]:
        assert rows_of(found, method)["area"] == pytest.approx(area, abs=1e-6)
    assert rows_of(found, "disc")["regions"] == 1


def test_an_images_figures_do_not_depend_on_the_others(runs, folder):
    def values(chosen):
        with load_classifier(folder.model) as classifier:
            rows = evaluate(chosen, classifier, seed=0, baselines=True, tick=lambda done, total: None).rows
        return {(row.method, row.perturbation): row for row in rows}

    both, first, second = (values([Run(run) for run in chosen]) for chosen in (runs, runs[:1], runs[1:]))
    for key, row in both.items():
        for name in ("drop_mean", "deletion_auc", "insertion_auc", "area"):
            expected = (3 * getattr(first[key], name) + 2 * getattr(second[key], name)) / 5
            assert getattr(row, name) == pytest.approx(expected, abs=1e-5), (key, name)


def test_the_sanity_check_compares_with_chance(found, runs):
    sanity = found["sanity"]
    assert sanity["images"] == 5
    assert 0 <= sanity["mean_iou"] <= 1
    masks = [run.mask(image).binary for run in map(Run, runs) for image in run.ids]
    every = [
        np.mean([iou(mask, np.roll(kind, (dy, dx), (0, 1))) for dy in range(0, 96, 8) for dx in range(0, 96, 8)])
        for mask in masks
        for kind in (mask, mask[:, ::-1])
    ]
    assert sanity["random_iou"] == pytest.approx(np.mean(every), abs=0.03)


# --- collapsed masks -----------------------------------------------------------------------------------------


def test_collapsed_masks_are_counted_and_listed(copy, tmp_path):
    ids = Run(copy).ids
    for image, value in ((ids[0], 0.0), (ids[2], 1.0)):
        mask = np.full((96, 96), value, np.float16)
        write_npz(copy / "masks" / f"{image}.npz", smooth=mask, crisp=mask, history=np.zeros(1))
        write_png(copy / "masks" / f"{image}.png", mask > 0.5)
    assert (
        main(
            [
                "evaluate",
                "masks",
                "--trust",
                str(copy),
                "--out",
                str(tmp_path / "out"),
                "--no-sanity",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    found = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert found["collapsed"] == {
        "count": 2,
        "images": [
            {"run": "run", "image": ids[0], "mask": "empty"},
            {"run": "run", "image": ids[2], "mask": "full"},
        ],
    }
    assert f"run/{ids[0]} (empty), run/{ids[2]} (full)" in (tmp_path / "out" / "table.md").read_text()
    assert rows_of(found, "disc")["area"] == pytest.approx(rows_of(found, "binary")["area"])
    assert all(np.isfinite(row[name]) for row in found["rows"] for name in COLUMNS[2:])


def test_the_stage_counts_them_too(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for number in range(5):
        mask = np.full((96, 96), float(number == 0), np.float32)
        mask[: 30 * (number > 1)] = 1
        write_npz(elsewhere / f"p{number}.npz", mask=mask)
    make_masks(folder.photographs, tmp_path / "run", folder.model, masks=elsewhere)
    counts = Run(tmp_path / "run").info["stages"]["masks"]["counts"]
    assert counts["collapsed"] == 2
    given = [str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--device", "cpu", "--no-baselines"]
    assert main(["evaluate", "masks", "--trust", *given]) == 0
    found = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert found["perturbations"]["optimised"] == []  # nobody knows
    assert found["sanity"] is None
    assert [row["method"] for row in found["rows"]] == [m for m in OWN for _ in PERTURBATIONS]
    assert {one["mask"] for one in found["collapsed"]["images"]} == {"empty", "full"}


# --- other networks, wrong use -------------------------------------------------------------------------------


def test_a_vision_transformer(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("visual_summaries.summaries.evaluation.mask_metrics.PERTURBATIONS", ("blur:10",))
    monkeypatch.setattr("visual_summaries.masks.metrics.faithfulness.fractions", lambda: [0.0, 1.0])
    home = tmp_path / "photos"
    home.mkdir()
    shutil.copy(folder.photographs / "p0.png", home)
    make_masks(home, tmp_path / "run", "timm:vit_tiny_patch16_224", weights="none", target="predicted")
    given = [str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["evaluate", "masks", "--trust", *given]) == 0
    found = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert [row["method"] for row in found["skipped"]] == ["gradcam"]
    assert "not laid out as" in found["skipped"][0]["reason"]
    assert {row["method"] for row in found["rows"]} == set(METHODS) - {"gradcam"}
    assert found["sanity"]["images"] == 1
    assert "Grad-CAM was skipped" in (tmp_path / "out" / "table.md").read_text()


def test_wrong_use_is_one_line_that_says_what_to_do(runs, copy, tmp_path, capfd):
    def message(*given):
        assert main(["evaluate", "masks", "--trust", *map(str, given), "--out", str(tmp_path / "out")]) == 2
        return capfd.readouterr().err

    assert "not a run folder" in message(tmp_path / "nowhere")
    assert "give one run folder" in message()
    info = json.loads((copy / "run.json").read_text())
    changed = json.loads(json.dumps(info))
    changed["config"]["settings"]["masks"]["smooth"]["iterations"] += 1
    write_json(copy / "run.json", changed)
    assert "differ in their options of masks: evaluate them separately" in message(runs[0], copy)
    changed = json.loads(json.dumps(info))
    changed["model"]["fingerprint"] = "another"
    write_json(copy / "run.json", changed)
    assert "differ in their network: evaluate them separately" in message(runs[0], copy)
    del info["stages"]["masks"]
    write_json(copy / "run.json", info)
    assert "has no masks yet" in message(copy)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_runs_stands_for_its_runs(runs, tmp_path):
    for run in runs:
        shutil.copytree(run, tmp_path / "runs" / run.name)
    given = [str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--no-baselines", "--no-sanity", "--device", "cpu"]
    assert main(["evaluate", "masks", "--trust", *given]) == 0
    found = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert found["runs"] == [run.name for run in runs]
    assert found["images"] == 5


# --- parts ---------------------------------------------------------------------------------------------------


def test_perturbations_of_stages_that_make_no_pass_do_not_count(copy):
    run = Run(copy)
    run.info["config"]["settings"]["masks"] = {
        "one": {"iterations": 3, "perturbations": ["blur:10", "noise:0.1"]},
        "two": {"iterations": 0, "perturbations": ["blur:5"]},
        "three": {"iterations": 1, "perturbations": ["pyramid:10", "blur:10"]},
        "batch": 8,
    }
    assert optimised_against(run) == ["blur:10", "noise:0.1", "pyramid:10"]


def test_frames_are_read_ahead_one_batch_and_in_order(runs, monkeypatch):
    run = Run(runs[0])
    rows = [row for row in run.images if row.status == "ok"]
    expected = {row.id: run.frame(row.id) for row in rows}
    asked = []
    frame = Run.frame
    monkeypatch.setattr(Run, "frame", lambda self, image: asked.append(image) or frame(self, image))
    batches = [[row] for row in rows] * 3
    found = []
    for number, frames in enumerate(read_ahead(run, batches)):
        assert len(asked) <= number + 2
        found += frames
    assert len(found) == 9
    for (row,), picture in zip(batches, found, strict=True):
        assert np.array_equal(picture, expected[row.id])
    assert list(read_ahead(run, [])) == []


def test_a_frame_that_is_gone_is_an_error_where_it_is_needed(runs, copy):
    run = Run(copy)
    rows = [row for row in run.images if row.status == "ok"]
    (copy / "frames" / f"{rows[1].id}.png").unlink()
    frames = read_ahead(run, [[row] for row in rows])
    next(frames)
    with pytest.raises(UserError, match="is not there"):
        next(frames)


def test_tables_are_aligned():
    lines = aligned([["a", "long head"], ["longer", "1"]])
    assert lines == ["| a      | long head |", "|--------|----------:|", "| longer |         1 |"]
