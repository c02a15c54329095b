"""The command line: help, and one line that says what to do for whatever a user gets wrong."""

import errno
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import visual_summaries
from visual_summaries.summaries.cli import COMMANDS, main
from visual_summaries.summaries.cli import run as run_command
from visual_summaries.summaries.cli.commands import Command, find_commands
from visual_summaries.summaries.store import Run

ROOT = Path(__file__).parents[2]


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.fixture(scope="module")
def folder(make_folder):
    return make_folder(3)


# --- help ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_a_command_to_copy(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    last = capsys.readouterr().out.rpartition("\n\n")[2]
    assert last.startswith("Example: visual-summaries ")
    assert f"visual-summaries {name} " in last.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_one_screen(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 45
    assert max(len(line) for line in lines if "visual-summaries " not in line) <= 100


@pytest.mark.parametrize("name", ["run", "masks", "cluster", "specialize"])
def test_all_options_are_told_on_request(name, capsys):
    """Help tells those that are no --set.STAGE.NAME, and of these only the example's."""
    assert main([name, "--help-all"]) == 0
    every = set(re.findall(r"^│? *(--[a-z][\w.-]*)", capsys.readouterr().out, re.MULTILINE))
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    brief = set(re.findall(r"^│? *(--[a-z][\w.-]*)", shown, re.MULTILINE))
    assert any(option.startswith("--set.") for option in every)
    assert brief == {option for option in every if not option.startswith("--set.")}
    assert f"{name} --help-all" in shown


@pytest.mark.parametrize(
    ("folders", "page"), [(["out"], "out/gallery/index.html"), (["out/cat", "out/dog"], "out/index.html")]
)
def test_the_last_line_of_run_is_the_path_of_the_page(monkeypatch, capsys, folders, page):
    runs = [SimpleNamespace(path=Path(folder)) for folder in folders]
    monkeypatch.setattr(run_command, "run_folders", lambda options: runs)
    assert main(["run", "photos", "--out", "out", "--model", "demo"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == page


def test_the_overview_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert "Example:" in shown
    assert main([]) == 2


def test_a_group_of_commands_lists_them(capsys):
    assert main(["evaluate"]) == 2
    shown = capsys.readouterr().out
    assert main(["evaluate", "--help"]) == 0
    assert capsys.readouterr().out == shown
    for name, command in COMMANDS.items():
        assert (command.text in shown) == name.startswith("evaluate ")


def test_every_package_may_bring_commands(tmp_path, monkeypatch):
    """The command line names no package: it finds a module of commands by its place."""
    room = tmp_path / "extra" / "cli"
    room.mkdir(parents=True)
    for folder in (room, room.parent):
        (folder / "__init__.py").write_text("")
    (room / "commands.py").write_text('COMMANDS = {"greet": "greets", "evaluate greetings": "counts them"}')
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "__init__.py").write_text("")  # a package without commands
    monkeypatch.setattr(visual_summaries, "__path__", [*visual_summaries.__path__, str(tmp_path)])
    found = find_commands()
    assert found["greet"] == Command("greets", "visual_summaries.extra.cli.greet")
    assert found["evaluate greetings"].module == "visual_summaries.extra.cli.evaluate_greetings"
    assert {name: found[name] for name in COMMANDS} == COMMANDS
    assert [" " in name for name in found] == sorted(" " in name for name in found)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["visual-summaries", version("visual-summaries")]


def test_the_module_is_the_program(tmp_path):
    def call(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        given = [sys.executable, "-m", "visual_summaries", *arguments]
        return subprocess.run(given, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    shown = call("--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("usage: visual-summaries COMMAND")
    assert call("nonsense").returncode == 2  # the status reaches the shell


# --- wrong input ---------------------------------------------------------------------------------------------


def test_no_folder(folder, fails):
    assert "does not exist" in fails(folder.arguments(images=folder.home / "nowhere"))


def test_a_file_in_place_of_a_folder(folder, fails):
    assert "is a file" in fails(folder.arguments(images=folder.photographs / "p0.png"))


def test_an_empty_folder(folder, fails, tmp_path):
    (tmp_path / "textured").mkdir()
    assert "is empty" in fails(folder.arguments(images=tmp_path / "textured", out=tmp_path / "run"))


def test_a_folder_of_text_files(folder, fails, tmp_path):
    (tmp_path / "textured").mkdir()
    for name in ("a.txt", "b.md"):
        (tmp_path / "textured" / name).write_text("text")
    message = fails(folder.arguments(images=tmp_path / "textured", out=tmp_path / "run"))
    assert "no image" in message
    assert "2 skipped" in message
    assert "a.txt" in message


def test_unknown_model(folder, fails):
    arguments = folder.arguments()
    arguments[arguments.index("--model") + 1] = "resnet-of-mine"
    message = fails(arguments)
    assert "unknown model 'resnet-of-mine'" in message
    assert "FILE.py:FUNCTION" in message


def test_unknown_class(folder, fails, tmp_path):
    message = fails(folder.arguments("--target", "texturd", out=tmp_path / "run"))
    assert "did you mean 'textured'?" in message


def test_the_folder_name_is_no_class(folder, fails, tmp_path):
    shutil.copytree(folder.photographs, tmp_path / "zebra")
    message = fails(folder.arguments(images=tmp_path / "zebra", out=tmp_path / "run"))
    assert "'zebra'" in message
    assert "--target" in message


def test_a_class_index_outside_the_model(folder, fails, tmp_path):
    assert "2 classes (0 to 1)" in fails(folder.arguments("--target", "2", out=tmp_path / "run"))


def test_weights_of_another_network(folder, fails, tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pt")
    message = fails(folder.arguments("--weights", str(tmp_path / "other.pt"), out=tmp_path / "run"))
    assert "another network" in message
    assert "1 tensors missing" in message


def test_weights_that_are_not_there_or_not_weights(folder, fails, tmp_path):
    assert "does not exist" in fails(folder.arguments("--weights", str(tmp_path / "no.pt"), out=tmp_path / "run"))
    (tmp_path / "text.pt").write_text("no weights")
    assert "text.pt" in fails(folder.arguments("--weights", str(tmp_path / "text.pt"), out=tmp_path / "run"))


@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_code_in_a_weights_file_does_not_run(folder, fails, tmp_path, save):
    mark = tmp_path / "ran"
    with (tmp_path / "trap.pt").open("wb") as stream:
        save({"scale": Trap(mark)}, stream)
    message = fails(folder.arguments("--weights", str(tmp_path / "trap.pt"), out=tmp_path / "run"))
    assert "could run code" in message
    assert not mark.exists()


def test_a_run_of_another_version(folder, fails, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"format": 999, "versions": {"visual-summaries": "9.9"}}))
    for arguments in (folder.arguments(out=out), ["status", out], ["gallery", out], ["cluster", out]):
        message = fails(arguments)
        assert "format 999" in message
        assert "9.9" in message
    assert json.loads((out / "run.json").read_text())["format"] == 999


def test_a_run_record_that_is_damaged(folder, fails, tmp_path):
    (tmp_path / "run.json").write_text("{")
    assert "not JSON" in fails(folder.arguments(out=tmp_path))


def test_a_run_path_that_is_a_file(folder, fails, tmp_path):
    (tmp_path / "run").write_text("text")
    assert "cannot write to" in fails(folder.arguments(out=tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "text"


def test_a_read_only_run(folder, fails, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    out.chmod(0o555)
    try:
        assert "read-only" in fails(folder.arguments(out=out))
        assert list(out.iterdir()) == []
    finally:
        out.chmod(0o755)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(folder, fails, tmp_path):
    arguments = folder.arguments(out=tmp_path / "run")
    arguments[arguments.index("--device") + 1] = "cuda"
    message = fails(arguments)
    assert "not on this machine" in message
    assert "--device cpu" in message


def test_unknown_option(folder, fails, tmp_path):
    message = fails(folder.arguments("--set.masks.crisp.iteration", "3", out=tmp_path / "run"))
    assert "--set.masks.crisp.iteration" in message
    assert "visual-summaries run --help" in message
    assert "--colour" in fails(["status", tmp_path, "--colour", "red"])


def test_missing_option(folder, fails):
    message = fails(["run", folder.photographs, "--out", folder.out])
    assert "--model" in message
    assert "visual-summaries run --help" in message


def test_a_value_of_the_wrong_kind(folder, fails, tmp_path):
    assert "--limit" in fails(folder.arguments("--limit", "many", out=tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["summarise"], "see visual-summaries --help"),
        (["evaluate", "nothing"], "see visual-summaries evaluate --help"),
        (["--nonsense"], "see visual-summaries --help"),
    ],
)
def test_unknown_command(words, advice, fails):
    message = fails(words)
    assert " ".join(words) in message
    assert advice in message


@pytest.mark.parametrize(("option", "value"), [("--limit", "0"), ("--limit", "-3"), ("--jobs", "0")])
def test_numbers_below_one(folder, fails, tmp_path, option, value):
    message = fails(folder.arguments(f"{option}={value}", out=tmp_path / "run"))
    assert option in message
    assert "at least 1" in message


def test_unknown_preset_and_configuration(folder, fails, tmp_path):
    assert "compact" in fails(folder.arguments("--preset", "tiny", out=tmp_path / "run"))
    assert "cannot be read" in fails(folder.arguments("--config", str(tmp_path / "no.toml"), out=tmp_path / "run"))
    (tmp_path / "a.toml").write_text("prune = [1")
    assert "TOML" in fails(folder.arguments("--config", str(tmp_path / "a.toml"), out=tmp_path / "run"))


@pytest.mark.parametrize("command", ["status", "cluster", "gallery", "masks"])
def test_a_folder_that_is_no_run(command, fails, tmp_path):
    assert "not a run folder" in fails([command, tmp_path])


def test_debug_shows_where_it_happened(folder):
    with pytest.raises(ValueError, match="does not exist"):
        main([*folder.arguments(images=folder.home / "nowhere"), "--debug"])


# --- a run that goes on, and one that cannot ------------------------------------------------------------------


def test_a_truncated_photograph_is_a_recorded_skip(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 64)
    shutil.copytree(folder.photographs, tmp_path / "textured")
    whole = tmp_path / "textured" / "p1b.jpg"
    Image.open(folder.photographs / "p1.png").save(whole)
    whole.write_bytes(whole.read_bytes()[:-900])
    assert main(folder.arguments(images=tmp_path / "textured", out=tmp_path / "run")) == 0
    assert "ok 3, skipped 1" in capsys.readouterr().err
    skipped = [row for row in Run(tmp_path / "run").images if row.status != "ok"]
    assert [row.id for row in skipped] == ["p1b"]
    assert skipped[0].reason.startswith("truncated")


def test_a_full_disk_is_said_and_the_same_command_continues(folder, fails, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 64)
    out = tmp_path / "run"
    fsync = os.fsync

    def full(descriptor):
        if (out / "masks" / "p0.npz").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("visual_summaries.summaries.files.os.fsync", full)
        message = fails(folder.arguments(out=out), status=1)
    assert "No space left" in message
    assert "free some space" in message
    assert "same command again" in message
    assert not list(out.rglob("*.tmp"))
    assert main(folder.arguments(out=out)) == 0
    assert "masks: continued" in capfd.readouterr().err
    assert {entry["status"] for entry in Run(out).info["stages"].values()} == {"done"}
