"""``evaluate matching`` on a benchmark made of one drawn scene that moves."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.evaluation.matching import METHODS, find_boxes
from visual_summaries.summaries.evaluation.pf_willow import read_benchmark

MOVES = [(0, 0, 1.0), (9, -6, 1.0), (-6, 5, 1.12)]
POINTS = np.array([[40.0, 45.0], [88.0, 50.0], [70.0, 90.0], [50.0, 75.0]])


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes; one image of the second is the first's."""
    folder = tmp_path_factory.mktemp("pf")
    for of, seed, moves in (("one", 2, MOVES), ("two", 2, [*MOVES[:1], (4, 8, 0.95)])):
        (folder / of).mkdir()
        for number, (x, y, scale) in enumerate(moves):
            affine = np.array([[scale, 0, 64 - scale * 64 + x], [0, scale, 64 - scale * 64 + y]])
            picture = cv2.warpAffine(scene(seed), affine, (128, 128), borderMode=cv2.BORDER_REFLECT)
            Image.fromarray(picture).save(folder / of / f"{number}.png")
            savemat(folder / of / f"{number}.mat", {"pts_coord": (POINTS @ affine[:, :2].T + affine[:, 2]).T})
    return folder


def scene(seed: int) -> np.ndarray:
    """Textured shapes, uint8 (128, 128, 3)."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.normal(128, 60, (128, 128, 3)).astype(np.float32), (0, 0), 4)
    for _ in range(8):
        colour = rng.uniform(0, 255, 3).tolist()
        centre = [int(c) for c in rng.integers(25, 103, 2)]
        axes = [int(a) for a in rng.integers(8, 22, 2)]
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return picture.clip(0, 255).astype(np.uint8)


def command(benchmark: Path, out: Path, *more: str) -> int:
    options = ["--model", "timm:resnet18", "--weights", "none", "--proposals", "200", "--jobs", "1", "--device", "cpu"]
    return main(["evaluate", "matching", str(benchmark), "--out", str(out), *options, *more])


def test_planted_keypoints_are_found_and_everything_is_written(
    benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(benchmark, tmp_path) == 0
    output = capsys.readouterr()
    assert "5 images of 2 classes, 4 of them distinct" in output.err
    rows = json.loads((tmp_path / "matching.json").read_text())["rows"]
    by_name = {(row["method"], row["descriptor"], row["transfer"]): row for row in rows}
    assert len(by_name) == len(rows) == 2 + sum(3 if one.descriptor == "deep" else 2 for one in METHODS)
    for row in rows:
        assert set(row["pck"]) == {"0.05", "0.10", "0.15"}
        assert (row["pairs"], row["classes"]) == (8, 2)
        assert row["proposals"] == (0 if row["method"] == "none" else 200)
        for alpha, share in row["pck"].items():
            assert share == pytest.approx(np.mean([one[alpha] for one in row["per_class"].values()]))
            assert share == pytest.approx(row["curve"][round(100 * float(alpha))])
        assert sorted(row["curve"]) == row["curve"]
    settings = {row["setting"]: key for key, row in by_name.items() if row["setting"]}
    assert settings["paper"] == ("lom", "hog", "best")
    assert settings["default"][1:] == ("deep", "dense")
    assert by_name[settings["paper"]]["pck"]["0.10"] > 0.9
    assert by_name[settings["default"]]["pck"]["0.10"] > 0.8  # of a network with random weights
    assert by_name["none", "none", "unmoved"]["pck"]["0.10"] < 0.5
    with (tmp_path / "matching.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(line["pck_010"]) for line in table] == [row["pck"]["0.10"] for row in rows]
    assert output.out.count("\n") == len(rows) + 1
    figure = np.asarray(Image.open(tmp_path / "matching.png"))
    assert min(figure.shape[:2]) > 500
    assert len(np.unique(figure.reshape(-1, 3), axis=0)) > 1000

    # Again: the proposals are there, and every byte is the same.
    names = ("matching.json", "matching.csv", "matching.png")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()}
    assert len(kept) == 4
    assert command(benchmark, tmp_path) == 0
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "work").iterdir()} == kept


def test_kept_proposals_that_are_damaged_are_made_again(benchmark: Path, tmp_path: Path) -> None:
    images = [image for of in read_benchmark(benchmark).values() for image in of]

    def find() -> dict[str, np.ndarray]:
        return find_boxes(images, tmp_path, count=50, seed=0, jobs=1, tick=lambda done, total: None)

    wanted = find()
    for number, file in enumerate(sorted(tmp_path.iterdir())):
        boxes = [np.full((3, 4), np.nan), np.zeros((3, 5)), np.array(["a"] * 4), np.full((3, 4), -1e9)][number]
        np.savez(file.open("wb"), boxes=boxes)
    again = find()
    assert again.keys() == wanted.keys()
    for content, boxes in wanted.items():
        np.testing.assert_array_equal(again[content], boxes)


@pytest.mark.parametrize("data", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), bytes(range(256)) * 4])
def test_keypoints_that_cannot_be_read_are_one_line(benchmark: Path, tmp_path: Path, data: bytes) -> None:
    shutil.copytree(benchmark, tmp_path / "copy")
    file = next((tmp_path / "copy").rglob("*.mat"))
    file.write_bytes(data)
    with pytest.raises(UserError, match="has no keypoints"):
        read_benchmark(tmp_path / "copy")


def test_wrong_use_is_one_line(benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(benchmark, tmp_path, "--proposals", "0") == 2
    assert command(tmp_path / "nowhere", tmp_path) == 2
    lines = capsys.readouterr().err.strip().split("\n")
    assert "--proposals is 0" in lines[0]
    assert "is not a folder" in lines[1]
