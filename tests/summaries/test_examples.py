"""The examples in the help, in the README and in docs/ are commands as they are, of folders that `make demo` leaves."""

import functools
import importlib
import inspect
import shlex
import shutil
from pathlib import Path

import pytest

from visual_summaries.summaries.cli import COMMANDS, EXAMPLES, main, parsing

ROOT = Path(__file__).parents[2]

OF_COMMANDS = {name: importlib.import_module(COMMANDS[name].module).EXAMPLE for name in COMMANDS}

DEMO = [
    *("runs/demo/steamer", "runs/demo/sailing_boat", "runs/demo/world/images/steamer"),
    *("runs/demo/world/images/sailing_boat", "runs/demo/world/truth/steamer", "runs/demo/index.html"),
]
"""What `make demo` leaves, among others."""

QUICK = ("status", "name", "gallery", "cluster")
"""Commands whose example takes a second on a small run."""

DOWNLOADED = {"PF-WILLOW"}
"""What an example needs that no command here makes."""

DOCUMENTED = sorted(
    {
        " ".join(line.split("#")[0].split())
        for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("    visual-summaries ")
    }
)


class Read(Exception):  # noqa: N818 - no error
    """The options of a command were read; they are the argument."""


@pytest.fixture
def read(monkeypatch):
    """Reads the options of a command line and gives them, without doing anything."""

    def stop(function, arguments, name, example, **options):
        if isinstance(function, type):
            raise Read(vars(parsing.parse(function, arguments, name, example, **options)))
        called = {}
        parsing.parse(_stub(function, called), arguments, name, example, **options)
        raise Read(called)

    def call(line):
        words = shlex.split(line)
        assert words[0] == "visual-summaries"
        name = next(name for name in COMMANDS if words[1 : 1 + len(name.split())] == name.split())
        module = importlib.import_module(COMMANDS[name].module)
        monkeypatch.setattr(module, "parse", stop)
        with pytest.raises(Read) as options:
            module.main(words[1 + len(name.split()) :])
        return options.value.args[0]

    return call


def _stub(function, called):
    """A function of the same options that notes what it is called with."""

    @functools.wraps(function)
    def note(*args, **options):
        called.update(inspect.signature(function).bind(*args, **options).arguments)

    return note


def paths(options):
    """Paths among options, apart from --out, that have to be there."""
    for name, value in options.items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and name != "out":
                yield str(path)


@pytest.mark.parametrize("example", [*OF_COMMANDS.values(), *EXAMPLES.values()])
def test_examples_are_of_what_is_there_after_the_demo(example, read):
    there = {str(part) for path in DEMO for part in (Path(path), *Path(path).parents)} | DOWNLOADED
    if "evaluate boost" in example:
        there.add(str(read(OF_COMMANDS["specialize"].split("&&")[-1])["out"]))
    for line in example.split("&&"):
        options = read(line)
        for path in paths(options):
            assert path in there or str(Path(path).parent) in there - {"runs", "."}, path
        there.add(str(options.get("out")))


def test_what_the_examples_take_for_the_demo_is_what_it_makes(read):
    from visual_summaries.masks import world

    assert read(OF_COMMANDS["demo"])["out"] == Path("runs/demo")
    marked = next(one for one in world.CLASSES if one.marked)
    folders = {world.folder_name(one.name) for one in (marked, world.find_class(marked.pair))}
    assert folders == {Path(path).name for path in DEMO[:2]}


@pytest.mark.parametrize("name", QUICK)
def test_quick_examples_work(name, done, tmp_path, monkeypatch, capfd):
    for path in DEMO[:2]:
        shutil.copytree(done, tmp_path / path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("visual_summaries.summaries.pages.drawing.SIDE", 48)
    trust = ["--trust"] if name == "cluster" else []  # the small run's network is a file; the demo's is not
    assert main([*shlex.split(OF_COMMANDS[name])[1:], *trust]) == 0, capfd.readouterr().err


@pytest.mark.parametrize("line", DOCUMENTED)
def test_commands_in_the_documents_are_read(line, read):
    read(line)


def test_there_are_commands_in_the_documents():
    assert len(DOCUMENTED) >= 8
