"""Help, wrong use and commands that only read answer without loading a library that takes long to load."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from visual_summaries.summaries.cli import COMMANDS
from visual_summaries.summaries.store import Run

ROOT = Path(__file__).parents[2]

HEAVY = {"torch", "torchvision", "timm", "joblib", "sklearn", "scipy", "skimage", "cv2", "matplotlib", "captum", "nltk"}

PROGRAM = """
import contextlib, io, json, sys
from visual_summaries.summaries.cli import main
answers = []
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(line)
    loaded = sorted({name.split(".")[0] for name in sys.modules} & set(json.loads(sys.argv[2])))
    answers.append([line, status, out.getvalue(), err.getvalue(), loaded])
json.dump(answers, sys.stdout)
"""

NEEDS = {
    "demo": [],
    "world": ["OUT"],
    "run": ["NOWHERE", "--out", "OUT", "--model", "lite0"],
    "masks": ["NOWHERE"],
    "cluster": ["NOWHERE"],
    "importance": ["NOWHERE"],
    "gallery": ["NOWHERE"],
    "status": ["NOWHERE"],
    "name": ["NOWHERE", "0", "funnel"],
    "specialize": ["NOWHERE", "--train", "NOWHERE", "--out", "OUT"],
    "evaluate masks": ["NOWHERE", "--out", "OUT"],
    "evaluate matching": ["NOWHERE", "--out", "OUT"],
    "evaluate summaries": ["NOWHERE"],
    "evaluate boost": ["NOWHERE", "--val", "NOWHERE"],
}
"""The least that each command takes, with folders that are not there."""

WRONG = {
    "demo": ["--seed", "first"],
    "world": ["OUT", "--images", "0"],
    "run": ["RUN", "--out", "OUT", "--model", "lite0", "--limit", "many"],
    "masks": ["RUN", "--set.masks.crisp.iterations", "few"],
    "cluster": ["RUN", "--set.affinity.damping", "3"],
    "importance": ["RUN", "--set.importance.level", "1"],
    "gallery": ["RUN", "RUN"],
    "status": ["RUN", "RUN"],
    "name": ["RUN", "first", "funnel"],
    "specialize": ["RUN", "--train", "NOWHERE", "--out", "OUT"],
    "evaluate masks": ["RUN", "--out", "OUT", "--seed", "first"],
    "evaluate matching": ["RUN", "--out", "OUT", "--proposals", "0"],
    "evaluate summaries": ["RUN", "--truth", "NOWHERE"],
    "evaluate boost": ["RUN", "--val", "RUN"],
}
"""A value of the wrong type or out of its range, one thing too many, or one of two folders that is not there."""


@pytest.fixture
def answers(done, tmp_path):
    """What the program answers to some command lines in one process of its own, and what it has loaded by then."""
    names = {"NOWHERE": str(tmp_path / "nowhere"), "OUT": str(tmp_path / "out"), "RUN": str(done)}

    def ask(*lines):
        lines = [[names.get(word, word) for word in line] for line in lines]
        command = [sys.executable, "-c", PROGRAM, json.dumps(lines), json.dumps(sorted(HEAVY))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        found = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "nowhere").exists()
        return found

    return ask


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_wrong_use_load_nothing_that_takes_long(name, answers):
    words = name.split()
    right = [[*words, "--help"], [*words, "--help-all"]]
    wrong = [[*words, "--colour", "red"], [*words, *NEEDS[name], "--colour", "red"], [*words, *WRONG[name]]]
    if NEEDS[name]:
        wrong.append(words)
        wrong += [[*words, *NEEDS[name]]] if "NOWHERE" in NEEDS[name] else []
    for line, status, out, err, loaded in answers(*right, *wrong):
        assert loaded == [], line
        assert status == (0 if line[-1].startswith("--help") else 2), (line, err)
        assert bool(out) == (status == 0)
        assert err.count("\n") == (status == 2), err


def test_naming_draws_and_loads_nothing(answers, copy):
    pictures = {path: path.stat().st_mtime_ns for path in (copy / "gallery" / "pictures").iterdir()}
    number = next(str(one.summary) for one in Run(copy).summaries if one.kept)
    for name in ("funnel", "chimney", ""):
        ((_, status, _, err, loaded),) = answers(["name", str(copy), number, name])
        assert (status, loaded) == (0, []), err
        assert ("funnel" in (copy / "gallery" / "index.html").read_text()) == (name == "funnel")
    assert pictures == {path: path.stat().st_mtime_ns for path in (copy / "gallery" / "pictures").iterdir()}


def test_commands_that_only_read_load_nothing_that_takes_long(answers):
    lines = [[], ["--help"], ["--version"], ["evaluate"], ["nothing"], ["status", "RUN"]]
    for line, _, _, _, loaded in answers(*lines):
        assert loaded == [], line
