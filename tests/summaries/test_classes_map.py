"""A root whose folders are not named after the network's classes."""

import json
import shutil

import pytest

from visual_summaries.summaries.cli import main
from visual_summaries.summaries.store import Run


@pytest.fixture
def root(folder, tmp_path):
    """A root with two class folders of the textured class."""
    for name in ("with texture", "things"):
        for number in range(3):
            (tmp_path / "root" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder.photographs / f"p{number}.png", tmp_path / "root" / name)
    return tmp_path / "root"


@pytest.fixture
def call(folder, tmp_path, capsys, monkeypatch):
    """Runs a root, and gives status and messages."""
    monkeypatch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 48)

    def run(images, *more, out=tmp_path / "runs"):
        status = main(folder.arguments(*map(str, more), images=images, out=out))
        return status, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    "text", ['{"with texture": "textured", "things": 0}', "folder;class\nWith_Texture;0\nthings;TEXTURED\n"]
)
def test_folders_have_the_classes_of_a_map(root, call, tmp_path, text):
    (tmp_path / "map").write_text(text)
    status, messages = call(root, "--classes-map", tmp_path / "map")
    assert status == 0, messages
    for name in ("with texture", "things"):
        (path,) = (path for path in (tmp_path / "runs").iterdir() if path.name.startswith(name[:4]))
        assert Run(path).info["target"]["name"] == "textured"
        assert Run(path).info["config"]["target"] in ("0", "textured", "TEXTURED")
        status, messages = call(root / name, "--target", Run(path).info["config"]["target"], out=path)
        assert status == 0
        assert ": done in" not in messages  # the run goes on without the map, all of it is there


def test_a_folder_that_the_map_does_not_name_has_its_own(root, call, tmp_path):
    (root / "things").rename(root / "textured")
    (tmp_path / "map.json").write_text(json.dumps({"with texture": "textured"}))
    assert call(root, "--classes-map", tmp_path / "map.json")[0] == 0


def test_without_a_map_the_error_names_it(root, call):
    (root / "things").rename(root / "textureds")
    status, messages = call(root)
    assert status == 2
    lines = messages.splitlines()
    assert "textureds: the network knows no class 'textureds': did you mean 'textured'?" in lines
    assert "--classes-map FILE" in lines[-1]


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("other,textured\n", [], "names none of the folders"),
        ("things,textured\n", ["--target", "textured"], "--target and --classes-map are both given"),
        ("things\n", [], "class map"),
        (None, [], "class map"),
    ],
)
def test_maps_that_cannot_be_used(root, call, tmp_path, text, more, said):
    if text is not None:
        (tmp_path / "map.csv").write_text(text)
    status, messages = call(root, "--classes-map", tmp_path / "map.csv", *more)
    assert (status, messages.count("\n")) == (2, 1)
    assert said in messages
    assert not (tmp_path / "runs").exists()
