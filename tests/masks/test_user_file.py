"""Networks from a user's file: FILE.py:FUNCTION."""

import os
import sys
from pathlib import Path

import pytest
import torch

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.networks.user_file import absolute_spec, load_network

NET = """
import torch
from torch import nn
class Net(nn.Module):
    input_size, mean, std = 32, (0.5,) * 3, (0.25,) * 3
    def __init__(self, classes=3):
        super().__init__()
        self.f = nn.Linear(3, classes)
    def forward(self, x): return self.f(x.mean((2, 3)))
"""


def write(folder: Path, text: str, name: str = "net.py") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return f"{folder / name}:build"


@pytest.fixture(autouse=True)
def _places_kept() -> object:
    places, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = places
    for name in set(sys.modules) - modules:
        if name.startswith("_network_of_user") or "beside" in name:
            del sys.modules[name]


def test_dataclasses_find_their_module(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Config:\n"
    spec = write(tmp_path, text + "    classes: int = 3\n" + NET + "build = lambda: Net(Config().classes)\n")
    network = load_network(spec)
    assert sys.modules[type(network).__module__].__dict__["Config"]().classes == 3
    assert type(network).__module__ not in ("net", "__main__")


def test_files_beside_it_are_imported_even_during_a_pass(tmp_path: Path) -> None:
    write(tmp_path, NET, "blocks_beside.py")
    write(tmp_path, "scale = 2.0", "late_beside.py")
    late = (
        "class Late(Net):\n    def forward(self, x):\n"
        "        import late_beside\n        return super().forward(x) * late_beside.scale\n"
    )
    spec = write(tmp_path, "from blocks_beside import Net\n" + late + "build = Late\n")
    network = load_network(spec)
    assert network(torch.zeros(1, 3, 4, 4)).shape == (1, 3)


def test_each_file_gets_the_files_beside_it(tmp_path: Path) -> None:
    for count in (3, 5):
        write(tmp_path / str(count), NET + f"CLASSES = {count}\n", "common_beside.py")
        write(tmp_path / str(count), "from common_beside import *\nbuild = lambda: Net(CLASSES)\n")
    for count in (3, 5, 3):
        assert load_network(f"{tmp_path}/{count}/net.py:build").f.out_features == count  # type: ignore[union-attr]


def test_a_file_beside_it_may_bear_the_name_of_a_package(tmp_path: Path) -> None:
    import timm

    write(tmp_path, "VALUE = 4", "timm.py")
    write(tmp_path, "raise RuntimeError", "random.py")  # the standard library is not hidden
    spec = write(tmp_path, NET + "import random, timm\nrandom.random()\nbuild = lambda: Net(timm.VALUE)\n")
    assert load_network(spec).f.out_features == 4  # type: ignore[union-attr]
    assert sys.modules["timm"] is timm
    assert sys.modules["timm.models"] is timm.models


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    for count in (3, 4, 5):  # within a second, of one length
        assert load_network(write(tmp_path, NET + f"build = lambda: Net({count})\n")).f.out_features == count  # type: ignore[union-attr]
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', required=True)\np.parse_args()\n",
            "line 4",
        ),
        ("import sys\nsys.exit(0)\n", r"ends the program \(SystemExit 0\) \(line 2\)"),
        ("def build():\n    raise SystemExit\n", "ends the program"),
        ("def build():\n    raise ValueError('one\\ntwo')\n", r"ValueError: one \(line 2\)"),
        ("def build():\n    raise RuntimeError\n", "RuntimeError: no reason given"),
        ("def build(:\n", "SyntaxError"),
        ("import no_such_module_beside\n", "ModuleNotFoundError"),
        ("other = 3\n", "no function 'build'"),
        ("build = 3\n", "no function 'build'"),
        ("build = lambda x: x\n", "TypeError"),
        ("build = dict\n", "returns dict, not an"),
        ("\0", "ValueError|SyntaxError"),
    ],
)
def test_files_that_fail_are_one_line_and_leave_nothing(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "", "helper_beside.py")
    spec = write(tmp_path, "import helper_beside\n" + text if "\0" not in text and "(:" not in text else text)
    if "line" in message:
        message = message.replace("line 4", "line 5").replace("line 2", "line 3")
    places, modules = list(sys.path), dict(sys.modules)
    with pytest.raises(UserError, match=message) as caught:
        load_network(spec)
    assert "\n" not in str(caught.value)
    assert sys.path == places
    assert sys.modules == modules


def test_an_interruption_passes(tmp_path: Path) -> None:
    spec = write(tmp_path, "raise KeyboardInterrupt\n")
    modules = dict(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        load_network(spec)
    assert sys.modules == modules


def test_the_process_stays_as_it_was(tmp_path: Path) -> None:
    text = NET + (
        "import os, sys, random, numpy\n"
        "torch.set_grad_enabled(False); torch.set_default_dtype(torch.float64); os.chdir(os.path.dirname(__file__))\n"
        "torch.manual_seed(3); random.seed(3); numpy.random.seed(3); torch.rand(1)\n"
        "assert sys.argv == [__file__]\n"
        "build = Net\n"
    )
    specs = [write(tmp_path, text), write(tmp_path, text + "raise ValueError\n", "fails.py")]
    arguments, folder = list(sys.argv), os.getcwd()
    for spec in specs:
        try:
            load_classifier(spec)
        except UserError as error:
            assert "ValueError" in str(error)  # noqa: PT017
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float32
        assert (sys.argv, os.getcwd()) == (arguments, folder)


def test_a_relative_file_is_named_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, NET + "build = Net\n")
    monkeypatch.chdir(tmp_path)
    spec = load_classifier("net.py:build").spec
    assert spec == absolute_spec("net.py:build") == f"{tmp_path}/net.py:build"
    monkeypatch.chdir("/")
    assert load_classifier(spec).spec == spec
    assert absolute_spec("timm:resnet18") == "timm:resnet18"


def test_folders_and_missing_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    for name in ("folder.py", "missing.py", "long" * 100 + ".py", "nul\0.py"):
        with pytest.raises(UserError, match=r"give FILE\.py:FUNCTION"):
            load_network(f"{tmp_path / name}:build")
