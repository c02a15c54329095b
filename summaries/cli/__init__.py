"""The command line: one file a command, options made from the dataclasses of the stages.

The file of a command imports at its top what reading its options needs, and in its function what the work needs. So
help, wrong use, `status` and `name` answer without loading torch. tyro's own subcommands were tried: they import the
files of all commands and build all parsers, which takes 0.5 to 0.9 s of processor time where one command takes 0.3 s,
and the defaults of a command cannot come from the run that it names.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import select
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from visual_summaries.masks.errors import UnfinishedError, UserError, is_disk_full
from visual_summaries.summaries.cli.commands import find_commands
from visual_summaries.summaries.cli.ending import STATUS, AskedToEnd, ended_by_signal

PROGRAM = "visual-summaries"

COMMANDS = find_commands()
"""All commands by name."""

EXAMPLES = {
    "": "visual-summaries run runs/demo/world/images/steamer --out runs/steamer --model demo",
    "evaluate": "visual-summaries evaluate summaries runs/demo/steamer --truth runs/demo/world",
}
"""What the overviews end with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 done, 1 a run that could not finish, 2 wrong use, 130 interrupted, 141 nobody reads what it prints any more,
        143 asked to end.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show ends no run
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        status = _answer(given, debug)
        sys.stdout.flush()
    except BrokenPipeError:
        if debug:
            raise
        return _unread()
    return status


def _answer(given: Sequence[str], debug: bool) -> int:
    """Prints an overview or the version, or runs a command; an error becomes one line and a status."""
    asks = bool(given) and given[-1] in ("-h", "--help")
    words = " ".join(given[:-1] if asks else given)
    if words in EXAMPLES:
        print(_overview(words))
        return 0 if asks else 2
    if words == "--version":
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        return 0
    from visual_summaries.summaries.cli.terminal import told

    try:
        with ended_by_signal(), told(in_options):
            _run(given, debug)
    except UserError as error:
        if debug:
            raise
        return _fail(2, in_options(str(error)))
    except AskedToEnd:
        return _fail(STATUS, "asked to end; the same command again continues")
    except KeyboardInterrupt:
        return _fail(130, "interrupted; the same command again continues")
    except BrokenPipeError:
        raise
    except OSError as error:
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        advice = "free some space, then run the same command again: it continues"
        if not is_disk_full(error):
            advice = "--debug shows where it happened"
        return _fail(1, f"{error.strerror or error}{where}: {advice}")
    except MemoryError:
        if debug:
            raise
        return _fail(1, "memory is used up: give less at once (--jobs 1, --limit); the same command again continues")
    except SystemExit as stop:
        if debug:
            raise
        return _fail(1, f"could not finish: something it called ended the program, sys.exit({stop.code!r})")
    except UnfinishedError as error:
        if debug:
            raise
        return _fail(1, f"{error} (--debug shows where)")
    except Exception as error:
        if debug:
            raise
        return _fail(1, f"could not finish: {type(error).__name__}: {error} (--debug shows where)")
    return 0


def _run(given: Sequence[str], debug: bool) -> None:
    """Runs a command."""
    from visual_summaries.summaries.cli.parsing import HelpShown

    name, rest = _find(given)
    with warnings.catch_warnings():
        if not debug and not sys.warnoptions:
            warnings.simplefilter("ignore")  # those of libraries; ours are lines of their own
        module = importlib.import_module(COMMANDS[name].module)
        try:
            module.main(rest)
        except HelpShown:
            return


def in_options(message: str) -> str:
    """A message of the library with options in place of Python's arguments.

    The library names an argument in backticks, `keep_misclassified`, and a field of settings with a dot,
    `affinity.preference`; the command line calls them --keep-misclassified and --set.affinity.preference.

    Examples:
        >>> in_options("give another `out`, or change `affinity.preference`")
        'give another --out, or change --set.affinity.preference'
    """

    def option(match: re.Match[str]) -> str:
        name = match[1].replace("_", "-")
        return f"--set.{name}" if "." in name else f"--{name}"

    return re.sub(r"`([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)`", option, message)


def _find(given: Sequence[str]) -> tuple[str, Sequence[str]]:
    for words in (2, 1):
        name = " ".join(given[:words])
        if name in COMMANDS:
            return name, given[words:]
    group = given[0] if any(name.startswith(f"{given[0]} ") for name in COMMANDS) else ""
    unknown = " ".join(given[:2]) if group else given[0]
    raise UserError(f"unknown command {unknown!r}: see {' '.join(filter(None, (PROGRAM, group)))} --help")


def _overview(group: str) -> str:
    """All commands, or those whose names begin with a word, a line each."""
    commands = {name: command for name, command in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {command.text}" for name, command in commands.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND ... [--debug]",
            "",
            "Shows which object parts an image classifier relies on for a class.",
            "",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help tells a command's options. --debug shows the traceback of an error.",
            f"Example: {EXAMPLES[group]}",
        ]
    )


def _fail(status: int, message: str) -> int:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return status


def _unread() -> int:
    """Ends quietly when nobody reads what is printed: ``visual-summaries status RUNS | head -3``."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    if not streams:
        return _fail(1, "could not finish: another process that it wrote to has ended")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())  # what is left in its buffer is flushed when Python ends
    os.close(nowhere)
    return 141


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream goes into a pipe whose other end is closed."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # it is no file of the system
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
