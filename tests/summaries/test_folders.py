"""Folders are claimed before they are written: what is a user's stays, byte for byte."""

import logging
import os
import threading
from pathlib import Path

import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import write_bytes
from visual_summaries.summaries.folders import RECORD, check_free, claimed, inside, kind_of, remove_files


def test_a_folder_that_holds_anything_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and was not made by this program"), claimed(tmp_path, "run"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("stray", [".DS_Store", "Thumbs.db", ".lock", ".run.json.77.tmp"])
def test_what_file_managers_and_killed_runs_leave_is_nothing(tmp_path, stray):
    (tmp_path / stray).write_text("")
    with claimed(tmp_path, "run"):
        pass
    assert kind_of(tmp_path) == "run"


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with claimed(tmp_path, "model"):
        write_bytes(tmp_path / "model.json", b"{}")
    with pytest.raises(UserError, match="is a model folder, not a run folder"):
        check_free(tmp_path, "run")


def test_only_recorded_files_are_removed(tmp_path):
    with claimed(tmp_path, "run"):
        for name in ("masks/a.png", "masks/b.png", "masks/deep/c.png"):
            write_bytes(tmp_path / name, b"ours")
    (tmp_path / "masks" / "mine.png").write_bytes(b"mine")
    with claimed(tmp_path, "run"):
        remove_files(tmp_path / "masks", {"a.png"})
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "mine.png"]
    (tmp_path / "masks" / "b.png").write_bytes(b"mine now")
    with claimed(tmp_path, "run"):
        remove_files(tmp_path / "masks")
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["b.png", "mine.png"]


def test_a_file_of_the_users_is_put_aside(tmp_path, caplog):
    with claimed(tmp_path, "run"):
        write_bytes(tmp_path / "run.json", b"{}")
    (tmp_path / "images.csv").write_text("mine")
    with claimed(tmp_path, "run"), caplog.at_level(logging.WARNING):
        write_bytes(tmp_path / "images.csv", b"ours")
        write_bytes(tmp_path / "images.csv", b"ours again")
    assert (tmp_path / "images.csv").read_bytes() == b"ours again"
    assert (tmp_path / "images.csv.before").read_text() == "mine"
    assert "it is now images.csv.before" in caplog.text


def test_a_folder_of_runs_may_hold_anything(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with claimed(tmp_path, "runs"):
        write_bytes(tmp_path / "index.html", b"ours")
    assert (tmp_path / "index.html.before").read_text() == "mine"


def test_a_linked_folder_is_not_written_through(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").write_text("mine")
    run = tmp_path / "run"
    with claimed(run, "run"):
        write_bytes(run / "masks" / "a.png", b"ours")
        (run / "masks" / "a.png").unlink()
        (run / "masks").rmdir()
        (run / "masks").symlink_to(elsewhere)
        with pytest.raises(UserError, match="is a link"):
            write_bytes(run / "masks" / "b.png", b"ours")
        remove_files(run / "masks")
    assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("a.png", "mine")]


@pytest.mark.parametrize("name", [RECORD, ".lock"])
def test_a_linked_record_or_lock_is_refused(tmp_path, name):
    (tmp_path / "mine").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / name).symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="is a link"), claimed(run, "run"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_that_is_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    run = tmp_path / "run"
    with claimed(run, "run"):
        (run / "run.json").symlink_to(tmp_path / "mine")
        write_bytes(run / "run.json", b"ours")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (run / "run.json").read_bytes() == b"ours"


def test_a_record_cannot_name_files_elsewhere(tmp_path):
    run = tmp_path / "run"
    (tmp_path / "mine.png").write_text("mine")
    with claimed(run, "run"):
        pass
    with (run / RECORD).open("a") as stream:
        stream.write(f"+ ../mine.png\n+ {tmp_path / 'mine.png'}\n+ masks/../../mine.png\n")
    with claimed(run, "run"):
        remove_files(run)
    assert (tmp_path / "mine.png").exists()


def test_temporary_files_of_a_killed_process_go_and_those_of_others_stay(tmp_path):
    with claimed(tmp_path, "run"):
        write_bytes(tmp_path / "masks" / "a.png", b"ours")
    (tmp_path / "masks" / ".a.png.4711.tmp").write_text("half")
    (tmp_path / "masks" / ".mine.4711.tmp").write_text("mine")
    with claimed(tmp_path, "run"):
        pass
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == [".mine.4711.tmp", "a.png"]


@pytest.mark.parametrize("parts", [("..", "x"), ("masks", "..", "..", "x"), ("/etc/passwd",)])
def test_paths_that_lead_out_are_refused(tmp_path, parts):
    with pytest.raises(UserError, match="lies outside"):
        inside(tmp_path, *parts)


def test_a_folder_that_was_given_as_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with claimed(tmp_path / "link", "run"):
        write_bytes(tmp_path / "link" / "run.json", b"ours")
    assert "+ run.json" in (tmp_path / "real" / RECORD).read_text()
    assert inside(tmp_path / "link", "run.json").read_bytes() == b"ours"


def test_an_earlier_versions_folder_is_continued_and_nothing_of_it_removed(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 1, "stages": {}}')
    (tmp_path / "summary-09.png").write_text("old")
    with claimed(tmp_path, "run"):
        write_bytes(tmp_path / "run.json", b'{"format": 1, "stages": {}}')
        remove_files(tmp_path, {"run.json"})
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "run.json",
        "summary-09.png",
    ]


def test_a_claim_is_of_one_process(tmp_path):
    with claimed(tmp_path, "run"):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            from visual_summaries.summaries import folders

            folders._claims.clear()
            try:
                with claimed(Path(tmp_path), "run"):
                    os.write(writer, b"claimed")
            except UserError as error:
                os.write(writer, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert b"is in use by another process" in os.read(reader, 1000)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.json", '{"format": "layers-model", "modelTopology": {}}'),
        ("run.json", '{"format": "of another program", "stages": []}'),
        ("world.json", '{"classes": [], "pairs": []}'),
    ],
)
def test_a_file_of_another_program_under_our_name_is_no_mark(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert kind_of(tmp_path) is None
    with pytest.raises(UserError, match="was not made by this program"):
        check_free(tmp_path, name.removesuffix(".json"))


def test_an_empty_record_is_none(tmp_path):
    (tmp_path / RECORD).write_text("")
    with claimed(tmp_path, "run"):
        write_bytes(tmp_path / "run.json", b"{}")
    assert kind_of(tmp_path) == "run"


def test_a_record_of_another_program_is_refused(tmp_path):
    (tmp_path / RECORD).write_text("something else\n")
    for kind in ("run", "runs"):
        with pytest.raises(UserError, match="by this program"):
            check_free(tmp_path, kind)


def test_odd_lines_of_a_record_do_no_harm(tmp_path):
    with claimed(tmp_path, "run"):
        write_bytes(tmp_path / "frames" / "sub" / "a.png", b"ours")
    with (tmp_path / RECORD).open("a") as stream:
        stream.write(f"+ frames/sub\n+ a\0b\n+ {'x' * 5000}\nnonsense\n+ \n")
    with claimed(tmp_path, "run"):
        remove_files(tmp_path, {RECORD})
    assert not (tmp_path / "frames").exists()


def test_another_thread_is_turned_away(tmp_path):
    refused = []

    def enter():
        try:
            with claimed(tmp_path, "run"):
                pass
        except UserError as error:
            refused.append(str(error))

    with claimed(tmp_path, "run"):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        write_bytes(tmp_path / "run.json", b"{}")
    assert "in use by another process or thread" in refused[0]
    assert "+ run.json" in (tmp_path / RECORD).read_text()
