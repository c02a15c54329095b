"""Damaged and hostile weights, class lists and class maps: loaded as they are in the file, or refused in one line."""

import csv
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_lists import read_classes
from visual_summaries.masks.networks.class_names import read_class_map
from visual_summaries.masks.networks.weights import load_weights

SEED = 20
WEIGHTS = 400
LISTS = 400
State = dict[str, Tensor]


class Trap:
    """Makes a file when it is unpickled with code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes as disks, transfers and editors make them."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = max(1, len(changed))
        at = int(rng.integers(size) if rng.random() < 0.5 else rng.integers(min(size, 200)))
        length = int(rng.integers(1, 40))
        kind = rng.integers(7)
        if kind == 0:
            changed[at : at + 1] = bytes([int(rng.integers(256))])
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = rng.bytes(length)
        elif kind == 4:
            changed[at : at + length] = bytes(length)
        elif kind == 5:
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + 8] = b"\xff" * 8
    return bytes(changed)


def saved(state: Any, *, legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def rezipped(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A file of torch.save with another pickle in it, whose checks fit again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith("data.pkl") else content)
    return out.getvalue()


def damaged_weights(folder: Path, rng: np.random.Generator) -> bytes:
    """A file of weights of some kind, damaged or with code in it."""
    state = {f"{name}": value + float(rng.normal()) for name, value in network().state_dict().items()}
    wrapped: list[Any] = [state, {"state_dict": state, "epoch": 1}, {f"module.{name}": v for name, v in state.items()}]
    content = wrapped[rng.integers(3)]
    kind = rng.integers(6)
    if kind == 0:
        save_file(state, folder / "made.safetensors")
        return mutated((folder / "made.safetensors").read_bytes(), rng)
    if kind == 1:
        return mutated(saved(content, legacy=True), rng)
    if kind == 2:
        return mutated(saved(content, legacy=False), rng)
    if kind == 3:
        return rezipped(saved(content, legacy=False), lambda inside: mutated(inside, rng))
    trap = Trap(folder / "code_was_run")
    if kind == 4:
        return rezipped(saved(content, legacy=False), lambda _: pickle.dumps(trap, protocol=2))
    data = saved({**content, "trap": trap}, legacy=bool(rng.integers(2)))
    return data if rng.random() < 0.3 else mutated(data, rng)


def tensors_in(path: Path) -> list[tuple[str, Tensor]]:
    """The names and tensors in a file by the library's own reader, under whatever keys."""
    if path.read_bytes()[8:9] == b"{":
        return list(load_file(path).items())
    content = torch.load(path, map_location="cpu", weights_only=True)
    nested = [value for value in content.values() if isinstance(value, dict)]
    return [item for state in (content, *nested) for item in state.items() if isinstance(item[1], Tensor)]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weights_are_those_of_the_file_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    loaded = 0
    for number in range(WEIGHTS):
        path = tmp_path / f"{number}{rng.choice(['.pt', '.pth', '.safetensors', ''])}"
        path.write_bytes(damaged_weights(tmp_path, rng))
        made = network()
        before = {name: value.clone() for name, value in made.state_dict().items()}
        try:
            load_weights(made, path, "net")
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert str(path) in str(error)  # noqa: PT017
            assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
        else:
            loaded += 1
            there = tensors_in(path)
            for name, value in made.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    found = [other for there_name, other in there if f".{there_name}".endswith(f".{name}")]
                    assert any(torch.equal(value, other.to(value.dtype)) for other in found)
                    assert torch.isfinite(value).all()
        path.unlink()
    assert 0 < loaded < WEIGHTS
    assert not (tmp_path / "code_was_run").exists()
    assert not {entry.name for entry in tmp_path.iterdir()} - {"made.safetensors"}


LETTERS = "abcXYZ 0123-_.#'\"(),:/äßé漢"


def some_names(rng: np.random.Generator) -> list[str]:
    names = ["".join(rng.choice(list(LETTERS), rng.integers(1, 9))).strip() for _ in range(rng.integers(2, 12))]
    return [name if name else "x" for name in names]


def table(rows: list[list[str]], rng: np.random.Generator) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=str(rng.choice([",", ";", "\t"]))).writerows(rows)
    return out.getvalue()


def written(names: list[str], rng: np.random.Generator) -> tuple[str, str]:
    """A class list in one of the forms in which all names can be written, with the name of its file."""
    order = rng.permutation(len(names))
    kind = rng.integers(5)
    if kind == 0:
        return "list.json", json.dumps(names, ensure_ascii=bool(rng.integers(2)))
    if kind == 1:
        return "list.txt", json.dumps({str(index): names[index] for index in order}, indent=int(rng.integers(1, 3)))
    if kind == 2 and len(set(names)) == len(names):
        return "list.json", json.dumps({names[index]: int(index) for index in order})
    if kind == 3:
        return "list.txt", repr({int(index): names[index] for index in order})
    words = [f"w{name}" for name in names]  # no second number in a row
    names[:] = words
    return "list.csv", table([[str(index), words[index]] for index in order], rng)


def test_class_lists_are_read_as_written_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    fine = 0
    for _ in range(LISTS):
        names = some_names(rng)
        name, text = written(names, rng)
        encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        labels = read_classes(path)
        assert [label.name for label in labels] == names, text
        assert [label.index for label in labels] == list(range(len(names)))
        path.write_bytes(mutated(path.read_bytes(), rng))
        try:
            labels = read_classes(path)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            fine += 1
            assert [label.index for label in labels] == list(range(len(labels)))
            assert all(label.name.strip() and "\n" not in label.name for label in labels)
    assert 0 < fine < LISTS


def test_class_maps_are_read_as_written_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    fine = 0
    for number in range(LISTS):
        folders = sorted({f"d{name}" for name in some_names(rng)})
        classes = dict(zip(folders, some_names(rng) * 20, strict=False))
        as_json = bool(rng.integers(2))
        text = json.dumps(classes) if as_json else table([[a, b] for a, b in classes.items()], rng)
        path = tmp_path / "map"
        path.write_bytes(text.encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))))
        assert read_class_map(path) == classes, number
        path.write_bytes(mutated(path.read_bytes(), rng))
        try:
            found = read_class_map(path)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            fine += 1
            assert all(a.strip() and b.strip() for a, b in found.items())
    assert 0 < fine < LISTS
