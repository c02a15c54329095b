"""Small folders of photographs for the whole chain, and a run whose summaries are known."""

from __future__ import annotations

import csv
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.options import AffinityOptions
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.networks.models import Classifier, load_classifier
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.files import write_csv, write_json, write_npz, write_png
from visual_summaries.summaries.pages.drawing import Picture
from visual_summaries.summaries.settings import Settings, override, plain
from visual_summaries.summaries.similarity_file import write_matched
from visual_summaries.summaries.store import ImageRow, MaskRow, PartRow, Run
from visual_summaries.summaries.summary import Member, Summary

NETWORK = '''
import torch
from torch import nn


class Texture(nn.Module):
    """Two classes: what has texture in its middle, and what has none."""

    input_size = (96, 96)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    classes = ("textured", "plain")

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(60.0))

    def forward(self, images):
        smooth = nn.functional.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
        energy = (images - smooth).square().mean(1)[:, 24:72, 24:72].mean((1, 2))
        logit = self.scale * energy - 0.4
        return torch.stack([logit, -logit], 1)


def build():
    return Texture()
'''

QUICK = [
    *("--set.masks.smooth.iterations", "4"),
    *("--set.masks.crisp.iterations", "4", "--set.masks.batch", "2"),
    *("--set.proposals.count", "60", "--set.proposals.max-kept", "12"),
    *("--set.affinity.preference", "0", "--set.prune.cluster-share", "0", "--set.prune.min-members", "3"),
]
"""Options with which the whole chain takes a second or two on a handful of images."""

QUICK_SETTINGS = override(
    Settings(),
    {
        "masks": {"smooth": {"iterations": 4}, "crisp": {"iterations": 4}, "batch": 2},
        "proposals": {"count": 60, "max_kept": 12},
        "affinity": {"preference": 0.0},
        "prune": {"cluster_share": 0.0, "min_members": 3},
    },
)
"""The same as settings."""

ENCODER = """
import torch
from torch import nn


def build():
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 3),
    )
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network


def other():
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network


def without_linear():
    network = nn.Sequential(nn.Conv2d(3, 3, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.input_size, network.mean, network.std = (32, 32), (0.5,) * 3, (0.25,) * 3
    network.classes = ("a", "b", "c")
    return network
"""


@dataclass(frozen=True)
class Folder:
    """A folder of small photographs and a network that tells their class, as on a user's disk."""

    home: Path

    @property
    def photographs(self) -> Path:
        return self.home / "textured"

    @property
    def out(self) -> Path:
        return self.home / "run"

    @property
    def model(self) -> str:
        return f"{self.home / 'network.py'}:build"

    def add(self, name: str, shift: int = 0, size: tuple[int, int] = (96, 96), folder: str = "textured") -> Path:
        """A photograph of textured shapes, which move with the shift."""
        rng = np.random.default_rng(1)
        ground = cv2.GaussianBlur(rng.normal(128, 30, (96, 96, 3)).astype(np.float32), (0, 0), 6)
        picture = ground * 0.5 + 60
        for _ in range(7):
            colour = rng.uniform(0, 255, 3).tolist()
            centre = [int(c) + shift for c in rng.integers(24, 72, 2)]
            axes = [int(a) for a in rng.integers(6, 16, 2)]
            cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        picture += np.random.default_rng(shift + 50).normal(0, 14, picture.shape)
        picture = cv2.resize(picture.clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        path = self.home / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        return path

    def add_plain(self, name: str, folder: str = "textured") -> Path:
        """A photograph that the network gives to the class `plain`, of a colour of its own."""
        path = self.home / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 96), (90, 120, 130 + zlib.crc32(name.encode()) % 40)).save(path)
        return path

    def arguments(self, *more: str, out: Path | None = None, images: Path | None = None) -> list[str]:
        """The command line of a quick run."""
        given = ["run", str(images or self.photographs), "--out", str(out or self.out), "--model", self.model]
        return [*given, "--device", "cpu", "--jobs", "1", *QUICK, *more]


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Folder]:
    """Makes a folder of photographs p0.png, p1.png and so on, and the network beside it."""

    def make(images: int = 5) -> Folder:
        folder = Folder(tmp_path_factory.mktemp("home"))
        (folder.home / "network.py").write_text(NETWORK)
        for number in range(images):
            folder.add(f"p{number}.png", shift=number - 2)
        return folder

    return make


