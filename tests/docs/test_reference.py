"""The reference of the documentation: names become links, and every room has its page."""

import importlib.util
from pathlib import Path

import pytest

griffe = pytest.importorskip("griffe")
pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[2]
MODULE = '''
"""A module."""

def near(): "A function."

def bare(): ...

class Kind:
    """A class."""

    def turn(self): "A method."
'''


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def crosslinks():
    return load("crosslinks")


@pytest.fixture
def package(tmp_path):
    """A package `top` with the module `top.room.thing`."""
    (tmp_path / "top" / "room").mkdir(parents=True)
    (tmp_path / "top" / "__init__.py").write_text('"""The package."""\n')
    (tmp_path / "top" / "room" / "__init__.py").write_text('"""A room."""\nfrom top.room.thing import near\n')
    (tmp_path / "top" / "room" / "thing.py").write_text(MODULE)
    return griffe.load("top", search_paths=[tmp_path])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See `near`.", "See [`near`][top.room.thing.near]."),
        ("See ``near``.", "See [`near`][top.room.thing.near]."),
        ("See :func:`near`.", "See [`near`][top.room.thing.near]."),
        ("See :func:`~room.thing.near`.", "See [`room.thing.near`][top.room.thing.near]."),
        ("See `top.room.thing`.", "See [`top.room.thing`][top.room.thing]."),
        ("See `room/thing.py`.", "See [`room/thing.py`][top.room.thing]."),
        ("See `Kind.turn`.", "See [`Kind.turn`][top.room.thing.Kind.turn]."),
        (
            "Not `room.near`, which is shown where it is defined.",
            "Not `room.near`, which is shown where it is defined.",
        ),
        ("Not `bare`, which is not shown.", "Not `bare`, which is not shown."),
        ("Not `elsewhere` or `x = near`.", "Not `elsewhere` or `x = near`."),
        ("A formula:\n\n    a = `near`", "A formula:\n\n    a = `near`"),
        ("Args:\n    a: See `near`.", "Args:\n    a: See [`near`][top.room.thing.near]."),
        ("Args:\n    a: Weight,\n        >= 0.", "Args:\n    a: Weight,\n        \\>= 0."),
        ("Examples:\n    >>> `near`", "Examples:\n    >>> `near`"),
        (
            "===  ===\n`a`  `near`\n===  ===\n\n`near`",
            "    ===  ===\n    `a`  `near`\n    ===  ===\n\n[`near`][top.room.thing.near]",
        ),
    ],
)
def test_names_become_links(crosslinks, package, text, expected):
    assert crosslinks.linked(text, package["room.thing.bare"], package) == expected


def test_nothing_links_to_itself(crosslinks, package):
    assert crosslinks.linked("See `near`.", package["room.thing.near"], package) == "See `near`."


def test_every_room_has_a_page():
    pages = load("reference_pages")
    for package in pages.PACKAGES:
        packages = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert set(pages.rooms(ROOT / package)) == packages
