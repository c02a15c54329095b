"""Files of a run that anybody may have changed: a message in one line or a right answer, never anything else.

Each case changes one file of a finished run, in a way that a seed decides, and reads all of it; some are continued by
commands. A reader may refuse, and what it gives must be what the run held, or fit the ranges that its types promise.
"""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from visual_summaries.clustering.clusters.affinity import propagate
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.cli import main
from visual_summaries.summaries.cli.status import describe
from visual_summaries.summaries.pages.evidence import evidence_of
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.store import Run

pytestmark = pytest.mark.usefixtures("small_pictures")

CASES = 700
COMMANDS = 30

ODD = (
    None,
    "",
    "",
    True,
    -1,
    0,
    1e308,
    2**70,
    0.5,
    "../../x",
    "/etc/passwd",
    [],
    {},
    [[1]],
    {"a": 1},
    "\x00",
    "é" * 99,
)
"""Values in place of a value of JSON or a cell."""


def files_of(run):
    """Files that readers open, in an order that does not depend on the disk."""
    found = [path for path in run.rglob("*") if path.is_file() and "gallery" not in path.parts]
    return sorted(str(path.relative_to(run)) for path in found if path.suffix in (".json", ".csv", ".npz", ".png", ""))


def mutate(path, chance):
    """Changes a file; what was done, in words."""
    data = path.read_bytes()
    kinds = ["flip", "cut", "splice", "empty", "link", "folder"]
    if path.suffix in (".json", ".csv"):
        kinds += ["value"] * 8
    kind = chance.choice(kinds)
    if kind == "flip" and data:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
    elif kind == "cut":
        path.write_bytes(data[: chance.randrange(len(data) + 1)])
    elif kind == "splice" and data:
        a, b = sorted(chance.randrange(len(data)) for _ in range(2))
        path.write_bytes(data[:a] + data[b:] + data[a:b])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "link":
        path.unlink()
        path.symlink_to("/etc/hostname")
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "value":
        kind = f"value {change_value(path, chance)!r}"
    return kind


def change_value(path, chance):
    """Puts an odd value into a table or into JSON."""
    odd = chance.choice(ODD)
    if path.suffix == ".csv":
        lines = path.read_text().splitlines()
        row = chance.randrange(len(lines))
        cells = lines[row].split(",")
        cells[chance.randrange(len(cells))] = str(odd)
        lines[row] = ",".join(cells)
        path.write_text("\n".join(lines) + "\n")
        return odd
    tree = json.loads(path.read_text())
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(tree)
    if places:
        node, key = chance.choice(places)
        if odd == "" and isinstance(node, dict):
            del node[key]
        else:
            node[key] = odd
    path.write_text(json.dumps(tree))
    return odd


def read_all(path):
    """Reads a run as commands do."""
    run = Run(path)
    describe(run)
    ids = run.ids
    for row in run.images:
        assert "/" not in row.id
        assert row.id not in ("", ".", "..")
        assert row.p0 is None or 0 <= row.p0 <= 1.001
    for row in run.masks.values():
        assert 0 <= row.area_binary <= 1.001
    for row in run.parts:
        assert row.image in ids
        assert np.isfinite(row.box).all()
    for one in run.summaries:
        assert all(member.image in ids for member in one.members)
    assert 0 <= run.clustered <= len(run.parts)
    assert run.level is None or 0 <= run.level <= 1.001
    assert all(loss is None or np.isfinite(loss) for loss in run.completeness.values())
    assert all(row.bar <= 100 for row in evidence_of(run).relied_on)
    for image in ids:
        assert run.frame(image).ndim == 3
        masks = run.mask(image)
        assert masks.smooth.min() >= 0
        assert masks.crisp.max() <= 1
    matched = read_matched(path / "work" / "similarity.npz", len(ids))
    propagate(matched.matrix)


@pytest.fixture(scope="module")
def base(done, tmp_path_factory):
    """The finished run, with a name, and where mutated copies lie."""
    home = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(done, home / "base")
    assert main(["name", str(home / "base"), "0", "shapes"]) == 0
    return home


def mutated(home, number):
    """A copy with one changed file."""
    chance = random.Random(number)
    run = home / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(home / "base", run, copy_function=os.link)
    name = chance.choice(files_of(run))
    path = run / name
    data = path.read_bytes()
    path.unlink()  # the others are links to the files of the base
    path.write_bytes(data)
    return run, f"{number}: {name}, {mutate(path, chance)}"


def test_readers_refuse_or_read(base):
    refused = 0
    for number in range(CASES):
        run, what = mutated(base, number)
        try:
            read_all(run)
        except UserError:
            refused += 1
        except Exception as error:
            pytest.fail(f"{what}: {type(error).__name__}: {error}")
    assert CASES // 4 < refused < CASES  # mutations hit, and not all of them do harm


def test_commands_refuse_or_repair(base, capfd, promised):
    expected = promised(base / "base")
    outside = sorted(path.name for path in base.iterdir())
    for number in range(COMMANDS):
        run, what = mutated(base, 10_000 + number)
        for command in (
            ["status", str(run)],
            ["name", str(run), "1", "more shapes"],
            ["cluster", str(run), "--jobs", "1", "--trust"],
            ["gallery", str(run)],
        ):
            status = main(command)
            captured = capfd.readouterr()
            assert "Traceback" not in captured.err, what
            assert status in (0, 1, 2), what
            assert "could not finish" not in captured.err, (what, captured.err)
        if status == 0 and number % 5 == 0 and Path(run / "masks").is_dir():
            assert promised(run).keys() >= expected.keys() - {"masks.csv"}, what
    assert sorted({*outside, "run"}) == sorted(path.name for path in base.iterdir())
