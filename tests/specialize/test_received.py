"""Folders that somebody sent: a Python file that their record names is run only where the user says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from visual_summaries import specialize
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.networks.reload import load_recorded
from visual_summaries.specialize.blend import plain_blend
from visual_summaries.specialize.description import SummaryRow
from visual_summaries.specialize.features import Tap
from visual_summaries.specialize.model import Model, save_model
from visual_summaries.specialize.svm import Svms
from visual_summaries.specialize.tuning import Method
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.files import write_csv, write_json
from visual_summaries.summaries.store import ImageRow

PLAIN_INPUT = {"input_size": None, "mean": None, "std": None, "classes": None}

SENT = """
from pathlib import Path

import torch
from torch import nn

(Path(__file__).parent / "marker").touch()


def build():
    (Path(__file__).parent / "marker").touch()
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network
"""


def model_of(classifier: Classifier, config: dict) -> Model:
    """A model of one SVM for class 1 on what enters the last layer."""
    svms = Svms(np.zeros(1, np.int64), np.ones((1, 64), np.float32), np.zeros(1, np.float32))
    method = Method("summaries", svms, plain_blend(np.array([1]), svms.owner, "platt").at(0.5), 1.0)
    about = {
        "model": {"spec": classifier.spec, "fingerprint": classifier.fingerprint(), "config": config},
        "classes": [{"index": 1, "name": "b", "wordnet": ""}],
        "options": {"tuning": {"harm_limit": 0.5}},
        "seed": 0,
        "tuned": {
            **{"cost": 1.0, "normalisation": "platt", "weight": 0.5, "gain": 0.0, "harm": None},
            **{"images": 2, "others": 0},
        },
    }
    return Model(Tap("3", "input"), [method], [SummaryRow("b", 0, "", 0, 4)], about)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A file that leaves a marker when it is run, and a run and a model folder that name it."""
    file = tmp_path / "sent.py"
    file.write_text(SENT)
    spec = f"{file}:build"
    config = {"spec": spec, "weights": None, "input": PLAIN_INPUT}
    classifier = load_classifier(spec)
    save_model(tmp_path / "model", model_of(classifier, config))
    (tmp_path / "model" / "images.csv").write_text("path,sha256,phash,label,role\n")
    info = {
        "format": 1,
        "versions": {},
        "seed": 0,
        "device": "cpu",
        "model": {"spec": spec, "fingerprint": classifier.fingerprint()},
        "target": {"index": 1, "name": "b", "wordnet": ""},
        "frame": {"size": [32, 32]},
        "config": {
            **{"images": "b", "target": "b", "limit": None, "keep_misclassified": False, "masks": None},
            **{"preset": "compact", "model": config, "settings": {"masks": {}, "binary": {}}},
        },
        "stages": {
            name: {"status": "done", "inputs": {}, "counts": {}} for name in ("images", "masks", "matching", "clusters")
        },
    }
    write_json(tmp_path / "run" / "run.json", info)
    write_csv(tmp_path / "run" / "images.csv", ImageRow, [ImageRow("a", "a.png", "0" * 64, 32, 32, "ok", "", 1, 0.5)])
    (tmp_path / "train" / "b").mkdir(parents=True)
    (tmp_path / "marker").unlink()
    return tmp_path


def test_no_command_and_no_call_runs_a_file_that_a_folder_names(sent, capsys):
    run, model, out = sent / "run", sent / "model", sent / "out"
    photographs = str(sent / "train")
    for command in (
        ["specialize", str(run), "--train", photographs, "--out", str(out)],
        ["evaluate", "masks", str(run), "--out", str(out)],
        ["evaluate", "boost", str(model), "--val", photographs],
    ):
        assert main([*command, "--device", "cpu"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "sent.py:build" in line
        assert "--model" in line
        assert "--trust" in line
    for call in (
        lambda: specialize.load(model),
        lambda: load_recorded(json.loads((run / "run.json").read_text())["config"]["model"], "", run, "cpu"),
    ):
        with pytest.raises(UserError, match="trust=True"):
            call()
    assert not (sent / "marker").exists()


def test_a_file_is_run_where_the_user_says_so(sent):
    assert specialize.load(sent / "model", device="cpu", trust=True).spec.startswith(str(sent / "sent.py"))
    (sent / "marker").unlink()
    config = json.loads((sent / "run" / "run.json").read_text())["config"]["model"]
    known = load_classifier(config["spec"]).fingerprint()
    moved = sent / "here" / "mine.py"
    moved.parent.mkdir()
    shutil.copy(sent / "sent.py", moved)
    (sent / "marker").unlink()
    found = load_recorded(config, known, sent / "run", "cpu", given=f"{moved}:build")  # wherever it is now
    assert found.fingerprint() == known
    assert not (sent / "marker").exists()  # what is run is what was given
    moved.write_text(SENT.replace("manual_seed(3)", "manual_seed(4)"))
    with pytest.raises(UserError, match="is not the network that"):
        load_recorded(config, known, sent / "run", "cpu", given=f"{moved}:build")


def test_networks_of_libraries_need_no_trust(tmp_path):
    config = {"spec": "timm:resnet10t", "weights": "none", "input": PLAIN_INPUT}
    known = load_classifier("timm:resnet10t", weights="none").fingerprint()
    assert load_recorded(config, known, tmp_path, "cpu").fingerprint() == known


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": "nowhere.pt"}, "weights .* are not there"),
        ({"weights": "/dev/zero"}, "weights .* are not there"),
        ({"weights": "a\0b"}, "weights .* are not there"),
        ({"input": PLAIN_INPUT | {"classes": "nowhere.txt"}}, "class names .* are not there"),
        ({"input": PLAIN_INPUT | {"classes": "/dev/zero"}}, "class names .* are not there"),
        ({"input": PLAIN_INPUT | {"input_size": [0, 3]}}, "is no size"),
        ({"input": PLAIN_INPUT | {"mean": [1, 2]}}, "does not say which network"),
        ({"input": PLAIN_INPUT | {"std": ["a", 1, 1]}}, "does not say which network"),
        ({"input": []}, "does not say which network"),
        ({"spec": 3}, "does not say which network"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, change, said):
    config = {"spec": "timm:resnet10t", "weights": "none", "input": PLAIN_INPUT} | change
    with pytest.raises(UserError, match=said):
        load_recorded(config, "", tmp_path, "cpu")
