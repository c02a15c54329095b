"""What a user has in a folder stays there, byte for byte, whatever command is given the folder."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from visual_summaries.specialize.model import read_model
from visual_summaries.summaries.cli import main

OWN = (
    *("model.json", "model.npz", "run.json", "images.csv", "masks.json", "masks.csv", "masks.png", "examples.png"),
    *("table.md", "matching.json", "matching.png", "boost.json", "boost.html", "pareto.png", "names.csv", "thesis.txt"),
    *("masks/a.png", "frames/a.png", "summaries/summary-000.jpg", "boost/a.jpg", "work/features.npz", "work/a.npz"),
    *("evaluation/clusters.json", "evaluation/clusters.html", "evaluation/clusters/part-00000.jpg", "gallery/a.jpg"),
)


def fill(folder: Path) -> Path:
    """Files of a user's under the names that commands write."""
    for name in OWN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"{folder} {name}".encode())
    return folder


def contents(*roots: Path) -> Counter[bytes]:
    """What the files of some folders hold, under whatever names; links are not followed."""
    return Counter(path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file())


def files(root: Path) -> dict[str, bytes | str]:
    """The bytes of each file and the target of each link."""
    found = sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    return {str(p.relative_to(root)): os.readlink(p) if p.is_symlink() else p.read_bytes() for p in found}


@pytest.fixture
def commands(home):
    """The commands that take --out, without it, and a folder that they read."""
    run = str(home.runs / "church")
    return {
        "specialize": (["specialize", run, "--train", str(home.train), "--others", str(home.others)], home.train),
        "masks": (["evaluate", "masks", run, "--no-baselines", "--no-sanity"], home.runs / "church"),
        "matching": (["evaluate", "matching", str(home.train)], home.train),
    }


@pytest.mark.parametrize("command", ["specialize", "masks", "matching"])
def test_a_folder_that_is_not_ours_is_refused(command, commands, home, tmp_path, capsys, monkeypatch):
    given, read = commands[command]
    full, empty = fill(tmp_path / "full"), tmp_path / "empty"
    empty.mkdir()
    (empty / "linked").symlink_to(full)
    (tmp_path / "link").symlink_to(full)
    (tmp_path / "file").write_text("a user's")
    monkeypatch.chdir(full)
    wrong = {str(full), str(tmp_path / "link"), str(tmp_path / "file"), str(empty), ".", "", str(read)}
    wrong |= {str(home.runs / "church"), str(home.train), str(home.train / "church"), str(home.val)}
    roots = (tmp_path, home.runs, home.train, home.val, home.others)
    before = [files(root) for root in roots]
    for out in sorted(wrong):
        assert main([*given, "--out", out]) == 2, out
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("visual-summaries: "), out
    assert [files(root) for root in roots] == before


def test_what_is_in_a_model_folder_stays(home, tmp_path, capsys):
    elsewhere = fill(tmp_path / "elsewhere")
    model = tmp_path / "model"
    assert home.specialize(model) == 0
    own = [model / name for name in ("summaries/mine.jpg", "boost/mine.jpg", "boost.html", "work/mine.npz", "mine.txt")]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"a user's {path.name}".encode())
    before, outside = contents(model), files(elsewhere)
    mine = Counter(path.read_bytes() for path in own)
    assert home.evaluate(model) == 0
    assert home.specialize(model, "--seed", "1") == 0
    assert home.evaluate(model) == 0
    assert not mine - contents(model)
    assert contents(model) != before
    for name in ("boost", "summaries", "work"):
        shutil.rmtree(model / name)
        (model / name).symlink_to(elsewhere / name)
        capsys.readouterr()
        statuses = {home.evaluate(model), home.specialize(model)}
        assert 2 in statuses, name
        assert "is a link, which is not followed" in capsys.readouterr().err
        assert files(elsewhere) == outside
        (model / name).unlink()
        assert home.specialize(model) == 0