@pytest.fixture(scope="session")
def promised() -> Callable[[Path], dict[str, bytes]]:
    """What is promised to be the same bytes: masks/, masks.csv without its seconds, parts.csv, summaries.json."""

    def read(run: Path) -> dict[str, bytes]:
        files = {path.name: path.read_bytes() for path in (run / "masks").iterdir() if not path.name.startswith(".")}
        files |= {name: (run / name).read_bytes() for name in ("parts.csv", "summaries.json")}
        table = [line.rsplit(",", 1) for line in (run / "masks.csv").read_text().splitlines()]
        assert table[0][1] == "seconds"
        return files | {"masks.csv": "\n".join(row[0] for row in table).encode()}

    return read


@pytest.fixture(scope="session")
def quick_settings() -> Settings:
    """Those of `Folder.arguments`."""
    return QUICK_SETTINGS


@contextmanager
def _small_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 48)
        yield


@pytest.fixture(scope="module")
def small_pictures() -> Iterator[None]:
    """For files whose subject are not the gallery's pictures."""
    with _small_pictures():
        yield


@pytest.fixture(scope="session")
def folder(make_folder: Callable[..., Folder]) -> Folder:
    """Five photographs, one of them of another size, and four files that cannot be used; no test changes it."""
    made = make_folder()
    made.add("p3.png", shift=1, size=(192, 144))
    (made.photographs / "notes.txt").write_text("no photograph")
    made.add("cut.jpg")
    (made.photographs / "cut.jpg").write_bytes((made.photographs / "cut.jpg").read_bytes()[:-900])
    made.add("tiny.png", size=(20, 40))
    made.add_plain("plain.png")
    return made


@pytest.fixture(scope="session")
def done(folder: Folder) -> Path:
    """A finished run of the folder, with small pictures; no test changes it."""
    with _small_pictures():
        assert main(folder.arguments()) == 0
    return folder.out


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A finished run that a test may change."""
    shutil.copytree(done, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def classifier(folder: Folder) -> Classifier:
    """The network of the folder."""
    return load_classifier(folder.model)


@pytest.fixture
def stages_done(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[set[str], str]]:
    """Calls the program and gives the stages it did, and its messages."""

    def call(arguments: Sequence[object], status: int = 0) -> tuple[set[str], str]:
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == status
        messages = capfd.readouterr().err
        kept = {line.split(":")[0] for line in messages.splitlines() if line.endswith("unchanged, kept")}
        did = {line.split(":")[0] for line in messages.splitlines() if ": done in" in line}
        assert not kept & did
        return did, messages

    return call


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> Callable[..., str]:
    """Calls the program and gives its one line of error, after checking that it is one line and the status."""

    def call(arguments: Sequence[object], status: int = 2) -> str:
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == status
        captured = capfd.readouterr()
        lines = captured.err.splitlines()
        errors = [line for line in lines if line.startswith("visual-summaries:")]
        assert len(errors) == 1, captured.err
        assert lines[-1] == errors[0]
        assert all(line.startswith(("images", "masks", "==")) for line in lines[:-1]), captured.err  # progress
        assert "Traceback" not in captured.err
        assert captured.out == ""
        assert [str(warning.message) for warning in recwarn] == []  # Python would print them between the lines
        return errors[0]

    return call


@pytest.fixture(scope="session")
def table() -> Callable[[Path], list[dict[str, str]]]:
    """Reads the rows of a table."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))

    return read


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """A network that took no part in any run; `other` and `without_linear` stand in the same file."""
    (tmp_path / "encoder.py").write_text(ENCODER)
    return f"{tmp_path / 'encoder.py'}:build"


@dataclass(frozen=True)
class Planted:
    """A run whose summaries are known: eight images with four parts each, and the truth of these."""

    run: Run
    truth: Path


PLANTED_PARTS = ("bow", "funnel", "flag", "hull")


