"""Messages of the library name Python's arguments in backticks; the command line turns them into its options."""

import ast
import re
from pathlib import Path

import pytest

from visual_summaries.summaries.cli import COMMANDS, in_options, main

ROOT = Path(__file__).parents[2]
FILES = [
    path
    for package in ("masks", "clustering", "summaries", "specialize")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.parent.name != "cli"
]


def messages(path):
    """Strings in a file that are no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


@pytest.fixture(scope="module")
def options():
    """Names of all options of all commands."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as shown:
        for name in COMMANDS:
            main([*name.split(), "--help-all"])
    return set(re.findall(r"--[a-z][\w.-]*", shown.getvalue()))


def test_what_stands_in_backticks_is_an_option(options):
    named = {message for path in FILES for message in messages(path) if in_options(message) != message}
    named = {message for message in named if not message.startswith("the photograph (")}  # what run.json says of frames
    assert len(named) > 20
    for message in named:
        found = set(re.findall(r"--[a-z][\w.-]*\w", in_options(message))) - set(re.findall(r"--[\w.-]*", message))
        assert found <= options, message


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_names_no_option(path):
    """But that of a configuration file, which only the command line reads."""
    named = [message for message in messages(path) if re.search(r"--[a-z]", message.replace("--config", ""))]
    assert named == []
