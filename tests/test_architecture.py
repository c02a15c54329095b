"""The rooms of the house: imports go one way, and every room is installed."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("masks", "clustering", "summaries", "specialize")
"""Data flows from left to right; nothing imports what stands to its right."""

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Modules of ours that a file imports anywhere in it, without the name of the import package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
    return {name.removeprefix("visual_summaries.") for name in found if name.startswith("visual_summaries.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    right = PACKAGES[PACKAGES.index(package) + 1 :]
    assert not {name for name in imported(path) if name.split(".")[0] in right}


ROOMS = {
    "masks": ("world", "inputs", "networks", "perturbation", "metrics", "attribution"),
    "clustering": ("parts", "descriptors", "matching", "clusters", "metrics"),
    "summaries": ("semantics", "pages", "stages", "pipeline", "evaluation", "cli"),
    "specialize": ("cli",),
}
"""Of each package; a room imports those before it and the modules beside the rooms, which import no room but lazily."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_the_rooms_before_them(path):
    package, *inside = path.relative_to(ROOT).parts
    if len(inside) < 2:
        return  # beside the rooms: the package's public names, and what all rooms share
    rooms = ROOMS[package]
    later = rooms[rooms.index(inside[0]) + 1 :]
    inner = {tuple(name.split(".")[:2]) for name in imported(path)}
    assert not inner & {(package, room) for room in later}


def test_every_room_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in FILES if path.name == "__init__.py"}
    assert rooms >= {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in FILES}
    listed = {name.removeprefix("visual_summaries.") for name in project["tool"]["setuptools"]["packages"]}
    assert listed == rooms | {"visual_summaries"}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_links_of_a_checkout_lead_to_the_folders(package):
    assert (ROOT / "visual_summaries" / package).resolve() == ROOT / package