def _planted_frame(image: int) -> tuple[Picture, dict[str, tuple[int, int, int, int]]]:
    """A frame of 96 pixels with a pattern of its own in each corner, moved a little, and where the patterns are."""
    rng = np.random.default_rng(image)
    frame = rng.normal(120, 4, (96, 96, 3))
    boxes = {}
    for k, name in enumerate(PLANTED_PARTS):
        x0, y0 = (int(c) for c in rng.integers(4, 12, 2) + np.array([48 * (k % 2), 48 * (k // 2)]))
        boxes[name] = (x0, y0, x0 + 30, y0 + 30)
        y, x = np.mgrid[:30, :30]
        wave = (np.sin(x), np.sin(0.8 * y), np.sin(0.6 * (x + y)), np.sin(0.05 * ((x - 15) ** 2 + (y - 15) ** 2)))[k]
        frame[y0 : y0 + 30, x0 : x0 + 30] += 70 * wave[..., None] * np.eye(4)[k][:3] + 20 * wave[..., None]
    return frame.clip(0, 255).astype(np.uint8), boxes


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Planted]:
    """Writes a run of eight images; its kept summaries are the parts, or clusters given by (image, part)."""

    def make(clusters: Sequence[Sequence[tuple[int, int]]] | None = None, images: int = 8) -> Planted:
        path, truth = tmp_path / "run", tmp_path / "truth"
        if clusters is None:
            clusters = [[(image, k) for image in range(images)] for k in range(len(PLANTED_PARTS))]
        boxes = []
        for image in range(images):
            frame, where = _planted_frame(image)
            pixels = {name: np.zeros((96, 96), np.bool_) for name in PLANTED_PARTS}
            for name, (x0, y0, x1, y1) in where.items():
                pixels[name][y0:y1, x0:x1] = True
                boxes.append((x0, y0, x1, y1))
            mask = np.any(list(pixels.values()), axis=0)
            write_png(path / "frames" / f"i{image}.png", frame)
            soft = mask.astype(np.float16)
            write_npz(path / "masks" / f"i{image}.npz", smooth=soft, crisp=soft)
            write_png(path / "masks" / f"i{image}.png", mask)
            write_npz(truth / f"i{image}.npz", **pixels)
        count = len(PLANTED_PARTS)
        image_of, kind = np.repeat(np.arange(images), count), np.tile(np.arange(count), images)
        matrix = np.random.default_rng(0).uniform(0.1, 0.2, (len(kind), len(kind))) + 0.7 * (kind[:, None] == kind)
        matrix = np.where(image_of[:, None] == image_of, 0, (matrix + matrix.T) / 2).astype(np.float32)
        write_matched(
            path / "work" / "similarity.npz",
            Matched(
                csr_array(matrix),
                image_of,
                np.arange(len(kind)),
                PartBoxes(np.array(boxes, np.float32), np.ones(len(kind), np.int32)),
            ),
        )
        summaries, rows = [], {}
        for number, cluster in enumerate(clusters):
            parts = [image * count + k for image, k in cluster]
            members = tuple(Member(p, f"i{p // count}", tuple(map(float, boxes[p])), 1.0, 1.0) for p in parts)
            summaries.append(Summary(number, "", parts[0], members, 1.0, True, ""))
            rows |= {part: number for part in parts}
        settings = plain(replace(Settings(), affinity=AffinityOptions(preference=0.5)))
        info = {
            "format": 1,
            "versions": {},
            "seed": 0,
            "model": {"spec": "demo", "fingerprint": "0"},
            "target": {"index": 0, "name": "boat", "wordnet": ""},
            "config": {
                "images": "boat",
                "target": "",
                "limit": None,
                "keep_misclassified": False,
                "masks": None,
                "preset": "compact",
                "model": {},
                "settings": settings,
            },
            "stages": {"matching": {"status": "done", "inputs": {}, "counts": {"descriptor": "hog"}}},
        }
        write_json(path / "run.json", info)
        ids = [f"i{image}" for image in range(images)]
        write_csv(path / "images.csv", ImageRow, [ImageRow(i, i, "0", 96, 96, "ok", "", 0, 0.9) for i in ids])
        figures = (0.9, 0.05, 0.06, 0.07, 0.94, 0.93, 0.92, 0.3, 0.2, 0.18, 300, 1.5)
        write_csv(path / "masks.csv", MaskRow, [MaskRow(i, *figures) for i in ids])
        found = [
            PartRow(part, f"i{part // count}", 1, *map(float, box), rows.get(part, -1), 0, 1.0)
            for part, box in enumerate(boxes)
        ]
        write_csv(path / "parts.csv", PartRow, found)
        write_json(path / "summaries.json", [summary.to_json() for summary in summaries])
        return Planted(Run(path), truth)

    return make