def test_what_is_in_a_run_folder_stays(home, tmp_path, capsys):
    elsewhere = fill(tmp_path / "elsewhere")
    run = tmp_path / "run"
    shutil.copytree(home.runs / "church", run)
    command = ["evaluate", "summaries", str(run), "--device", "cpu"]
    own = [run / "evaluation" / name for name in ("clusters.html", "clusters.json", "clusters/part-00000.jpg", "a.txt")]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"a user's {path.name}".encode())
    mine, before = Counter(path.read_bytes() for path in own), files(run)
    assert main(command) == 0
    assert main(command) == 0
    assert not mine - contents(run)
    for name in set(before) - {str(path.relative_to(run)) for path in own} - {".written"}:
        assert files(run)[name] == before[name], name
    shutil.rmtree(run / "evaluation")
    outside = files(elsewhere)
    for name in ("evaluation", "evaluation/clusters"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).symlink_to(elsewhere / name)
        capsys.readouterr()
        assert main(command) == 2
        assert "is a link, which is not followed" in capsys.readouterr().err
        assert files(elsewhere) == outside
        (run / name).unlink()


# --- what is killed on the way -------------------------------------------------------------------------------


class Killed(BaseException):
    """In place of a signal."""


def kill(*given: object, **options: object) -> None:
    raise Killed


def test_an_evaluation_that_is_killed_leaves_the_old_one_whole(home, tmp_path, monkeypatch):
    model, run, out = tmp_path / "model", tmp_path / "run", tmp_path / "out"
    assert home.specialize(model) == 0
    shutil.copytree(home.runs / "church", run)
    masks = ["evaluate", "masks", str(run), "--no-baselines", "--no-sanity", "--out", str(out), "--device", "cpu"]
    summaries = ["evaluate", "summaries", str(run), "--device", "cpu"]
    for call, folder, drawing, last in (
        (lambda: home.evaluate(model), model, "specialize.report._show", "specialize.report.write_json"),
        (
            lambda: main(masks),
            out,
            "summaries.evaluation.mask_figures.examples",
            "summaries.cli.evaluate_masks.write_json",
        ),
        (
            lambda: main(summaries),
            run,
            "summaries.evaluation.cluster_page.member_picture",
            "summaries.evaluation.cluster_page.write_json",
        ),
    ):
        assert call() == 0
        before = files(folder)
        with monkeypatch.context() as patch:
            patch.setattr(f"visual_summaries.{drawing}", kill)
            with pytest.raises(Killed):
                call()
        assert files(folder) == before  # killed while it finds and draws
        with monkeypatch.context() as patch:
            patch.setattr(f"visual_summaries.{last}", kill)
            with pytest.raises(Killed):
                call()
        found = files(folder)
        (truth,) = set(before) - set(found)  # killed between two files: what they were made with is not there
        assert truth in ("boost.json", "masks.json", "evaluation/clusters.json")
        assert call() == 0
        assert {name: data for name, data in files(folder).items() if name != ".written"} == {
            name: data for name, data in before.items() if name != ".written"
        }


def test_an_evaluation_of_the_model_before_is_told(home, tmp_path, capsys):
    model = tmp_path / "model"
    assert home.specialize(model) == 0
    assert home.evaluate(model) == 0
    for more, told in (((), False), (("--seed", "1"), True)):
        capsys.readouterr()
        assert home.specialize(model, *more) == 0
        assert ("boost.json and its page are of the previous model" in capsys.readouterr().err) == told


def test_a_model_whose_making_was_killed_is_no_model(home, tmp_path, monkeypatch, capsys):
    model = tmp_path / "model"
    assert home.specialize(model) == 0
    for step in ("write_uses", "_draw", "write_description"):
        with monkeypatch.context() as patch:
            patch.setattr(f"visual_summaries.specialize.build.{step}", kill)
            with pytest.raises(Killed):
                home.specialize(model, "--seed", "1")
        capsys.readouterr()
        assert home.evaluate(model) == 2
        assert "belongs to another model" in capsys.readouterr().err
    assert home.specialize(model) == 0
    assert read_model(model).about["seed"] == 0
