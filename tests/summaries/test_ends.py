"""How the program ends when what it calls, or who reads it, ends before it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from visual_summaries.summaries.cli import in_options, main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ends(monkeypatch, capfd):
    """Ends `status` in a way, and gives the program's status and what is on standard error."""

    def end(error):
        def raises(arguments):
            raise error

        monkeypatch.setattr("visual_summaries.summaries.cli.status.main", raises)
        return main(["status", "runs"]), capfd.readouterr().err

    return end


@pytest.mark.parametrize("code", [0, None, 3, "by"])
def test_code_that_ends_the_program_is_no_success(ends, code):
    """A network's own file may call sys.exit."""
    status, line = ends(SystemExit(code))
    assert status == 1
    assert line.startswith("visual-summaries: could not finish")
    assert "sys.exit" in line


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("Unable to allocate 4.7 GiB for an array")])
def test_memory_that_is_used_up_is_a_line_that_says_what_to_do(ends, error):
    status, line = ends(error)
    assert status == 1
    assert line.count("\n") == 1
    assert "memory" in line
    assert "continues" in line


def test_recursion_without_end_is_a_line(ends):
    status, line = ends(RecursionError("maximum recursion depth exceeded"))
    assert (status, line.count("\n")) == (1, 1)
    assert "RecursionError" in line


def test_a_pipe_to_another_process_that_broke_is_a_line(ends):
    status, line = ends(BrokenPipeError(32, "Broken pipe"))
    assert (status, line.count("\n")) == (1, 1)
    assert "could not finish" in line


def program(*arguments, **options):
    """The program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "visual_summaries", *map(str, arguments)], env=environment, **options
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help-all"], ["status", "RUNS"]])
def test_nobody_reads_what_is_printed(arguments, done, tmp_path):
    """As behind `| head -1`; a pipe holds 64 kB, so one that is closed at once stands for longer texts."""
    arguments = [str(done) if argument == "RUNS" else argument for argument in arguments]
    reading, writing = os.pipe()
    os.close(reading)
    with program(*arguments, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_nobody_reads_messages(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with program("status", tmp_path / "nowhere", stdout=subprocess.PIPE, stderr=writing) as process:
        os.close(writing)
        assert process.stdout.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_the_terminal_cannot_show(encoding, done, tmp_path):
    """Paths, and bytes in paths that are no text, are shown with escapes and end no command."""
    for name in ("église", "大", "b\udce9"):
        os.symlink(done, tmp_path / name)
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    with program(
        "status", tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, environment=environment
    ) as process:
        shown, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert shown.decode(encoding).count(": textured, model") == 3
    with program("status", tmp_path / "大", "x", stderr=subprocess.PIPE, environment=environment) as process:
        assert process.communicate()[1].startswith(b"visual-summaries: ")
    assert process.returncode == 2


def test_a_stream_that_has_no_encoding(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("library", "program"),
    [
        ("`weights` a.pt does not exist", "--weights a.pt does not exist"),
        ("`keep_misclassified` keeps them", "--keep-misclassified keeps them"),
        ("set `affinity.nearest_preference` to 0", "set --set.affinity.nearest-preference to 0"),
        ("see `visual-summaries status`", "see `visual-summaries status`"),
        ("a name like `A b` stays", "a name like `A b` stays"),
    ],
)
def test_arguments_of_the_library_are_options_of_the_program(library, program):
    assert in_options(library) == program
