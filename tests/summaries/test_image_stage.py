"""Pictures and folders as people have them, through the program: what a run records and what does not stop it."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import is_safe_id
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.pipeline import Job, run
from visual_summaries.summaries.store import Run

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("small_pictures")


def picture(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((128, 96), Image.Resampling.BICUBIC)


def named(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


@pytest.fixture
def rows_of(classifier, quick_settings, tmp_path):
    """Takes a folder of photographs into a run and gives their rows by id, as they are read back."""

    def call(photographs, **options):
        job = Job(
            folder=photographs, out=tmp_path / "run", target="predicted", jobs=1, settings=quick_settings, **options
        )
        run(job, classifier, until="images")
        return {row.id: row for row in Run(tmp_path / "run").images}

    return call


def test_copies_of_a_photograph_are_recorded_and_skipped(rows_of, tmp_path):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    picture(1).save(photographs / "a.png")
    shutil.copy(photographs / "a.png", photographs / "b.png")
    picture(1).save(photographs / "c.bmp")  # other bytes, the same pixels
    picture(2).save(photographs / "d.png")
    turned = Image.Exif()
    turned[274] = 6
    picture(1).save(photographs / "e.png", exif=turned)  # the same bytes of pixels, seen otherwise
    rows = rows_of(photographs)
    reasons = {image: (row.status, row.reason) for image, row in rows.items()}
    same = ("skipped", "the same picture as a")
    assert reasons == {"a": ("ok", ""), "b": same, "c": same, "d": ("ok", ""), "e": ("ok", "")}
    assert rows["b"].sha256 == rows["a"].sha256 != rows["c"].sha256
    assert (rows["e"].width, rows["e"].height) == (96, 128)


def test_scaled_values_are_noted(rows_of, tmp_path):
    (tmp_path / "scans").mkdir()
    values = np.asarray(picture(3).convert("L")).astype(np.uint16)
    values[0, 0] = 255
    for name, factor in (("12", 16), ("16", 257)):
        Image.fromarray(values * factor).save(tmp_path / "scans" / f"{name}.png")
    rows = rows_of(tmp_path / "scans")
    assert rows["12"].reason == "values of 12 bits in a file of 16, scaled by their range"
    assert [row.status for row in rows.values()] == ["ok", "skipped"]
    assert rows["16"].reason == "the same picture as 12"  # 12 bits scaled and 16 bits cut are one picture


def test_files_as_they_are_go_through_the_whole_chain(folder, capfd, tmp_path):
    photographs = tmp_path / "textured"
    shutil.copytree(folder.photographs, photographs)
    names = [b"fr\xfcchte.png", b"a" * 251 + b".png", b"line\nbreak.png"]
    for number, name in enumerate(names):
        shutil.copy(folder.add(f"extra{number}.png", shift=20 + number, folder="extra"), named(photographs, name))
    (photographs / "annexed.jpg").symlink_to("/nowhere/annexed.jpg")
    os.mkfifo(photographs / "pipe.jpg")
    (named(photographs, b"odd.j\xe9g")).write_bytes(b"x")
    (photographs / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = folder.arguments(images=photographs, out=tmp_path / "run")
    assert main(arguments) == 0
    rows = Run(tmp_path / "run").images
    assert len(rows) == len(os.listdir(photographs))  # none is dropped
    assert all(is_safe_id(row.id) and row.path.isprintable() and row.reason.isprintable() for row in rows)
    extra = [row for row in rows if row.path.startswith("file:///") and row.status == "ok"]
    assert len(extra) == 2
    reasons = {row.id: row.reason for row in rows if row.status == "skipped"}
    assert reasons["annexed"] == "broken link: it leads to no file"
    assert reasons["pipe"] == "no plain file"
    assert (tmp_path / "run" / "gallery" / "index.html").is_file()
    capfd.readouterr()
    assert main(arguments) == 0
    assert "images: unchanged, kept" in capfd.readouterr().err
    assert main(["status", str(tmp_path / "run")]) == 0


def test_an_unreadable_file_does_not_stop_a_run(rows_of, tmp_path, monkeypatch):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    picture(1).save(photographs / "a.png")
    picture(2).save(photographs / "locked.png")
    opened = Path.open

    def refuse(path, *more, **named):
        if path.name == "locked.png" and path.parent == photographs:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *more, **named)

    monkeypatch.setattr(Path, "open", refuse)
    rows = rows_of(photographs)
    assert rows["a"].status == "ok"
    assert (rows["locked"].status, rows["locked"].reason) == ("skipped", "unreadable: Permission denied")


def test_pictures_in_a_nested_folder_are_run(folder, tmp_path):
    photographs = tmp_path / "textured"
    (photographs / "images").mkdir(parents=True)
    (photographs / "boxes.txt").write_text("x")
    for number in range(2):
        shutil.copy(folder.photographs / f"p{number}.png", photographs / "images")
    assert main(folder.arguments(images=photographs, out=tmp_path / "run")) == 0
    assert {row.id: row.status for row in Run(tmp_path / "run").images} == {"boxes": "skipped", "p0": "ok", "p1": "ok"}


# --- a root of class folders -----------------------------------------------------------------------------------


@pytest.fixture
def root(folder, tmp_path):
    """A root of three class folders, all of the same class."""
    for name in ("a", "b", "c"):
        (tmp_path / "root" / name).mkdir(parents=True)
        shutil.copy(folder.photographs / "p0.png", tmp_path / "root" / name)
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("odd"), 2),
        (ValueError("odd\nindeed"), 1),
        (PermissionError(errno.EACCES, "Permission denied"), 1),
        (MemoryError(), 1),
    ],
)
def test_a_class_that_fails_does_not_stop_the_others(folder, root, tmp_path, capfd, monkeypatch, error, status):
    done = []

    def fail(job, classifier, **_):
        if job.folder.name == "a":
            raise error
        done.append(job.folder.name)
        return run(job, classifier)

    monkeypatch.setattr("visual_summaries.summaries.cli.run.run", fail)
    arguments = folder.arguments("--target", "predicted", images=root, out=tmp_path / "runs")
    assert main(arguments) == status
    assert done == ["b", "c"]
    assert (tmp_path / "runs" / "index.html").is_file()
    lines = capfd.readouterr().err.splitlines()
    kind = "" if status == 2 else f"{type(error).__name__}: "
    assert any(line.startswith(f"a: {kind}".strip()) for line in lines)
    assert lines[-1].startswith("visual-summaries: 1 of 3 class folders failed: a (see above)")


@pytest.mark.parametrize(
    ("error", "status"), [(OSError(errno.ENOSPC, "No space left on device"), 1), (KeyboardInterrupt(), 130)]
)
def test_a_full_disk_and_an_interruption_stop_a_root(folder, root, tmp_path, monkeypatch, error, status):
    tried = []

    def fail(job, *_, **__):
        tried.append(job.folder.name)
        raise error

    monkeypatch.setattr("visual_summaries.summaries.cli.run.run", fail)
    assert main(folder.arguments("--target", "predicted", images=root, out=tmp_path / "runs")) == status
    assert tried == ["a"]


def test_class_folders_under_any_name_are_run_and_shown(folder, root, tmp_path):
    (root / "c").rename(named(root, b"fr\xfcchte"))
    assert main(folder.arguments("--target", "predicted", images=root, out=tmp_path / "runs")) == 0
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert runs[:2] == ["a", "b"]
    assert is_safe_id(runs[2])
    assert f"{runs[2]}/gallery" in (tmp_path / "runs" / "index.html").read_text()
    again = ["masks", str(tmp_path / "runs" / runs[2]), "--model", folder.model]
    assert main(again) == 0  # it knows where its photographs are


# --- memory ----------------------------------------------------------------------------------------------------

STAGE = '''
"""Reads a folder of photographs into a run, and prints the peak of its memory in KiB."""

import resource
import sys
from pathlib import Path

import torch
from torch import nn

from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.summaries.stages.images import Selection, run_images

torch.set_num_threads(1)
network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
frame, normalisation = Frame((64, 64), 64, "bilinear"), Normalisation((0.5,) * 3, (0.5,) * 3)
classifier = Classifier(network, frame=frame, normalisation=normalisation)
out, folder = Path(sys.argv[1]), Path(sys.argv[2])
with classifier:
    run_images(out, folder, classifier, Selection(None, None, True), lambda done, total: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
'''


def peak(out: Path, folder: Path) -> float:
    """Peak of the memory, in MiB, of reading a folder."""
    out.mkdir()
    program = out.parent / "stage.py"
    program.write_text(STAGE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONPATH": str(ROOT)}
    given = [sys.executable, str(program), str(out), str(folder)]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) / 1024


def test_sixteen_waiting_photographs_take_the_memory_of_one(tmp_path):
    for name, count in (("one", 1), ("many", 15)):
        (tmp_path / name).mkdir()
        for number in range(count):
            picture(number).resize((3000, 2000)).save(tmp_path / name / f"{number}.jpg", quality=50)
    one, many = (peak(tmp_path / f"{name} run", tmp_path / name) for name in ("one", "many"))
    assert many - one < 40  # MiB; each photograph is 23
