"""The commands on a small run of the embedded world: a model folder, its page, leakage, errors, and the drop-in."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visual_summaries import specialize
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import read_image
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.masks.perturbation.schedule import Schedule, Stage
from visual_summaries.specialize.controls import METHODS
from visual_summaries.specialize.image_uses import ImageUse
from visual_summaries.specialize.model import read_model, save_model
from visual_summaries.specialize.options import TuningOptions
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.files import read_csv, read_json, write_json
from visual_summaries.summaries.store import Run

SPECIALISED = ("church", "steamer")


def test_a_model_folder_holds_the_split_and_no_pickle(home):
    assert {path.name for path in home.model.iterdir() if not path.name.startswith(".")} >= {
        "model.json", "model.npz", "images.csv", "summaries", "work",
    }  # fmt: skip
    uses = read_csv(home.model / "images.csv", ImageUse)
    roles = {role: {use.sha256 for use in uses if use.role == role} for role in {use.role for use in uses}}
    assert set(roles) == {"summary", "train", "tuning", "negative", "others_tuning", "others_evaluation"}
    assert sum(map(len, roles.values())) == len(set.union(*roles.values()))  # every image has one use
    with np.load(home.model / "model.npz", allow_pickle=False) as arrays:
        assert arrays["classes"].tolist() == [2, 5]
    model = read_model(home.model)
    kept = [one for name in SPECIALISED for one in Run(home.runs / name).summaries if one.kept]
    assert len(model.summaries) == len(kept) == len(list((home.model / "summaries").iterdir()))
    assert model.about["tuned"]["harm"] <= model.about["options"]["tuning"]["harm_limit"]


def test_the_evaluation_has_every_row_and_a_page(home, capsys):
    assert home.evaluate(home.model) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(home.model / "boost.html")
    found = json.loads((home.model / "boost.json").read_text())
    assert [row["method"] for row in found["rows"]] == list(METHODS)
    for row in found["rows"]:
        assert row["gain_low"] <= row["gain"] <= row["gain_high"]
        assert row["harm_low"] <= row["harm"] <= row["harm_high"]
    page = (home.model / "boost.html").read_text()
    pictures = re.findall(r'<img[^>]*src="([^"]+)"', page)
    assert "pareto.png" in pictures
    for name in pictures:
        assert Image.open(home.model / name).size[0] > 100
    assert not re.search(r'(src|href)="(https?:|/)', page)


def test_the_same_command_gives_the_same_model(home, tmp_path):
    assert home.specialize(tmp_path / "again") == 0
    for name in ("model.npz", "model.json", "images.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (home.model / name).read_bytes(), name
    assert home.specialize(tmp_path / "other", "--seed", "1") == 0
    assert (tmp_path / "other" / "images.csv").read_bytes() != (home.model / "images.csv").read_bytes()


def test_python_gives_the_model_of_the_command_line(home, tmp_path, capfd):
    steps = []
    options = specialize.SpecializeOptions(tuning=TuningOptions(costs=(1.0,), steps=5))
    with load_classifier("demo", weights="none") as classifier:
        found = specialize.specialize(
            [home.runs / SPECIALISED[0], Run(home.runs / SPECIALISED[1])],
            classifier,
            home.train,
            tmp_path / "model",
            others=home.others,
            options=options,
            progress=steps.append,
        )
        assert found.logits(classifier.empty(1)).shape == (1, 8)
    assert capfd.readouterr() == ("", "")
    assert {step.task for step in steps} >= {"training images", "other classes", "SVMs"}
    for name in ("model.npz", "images.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (home.model / name).read_bytes(), name


def frames(home) -> list[np.ndarray]:
    return [np.asarray(read_image(path).pixels) for path in sorted((home.val / "church").iterdir())]


@pytest.mark.parametrize("level", ["image", "window"])
def test_save_and_load_give_equal_outputs_and_the_drop_in_can_be_explained(home, tmp_path, level):
    folder = home.model
    if level == "window":
        folder = tmp_path / "window"
        assert (
            home.specialize(folder, "--set.features.level", "window", "--set.tuning.normalisations", "platt_filled")
            == 0
        )
    loaded = specialize.load(folder)
    with loaded:
        images = loaded.to_tensor(frames(home))
        with torch.inference_mode():
            logits = loaded(images)
            torch.testing.assert_close(logits, loaded.logits(images))
        assert logits.shape == (4, 8)
        save_model(tmp_path / "copy", read_model(folder))
        with (
            specialize.load(tmp_path / "copy", load_classifier("demo", weights="none")) as again,
            torch.inference_mode(),
        ):
            assert torch.equal(again(images), logits)
        masks = optimize(loaded, images[:2], logits[:2].argmax(1), Schedule(Stage(iterations=2), Stage(iterations=2)))
        assert masks.crisp.shape == (2, 1, 128, 128)


def test_what_the_drop_in_says_is_what_was_evaluated(home):
    assert home.evaluate(home.model) == 0
    found = read_json(home.model / "boost.json", Any)
    right = []
    with specialize.load(home.model) as loaded, torch.inference_mode():
        for name, index in (("church", 2), ("steamer", 5)):
            given = [np.asarray(read_image(path).pixels) for path in sorted((home.val / name).iterdir())]
            right += (loaded(loaded.to_tensor(given)).argmax(1) == index).tolist()
    assert found["specialised"]["top1_after"] == np.mean(right)


def test_images_that_were_seen_are_refused_by_name(home, tmp_path, capsys):
    seen = sorted((home.train / "church").iterdir())[0]
    folder = tmp_path / "val" / "church"
    folder.mkdir(parents=True)
    with Image.open(seen) as image:
        image.resize((100, 100), Image.Resampling.BICUBIC).convert("RGB").save(folder / "sneaky.jpg", quality=80)
    assert home.evaluate(home.model, val=tmp_path / "val") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "used in training" in error
    assert "sneaky.jpg" in error
    assert seen.name in error


def test_images_of_summaries_are_refused_unless_asked_for(home, tmp_path, capsys):
    uses = read_csv(home.model / "images.csv", ImageUse)
    member = next(Path(use.path) for use in uses if use.role == "summary")
    folder = tmp_path / "val" / member.parent.name
    folder.mkdir(parents=True)
    shutil.copy(member, folder / "new name.png")
    assert home.evaluate(home.model, val=tmp_path / "val") == 2
    assert "new name.png is" in capsys.readouterr().err
    assert home.evaluate(home.model, "--allow-summary-images", val=tmp_path / "val") == 0


def test_a_summary_can_be_left_out(home, tmp_path):
    before = [(row.run, row.summary) for row in read_model(home.model).summaries]
    name = next(name for name in SPECIALISED if sum(run == name for run, _ in before) > 1)
    assert home.specialize(tmp_path / "less", "--leave-out", f"{name}/0") == 0
    rows = [(row.run, row.summary) for row in read_model(tmp_path / "less").summaries]
    assert rows == [row for row in before if row != (name, 0)]


def test_parts_that_are_left_out_change_the_svms_of_their_class_alone(home, tmp_path):
    level = ("--set.features.level", "window")
    assert home.specialize(tmp_path / "all", *level) == 0
    before = read_model(tmp_path / "all")
    name = next(name for name in SPECIALISED if sum(row.run == name for row in before.summaries) > 1)
    number = next(row.summary for row in before.summaries if row.run == name)
    assert home.specialize(tmp_path / "less", *level, "--leave-out", f"{name}/{number}") == 0
    after = read_model(tmp_path / "less")
    weights = [
        {(row.run, row.summary): one for row, one in zip(model.summaries, model.method.svms.weights, strict=True)}
        for model in (before, after)
    ]
    assert set(weights[0]) - set(weights[1]) == {(name, number)}
    for key, own in weights[1].items():
        assert np.array_equal(own, weights[0][key]) == (key[0] != name)


def test_negatives_are_switched_on_and_off(home, tmp_path, capsys):
    assert home.specialize(tmp_path / "m", "--set.svm.no-others", "--set.svm.no-siblings") == 2
    assert "without both there are no negatives" in capsys.readouterr().err
    status = home.specialize(tmp_path / "siblings", "--set.svm.no-others")
    message = capsys.readouterr().err.splitlines()[-1]
    assert status == 0 or "a summary has no negatives" in message


def test_errors_say_what_to_do(home, tmp_path, capsys):
    def error(status: int, text: str) -> None:
        assert status == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert text in message
        assert message.startswith("visual-summaries: ")

    church = home.runs / "church"
    error(home.specialize(tmp_path / "m", runs=(church, church)), "both of class 2")
    error(home.specialize(tmp_path / "m", "--leave-out", "church/77"), "church/77 is no kept summary")
    error(home.specialize(tmp_path / "m", "--set.features.layer", "nowhere"), "no module 'nowhere'")
    error(
        home.specialize(tmp_path / "m", "--set.tuning.harm-limit", "-1"),
        "--set.tuning.harm-limit is -1.0: give at least 0",
    )
    error(home.specialize(tmp_path / "m", "--set.svm.rounds", "-1"), "--set.svm.rounds is -1: give at least 0")
    error(home.evaluate(tmp_path), "has no model.json")
    arguments = ["specialize", str(home.runs), "--train", str(home.train), "--out", str(tmp_path / "m")]
    error(main([*arguments]), "6 classes of the network have no run: give photographs of them with --others")
    (tmp_path / "odd").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "odd" / "who knows.png")
    error(main([*arguments, "--others", str(tmp_path / "odd")]), "names no class")


def test_a_model_of_another_network_is_refused(home, tmp_path):
    with pytest.raises(UserError, match="is not the network that"):
        specialize.load(home.model, load_classifier("demo:1", weights="none"))
    shutil.copytree(home.model, tmp_path / "model")
    info = read_json(tmp_path / "model" / "model.json", Any)
    write_json(tmp_path / "model" / "model.json", info | {"format": 99})
    with pytest.raises(UserError, match="has format 99"):
        specialize.load(tmp_path / "model")
