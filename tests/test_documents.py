"""Files that the documents name are there."""

import ast
import re
from pathlib import Path

import pytest

from visual_summaries.summaries.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTION = r"(?<![\w-])--[a-z][\w.-]*\w"
FOLDERS = ("masks", "clustering", "summaries", "specialize", "scripts", "tests", "docs")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*", text)
    outputs = ("masks/ID", "masks/`", "summaries/`")
    missing = {name for name in named if not name.startswith(outputs) and not (ROOT / name.rstrip(".")).exists()}
    assert not missing


def test_files_that_the_sources_name_exist():
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for package in ("masks", "clustering", "summaries", "specialize", "scripts", "docs")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\.(?:py|md)\b", path.read_text("utf-8"))
        if not (ROOT / name).exists()
    }
    assert not missing


@pytest.fixture
def options(monkeypatch, capsys):
    """All options of the command line and of the scripts."""
    monkeypatch.setenv("COLUMNS", "400")  # no name is broken over two lines
    helps = [[*name.split(), "--help"] for name in COMMANDS] + [[name, "--help-all"] for name in ("run", "specialize")]
    for words in helps:
        assert main(words) == 0
    text = capsys.readouterr().out + "".join(path.read_text() for path in (ROOT / "scripts").glob("*.py"))
    return set(re.findall(OPTION, text))


def test_options_that_a_document_names_exist(options):
    others = {"--strict"}  # of other programs
    for path in DOCUMENTS:
        assert set(re.findall(OPTION, path.read_text(encoding="utf-8"))) - options - others == set(), path.name


def test_there_are_twenty_answers():
    """And each of them names a file or folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+\? \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) >= 20
    assert all(re.search(rf"`(?:{'|'.join(FOLDERS)})/", row) for row in rows)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_examples_stand_under_a_heading():
    """Otherwise the documentation shows them as quotations."""
    bare = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for package in ("masks", "clustering", "summaries", "specialize")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and ">>>" in (text := ast.get_docstring(node) or "")
        and "\nExamples:\n" not in text
    ]
    assert not bare
