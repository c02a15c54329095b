"""Stages: what makes one be done again, and what the record says of it."""

import importlib.metadata
import json
import os
from dataclasses import replace

import pytest

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline.engine import Pipeline, Stage
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")


@pytest.fixture
def run(tmp_path):
    with claimed(tmp_path / "run", "run"):
        yield tmp_path / "run"


def stage_of(run, done, **changes):
    """A stage that writes a file and notes that it was done."""

    def work(context, tick):
        done.append(context)
        (run / "result.txt").write_text(context)
        return {"files": 1}

    stage = Stage(
        "first", "files", 1, ("numpy",), lambda context: {"text": context}, lambda _: [run / "result.txt"], work
    )
    return replace(stage, **changes)


def test_a_stage_is_done_once(run):
    done = []
    for _ in range(2):
        Pipeline(run).do(stage_of(run, done), "a")
    assert done == ["a"]


@pytest.mark.parametrize("change", ["input", "version", "file", "force"])
def test_what_makes_a_stage_be_done_again(run, change):
    done = []
    Pipeline(run).do(stage_of(run, done), "a")
    if change == "file":
        (run / "result.txt").unlink()
    stage = stage_of(run, done, version=2 if change == "version" else 1)
    Pipeline(run, force=["first"] if change == "force" else []).do(stage, "b" if change == "input" else "a")
    assert len(done) == 2


def test_a_watched_file_that_was_changed_is_made_again(run):
    done = []
    stage = stage_of(run, done, watched=("result.txt",))
    Pipeline(run).do(stage, "a")
    (run / "result.txt").write_text("damaged")
    Pipeline(run).do(stage, "a")
    assert done == ["a", "a"]
    assert (run / "result.txt").read_text() == "a"


def test_versions_are_those_of_the_libraries_that_did_the_stage(run, monkeypatch):
    done = []
    Pipeline(run).do(stage_of(run, done), "a")
    then = importlib.metadata.version("numpy")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.9")
    Pipeline(run).do(stage_of(run, done), "a")  # kept, and so is what it was done with
    assert Run(run).info["stages"]["first"]["versions"] == [{"numpy": then}]
    assert done == ["a"]


def test_a_stage_that_goes_on_with_other_libraries_names_both(run, monkeypatch):
    def fails(context, tick):
        raise RuntimeError("killed")

    done = []
    then = importlib.metadata.version("numpy")
    with pytest.raises(RuntimeError):
        Pipeline(run).do(stage_of(run, done, work=fails), "a")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.9")
    Pipeline(run).do(stage_of(run, done), "a")
    assert Run(run).info["stages"]["first"]["versions"] == [{"numpy": then}, {"numpy": "99.9"}]


def test_each_stage_of_a_run_has_its_version_and_libraries_on_record(done):
    stages = Run(done).info["stages"]
    assert list(stages) == [stage.name for stage in IMAGE_CHAIN]
    for stage in IMAGE_CHAIN:
        assert stages[stage.name]["inputs"]["version"] == stage.version
        assert [set(versions) for versions in stages[stage.name]["versions"]] == [set(stage.packages)]


def test_a_damaged_similarity_file_is_made_again(folder, copy, stages_done, promised):
    """Indices out of range, which once reached native code."""
    import numpy as np

    before = promised(copy)
    file = copy / "work" / "similarity.npz"
    with np.load(file) as data:
        arrays = dict(data)
    arrays["indices"] = arrays["indices"] + 10**6
    np.savez(file, **arrays)
    did, messages = stages_done(folder.arguments(out=copy))
    assert "matching" in did
    assert "matching: again, its files are not all there as they were left" in messages
    assert promised(copy) == before


@pytest.mark.parametrize("stage", ["images", "masks", "clusters"])
def test_what_an_interrupted_stage_left_is_not_read_as_if_it_were_whole(copy, stage):
    info = json.loads((copy / "run.json").read_text())
    info["stages"][stage]["status"] = "started"
    (copy / "run.json").write_text(json.dumps(info))
    read = {"images": lambda: Run(copy).ids, "masks": lambda: Run(copy).masks, "clusters": lambda: Run(copy).summaries}
    with pytest.raises(UserError, match=f"the stage {stage} was interrupted"):
        read[stage]()
    assert main(["gallery", str(copy)]) == 2


