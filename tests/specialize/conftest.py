"""A small world with runs and photographs, and a model of a tiny network; slow definitions of tests/reference are
found from here, whatever way pytest was started.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from visual_summaries.masks import world
from visual_summaries.summaries.cli import main

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # for `tests.reference`
    sys.path.insert(0, str(ROOT))

SPECIALISED = ("church", "steamer")
QUICK = [
    *("--set.masks.smooth.iterations", "2", "--set.masks.crisp.iterations", "2"),
    *("--set.proposals.count", "40", "--set.proposals.max-kept", "8"),
    *("--set.affinity.preference", "0", "--set.prune.cluster-share", "0", "--set.prune.min-members", "2"),
]
FEW = ["--set.tuning.costs", "1", "--set.tuning.steps", "5"]


class Home:
    """Folders of one small world: runs, photographs to train on, of other classes, and new ones."""

    def __init__(self, path: Path) -> None:
        self.runs, self.train, self.others, self.val = (path / name for name in ("runs", "train", "others", "val"))
        self.model = path / "model"

    def specialize(self, out: Path, *more: str, runs: tuple[Path, ...] = ()) -> int:
        given = [str(run) for run in runs or (self.runs,)]
        given += ["--train", str(self.train), "--others", str(self.others), "--out", str(out), "--device", "cpu"]
        return main(["specialize", *given, *FEW, *more])

    def evaluate(self, folder: Path, *more: str, val: Path | None = None) -> int:
        return main(["evaluate", "boost", str(folder), "--val", str(val or self.val), "--device", "cpu", *more])


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("home")
    for name, images, seed in (("runs", 6, 1), ("train", 7, 2), ("val", 4, 3)):
        world.write(root / f"world-{name}", images, seed)
    found = Home(root)
    for folder, source in ((found.train, "train"), (found.val, "val")):
        for name in SPECIALISED:
            shutil.copytree(root / f"world-{source}" / "images" / name, folder / name)
    for kind in world.CLASSES:
        if kind.name not in SPECIALISED:
            name = world.folder_name(kind.name)
            shutil.copytree(root / "world-train" / "images" / name, found.others / name)
    for name in SPECIALISED:
        status = main(
            [
                *("run", str(root / "world-runs" / "images" / name), "--out", str(found.runs / name)),
                *("--model", "demo", "--weights", "none", "--keep-misclassified", "--jobs", "1", "--device", "cpu"),
                *QUICK,
            ]
        )
        assert status == 0
    assert found.specialize(found.model) == 0
    return found
