"""The command line: one file a command, options made from the dataclasses of the stages."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import io
import logging
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from masks.errors import UserError
from masks.options import OptionError, checked, hints

PROGRAM = "visual-summaries"

COMMANDS = {
    "demo": "the whole chain on two classes of the embedded world, offline",
    "world": "writes the embedded world: pictures with the true mask of every part",
    "run": "the whole chain on a class folder; the same command again continues where it stopped",
    "masks": "the mask stage of a run again",
    "cluster": "matching and clustering of a run again, from the masks that are there",
    "gallery": "the gallery of a run again",
    "status": "what a run has done, has left and has skipped",
    "name": "names a summary",
    "specialize": "SVMs of summaries on top of a network: a classifier that is better on their classes",
    "evaluate masks": "the paper's table 2 over runs, and what it leaves out, beside other methods",
    "evaluate matching": "proposal flow on its benchmark, PF-WILLOW: share of keypoints moved to the right place",
    "evaluate summaries": "whether a run's summaries mean anything, with truth and without, beside other clusters",
    "evaluate boost": "what a specialised network gains and harms, beside controls at the same harm limit",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 done, 1 a run that could not finish, 2 wrong use, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        return 0 if given else 2
    if given[0] == "--version":
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        return 0
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        name, rest = _find(given)
        with warnings.catch_warnings():
            if not debug and not sys.warnoptions:
                warnings.simplefilter("ignore")  # those of libraries; ours are lines of their own
            module = importlib.import_module(f"summaries.cli.{name.replace(' ', '_')}")
            module.main(rest)
    except UserError as error:
        if debug:
            raise
        return _fail(2, str(error))
    except KeyboardInterrupt:
        return _fail(130, "interrupted; the same command again continues")
    except OSError as error:
        if debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        advice = "free some space, then run the same command again: it continues"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            advice = "--debug shows where it happened"
        return _fail(1, f"{error.strerror or error}{where}: {advice}")
    except Exception as error:
        if debug:
            raise
        return _fail(1, f"could not finish: {type(error).__name__}: {error} (--debug shows where)")
    return 0


def parse(function: Callable[..., Any], arguments: Sequence[str], name: str, example: str, **options: Any) -> Any:
    """Reads a command's options with tyro, from a function or a dataclass.

    Raises:
        UserError: For wrong use; one line instead of tyro's box. A value out of its range names the option.
    """
    import tyro

    caught = io.StringIO()
    read = function if isinstance(function, type) else _later(function)
    program = f"{PROGRAM} {name}"
    description = f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.\n\nExample: {example}"
    try:
        with contextlib.redirect_stderr(caught):
            found = tyro.cli(read, args=list(arguments), prog=program, description=description, **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        text = re.sub(r"[^\S\n]*[│╭╮╰╯─]+[^\S\n]*", "\n", re.sub(r"\x1b\[[0-9;]*m", "", caught.getvalue()))
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        refused = _refused(stop)
        if refused is not None:
            where = re.search(r"Error parsing ([\w.-]+):", " ".join(lines))
            raise refused.called(_option(function, *(where[1].split(".") if where else ()), refused.field)) from None
        end = next((i for i, line in enumerate(lines) if line.startswith(("For full help", "Argument help"))), None)
        raise UserError(f"{' '.join(lines[:end])}: see {program} --help") from None
    try:
        given = vars(found) if isinstance(function, type) else found.keywords
        checked(given, hints(function), "")
    except OptionError as error:
        raise error.called(_option(function, error.name)) from None
    return found if isinstance(function, type) else found()


def _refused(error: BaseException | None) -> OptionError | None:
    """The refused option that an error came of, if any."""
    while error is not None and not isinstance(error, OptionError):
        error = error.__context__
    return error


def _option(function: Callable[..., Any], first: str, *further: str) -> str:
    """How the command line names a field, given by the names on the way to it."""
    configured = getattr(hints(function).get(first), "__metadata__", ())
    first = next((one.name for one in configured if isinstance(getattr(one, "name", None), str)), first)
    return f"--{'.'.join(filter(None, (first, *further)))}".replace("_", "-")


def _later(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the same options that gives a call to be made later, when standard error is free again."""

    @functools.wraps(function)
    def bind(*args: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(function, *args, **options)

    return bind


def _find(given: Sequence[str]) -> tuple[str, Sequence[str]]:
    for words in (2, 1):
        name = " ".join(given[:words])
        if name in COMMANDS:
            return name, given[words:]
    raise UserError(f"unknown command {given[0]!r}: see {PROGRAM} --help")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND ... [--debug]",
            "",
            "Shows which object parts an image classifier relies on for a class.",
            "",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help tells a command's options. --debug shows the traceback of an error.",
            f"Example: {PROGRAM} run photos/n03028079 --out runs/church --model lite0",
        ]
    )


def _fail(status: int, message: str) -> int:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return status