def test_masks_are_made_again_from_another_directory_and_without_the_photographs(
    make_folder, tmp_path, monkeypatch, stages_done, promised
):
    folder = make_folder(3)
    monkeypatch.chdir(folder.home)
    arguments = ["run", "textured", "--out", "run", "--model", "network.py:build", *folder.arguments()[6:]]
    stages_done(arguments)
    before = promised(folder.out)
    folder.photographs.rename(folder.home / "gone")
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(folder.out)
    did, _ = stages_done(["masks", relative, "--trust"])
    assert did == {"masks"}
    assert promised(folder.out) == before
    did, _ = stages_done(["masks", relative, "--model", folder.model, "--set.masks.crisp.iterations", "5"])
    assert "masks" in did <= {"masks", "matching", "clusters", "importance", "gallery"}


def test_the_page_follows_the_names(copy):
    assert main(["name", str(copy), "0", "round window"]) == 0
    page = (copy / "gallery" / "index.html").read_text()
    assert "round window" in page
    assert Run(copy).info["stages"]["gallery"]["status"] == "done"
    assert main(["cluster", str(copy), "--jobs", "1", "--trust", "--set.prune.min-members", "2"]) == 0
    named = [one.name for one in Run(copy).summaries if one.name]
    assert ("round window" in (copy / "gallery" / "index.html").read_text()) == bool(named)


def test_a_changed_binary_mask_changes_the_page(copy, stages_done):
    (copy / "masks" / "p0.png").write_bytes((copy / "masks" / "p1.png").read_bytes())
    did, _ = stages_done(["cluster", copy, "--jobs", "1", "--trust"])
    assert "gallery" in did


def test_status_tells_of_a_run_that_was_interrupted_at_its_images(copy, capsys):
    info = json.loads((copy / "run.json").read_text())
    info["stages"]["images"]["status"] = "started"
    del info["stages"]["masks"]["counts"], info["stages"]["masks"]["seconds"]
    (copy / "run.json").write_text(json.dumps(info))
    assert main(["status", str(copy)]) == 0
    assert "images     started" in capsys.readouterr().out


@pytest.mark.parametrize("threads", [3000, -1, "many"])
def test_a_record_cannot_ask_for_any_number_of_threads(copy, threads, monkeypatch):
    from visual_summaries.summaries.backend import choose_threads, cores

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    info = json.loads((copy / "run.json").read_text()) | {"threads": threads}
    (copy / "run.json").write_text(json.dumps(info))
    if threads == 3000:
        assert choose_threads(Run(copy).info["threads"]) == cores()
    else:
        with pytest.raises(UserError, match="threads"):
            Run(copy)


def test_damaged_summaries_are_made_again(copy, promised):
    before = promised(copy)
    (copy / "summaries.json").write_text("{")
    assert main(["cluster", str(copy), "--jobs", "1", "--trust"]) == 0
    assert promised(copy) == before


@pytest.mark.parametrize("name", ["images.csv", "work/masks/z.csv", "work/similarity.npz", "summaries.json"])
def test_pipes_and_links_in_a_received_run_are_not_read(copy, name, capfd):
    path = copy / name
    path.unlink(missing_ok=True)
    os.mkfifo(path) if name == "images.csv" else path.symlink_to("/dev/zero")
    for command in (["status", copy], ["cluster", copy, "--trust"], ["masks", copy, "--trust"]):
        assert main([str(argument) for argument in command]) in (0, 2)
        assert "Traceback" not in capfd.readouterr().err


def test_a_run_folder_as_the_out_of_a_root_is_refused_before_any_work(folder, copy, tmp_path, fails):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "textured").symlink_to(folder.photographs)
    message = fails(folder.arguments(images=tmp_path / "root", out=copy))
    assert "is a run folder, not a folder of runs" in message
    assert not (copy / "textured").exists()
