"""Whatever folder a command is given to write to: every file that was in it is there afterwards, byte for byte."""

import os
import shutil

import pytest

from visual_summaries.summaries.cli import main
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")

NAMES = (
    *("masks/p0.png", "masks/p0.npz", "masks/mine.npz", "frames/p0.png", "frames/mine.png", "work/masks/mine.csv"),
    *("work/matching/mine/tile.npz", "gallery/index.html", "gallery/pictures/mine.jpg", "evaluation/mine.json"),
    *("summary-00.png", "summary-mine.png", "images.csv", "masks.csv", "parts.csv", "names.csv", "notes.txt"),
    *("index.html", "world.json.mine", "summaries/summary-000.jpg", "pictures/mine.jpg", "table.md", "masks.json"),
)


def fill(folder):
    """Makes a folder full of files named as those of the program, and a link to a folder elsewhere."""
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")
    elsewhere = folder.with_name(f"{folder.name} elsewhere")
    elsewhere.mkdir()
    (elsewhere / "p1.png").write_text("mine, elsewhere")
    (folder / "linked").symlink_to(elsewhere)
    return contents(folder) | contents(elsewhere)


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unchanged(before):
    return [path for path, data in before.items() if not path.is_file() or path.read_bytes() != data] == []


@pytest.fixture
def full(tmp_path):
    return tmp_path / "full", fill(tmp_path / "full")


def test_run_refuses_a_folder_of_other_files(folder, full, fails):
    path, before = full
    assert "is not empty and was not made by this program" in fails(folder.arguments(out=path))
    assert unchanged(before)
    assert contents(path) == {name: data for name, data in before.items() if path in name.parents}


def test_run_refuses_the_working_directory(folder, full, fails, monkeypatch):
    path, before = full
    monkeypatch.chdir(path)
    for out in (".", ""):
        arguments = folder.arguments()
        arguments[arguments.index("--out") + 1] = out
        fails(arguments)
        assert unchanged(before)
        assert not (path / "run.json").exists()


def test_an_empty_out_writes_nothing_in_an_empty_directory(folder, fails, monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    arguments = folder.arguments()
    arguments[arguments.index("--out") + 1] = ""
    assert "--out is empty" in fails(arguments)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_root_of_runs_keeps_what_lies_in_it(folder, full, make_folder):
    path, before = full
    root = folder.home / "root of one"
    shutil.copytree(folder.photographs, root / "textured")
    assert main(folder.arguments(images=root, out=path)) == 0
    changed = [name for name, data in before.items() if name.read_bytes() != data]
    assert changed == [path / "index.html"]
    assert (path / "index.html.before").read_text() == "mine: index.html"


@pytest.mark.parametrize("command", ["demo --out", "world"])
def test_the_world_is_not_written_over_other_files(full, command, capfd):
    path, before = full
    shutil.copytree(path, path / "world")
    before |= contents(path)
    assert main([*command.split(), str(path)]) == 2
    assert "not made by this program" in capfd.readouterr().err
    assert unchanged(before)


def test_the_world_follows_no_link_and_puts_a_users_file_aside(tmp_path):
    out, elsewhere = tmp_path / "world", tmp_path / "elsewhere"
    assert main(["world", str(out), "--images", "1"]) == 0
    shutil.move(out / "images" / "church", elsewhere)
    (out / "images" / "church").symlink_to(elsewhere)
    before = contents(elsewhere)
    assert main(["world", str(out), "--images", "2"]) == 2
    assert contents(elsewhere) == before
    (out / "images" / "church").unlink()
    mine = out / "images" / "mill" / "mill_0002.png"
    mine.write_text("mine")
    assert main(["world", str(out), "--images", "3"]) == 0
    assert mine.with_name("mill_0002.png.before").read_text() == "mine"


def test_masks_of_the_run_itself_are_no_masks_made_elsewhere(folder, copy, fails, promised):
    before = promised(copy)
    message = fails(folder.arguments("--masks", str(copy / "masks"), "--limit", "2", out=copy))
    assert "lies in the run folder" in message
    assert promised(copy) == before


def test_images_in_the_run_folder_are_refused(folder, copy, fails, promised):
    before = promised(copy)
    assert "lies in the run folder" in fails(folder.arguments(images=copy / "frames", out=copy))
    assert promised(copy) == before


def test_a_users_files_in_a_run_survive_every_command(folder, copy):
    """Hand-made files beside ours, and a changed option for every stage."""
    mine = {copy / name: f"mine: {name}" for name in NAMES if "mine" in name or name == "notes.txt"}
    for path, text in mine.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    commands = [
        folder.arguments("--limit", "3", out=copy),
        folder.arguments("--set.masks.crisp.iterations", "5", out=copy),
        ["masks", copy, "--trust"],
        ["cluster", copy, "--jobs", "1", "--trust", "--set.affinity.preference", "0.99"],
        ["name", copy, "0", "shapes"],
        ["gallery", copy],
        ["status", copy],
    ]
    for command in commands:
        assert main([str(argument) for argument in command]) == 0, command
        assert [path for path, text in mine.items() if path.read_text() != text] == [], command


def test_linked_folders_of_a_received_run_are_not_followed(folder, copy, tmp_path, capfd):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(copy / "masks", elsewhere)
    (elsewhere / "stale.png").write_text("mine")
    (copy / "masks").symlink_to(elsewhere)
    before = contents(elsewhere)
    for command in (
        folder.arguments("--limit", "2", out=copy),
        ["masks", copy, "--trust"],
        ["cluster", copy, "--trust"],
        ["gallery", copy],
    ):
        assert main([str(argument) for argument in command]) in (0, 2)
        assert "Traceback" not in capfd.readouterr().err
        assert unchanged(before), command


def test_ids_of_a_received_run_lead_nowhere(copy, capfd):
    table = (copy / "images.csv").read_text()
    (copy / "images.csv").write_text(table.replace("p0,", "../../x,", 1))
    before = sorted(path for path in copy.parent.rglob("*"))
    for command in (["masks", copy, "--trust"], ["cluster", copy, "--trust"], ["gallery", copy]):
        assert main([str(argument) for argument in command]) == 2
        assert "is no id of an image" in capfd.readouterr().err
    assert [path for path in copy.parent.rglob("*") if path not in before and ".lock" not in path.name] == [
        copy / ".written"
    ] * (copy / ".written" not in before)


def test_options_are_checked_before_anything_is_written(copy, fails, promised):
    before, record = promised(copy), (copy / "run.json").read_bytes()
    for arguments in (
        ["masks", copy, "--trust", "--set.masks.batch", "-1"],
        ["cluster", copy, "--trust", "--set.similarity.pairs", "knn:0"],
        ["cluster", copy, "--trust", "--set.affinity.damping", "2"],
    ):
        fails(arguments)
        assert (copy / "run.json").read_bytes() == record
        assert promised(copy) == before


def test_a_run_made_from_python_is_refused_before_anything_is_written(copy, fails):
    run = Run(copy)
    run.info["config"]["model"] = {}
    from visual_summaries.summaries.files import write_json

    write_json(copy / "run.json", run.info)
    record = (copy / "run.json").read_bytes()
    assert "was made from Python" in fails(["cluster", copy, "--set.similarity.no-mirrored"])
    assert (copy / "run.json").read_bytes() == record


def test_a_folder_that_cannot_be_read_as_ours_is_left(folder, fails, tmp_path):
    (tmp_path / "run.json").write_text('{"name": "of another program"}')
    assert "not made by this program" in fails(folder.arguments(out=tmp_path))
    assert os.listdir(tmp_path) == ["run.json"]
