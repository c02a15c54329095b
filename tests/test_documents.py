"""Files that the documents name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = ("masks", "clustering", "summaries", "specialize", "scripts", "tests", "docs")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*", text)
    outputs = ("masks/ID", "masks/`", "summaries/`")
    missing = {name for name in named if not name.startswith(outputs) and not (ROOT / name.rstrip(".")).exists()}
    assert not missing


def test_there_are_twenty_answers():
    """And each of them names a file or folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+\? \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) >= 20
    assert all(re.search(rf"`(?:{'|'.join(FOLDERS)})/", row) for row in rows)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
