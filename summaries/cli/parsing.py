"""Reads a command's options with tyro, from a dataclass or a function, and writes its help.

tyro prints an error as a box of text and ends the process. Here the text of the box becomes one line. The events that
tyro has for errors are in a private module (``tyro._errors``) that may change with any release, so they are not used.
tyro has no help of two lengths either: for the short one, the options of experts are suppressed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import itertools
import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import OptionError, checked, hints
from visual_summaries.summaries.cli import COMMANDS, PROGRAM

HELP_ALL = "--help-all"


class Expert:
    """Marks, in the annotation of a dataclass's field, options that only ``--help-all`` shows."""


class HelpShown(Exception):  # noqa: N818 - no error
    """The help was printed; there is nothing else to do."""


def told(metavar: str, default: str | None = None, name: str | None = None) -> Any:
    """What the help shows of an option besides its description.

    Args:
        metavar: Placeholder of its value.
        default: The default in words, if the value itself says nothing; empty to show no default.
        name: Name of the option, if it is not that of the field.
    """
    hint = None if default is None else f"(default: {default})" if default else ""
    return tyro.conf.arg(name=name, metavar=metavar, help_behavior_hint=hint)


def parse(function: Callable[..., Any], arguments: Sequence[str], name: str, example: str, **options: Any) -> Any:
    """Reads a command's options.

    Args:
        function: A dataclass, of which an instance is returned, or a function, which is called.
        arguments: What follows the command.
        name: The command.
        example: A command line that works, the last line of its help.
        **options: Further ones of ``tyro.cli``.

    Raises:
        UserError: For wrong use; one line instead of tyro's box. A value out of its range names the option.
        HelpShown: After help was printed.
    """
    _refuse_empty(arguments, name)
    given = ["--help" if argument == HELP_ALL else argument for argument in arguments]
    brief = HELP_ALL not in arguments and not {"-h", "--help"}.isdisjoint(given)
    program = f"{PROGRAM} {name}"
    text = COMMANDS[name].text
    description = f"{text[0].upper()}{text[1:]}."
    read = function if isinstance(function, type) else _later(function)
    if brief and isinstance(function, type) and _experts(function):
        read, options = _brief(function, options)
        description += f"\n\nOptions of the stages, --set.STAGE.NAME, are told by {program} {HELP_ALL}."
    caught = io.StringIO()
    try:
        with contextlib.redirect_stderr(caught):
            found = tyro.cli(read, args=given, prog=program, description=description, **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            print(f"\nExample: {example}")
            raise HelpShown from None
        line, refused = _in_one_line(caught.getvalue()), _refused(stop)
        if refused is not None:
            where = re.search(r"Error parsing ([\w.-]+):", line)
            raise refused.called(_option(function, *(where[1].split(".") if where else ()), refused.field)) from None
        raise UserError(f"{line}: see {program} --help") from None
    try:
        checked(vars(found) if isinstance(function, type) else found.keywords, hints(function), "")
    except OptionError as error:
        raise error.called(_option(function, error.name)) from None
    return found if isinstance(function, type) else found()


def _refuse_empty(arguments: Sequence[str], name: str) -> None:
    """Refuses an empty argument, which as a path would be the working directory; `name` removes a name by one.

    Raises:
        UserError: One is empty.
    """
    for option, value in itertools.pairwise(["", *arguments, "-"]):
        if option.startswith("--") and (value == "" or option.endswith("=")):
            raise UserError(f"{option.removesuffix('=')} is empty: give a value")
        if value == "" and name != "name":
            raise UserError(f"an argument of {PROGRAM} {name} is empty: give a folder")


def check_folders(**folders: Path | None) -> None:
    """Checks that options name folders, before any long work.

    Raises:
        UserError: One does not exist, or is a file.
    """
    for name, folder in folders.items():
        if folder is not None and not folder.is_dir():
            raise UserError(f"`{name}` {folder} is not a folder")


def _in_one_line(box: str) -> str:
    """The text of tyro's box, in one line, without the hint at its help."""
    text = re.sub(r"[^\S\n]*[│╭╮╰╯─]+[^\S\n]*", "\n", re.sub(r"\x1b\[[0-9;]*m", "", box))
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    end = next((i for i, line in enumerate(lines) if line.startswith(("For full help", "Argument help"))), None)
    return " ".join(lines[:end])


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
    """A function with the same options that returns a call, which is made after standard error is restored."""

    @functools.wraps(function)
    def bind(*args: Any, **options: Any) -> Callable[[], Any]:
        return functools.partial(function, *args, **options)

    return bind


def _experts(kind: type) -> set[str]:
    """Names of the fields that only ``--help-all`` shows."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if Expert in getattr(hint, "__metadata__", ())}


def _brief(kind: Any, options: dict[str, Any]) -> tuple[type, dict[str, Any]]:
    """The same dataclass, and ``tyro.cli``'s options for it, with what is for experts left out of the help."""
    experts, hints = _experts(kind), typing.get_type_hints(kind, include_extras=True)
    fields: list[Any] = []
    for one in dataclasses.fields(kind):
        hint = hints[one.name]
        own = dataclasses.field(default=one.default, default_factory=one.default_factory)
        fields.append((one.name, Annotated[hint, tyro.conf.Suppress] if one.name in experts else hint, own))
    same = dataclasses.make_dataclass(kind.__name__, fields, frozen=True, namespace={"__doc__": kind.__doc__})
    if "default" in options:
        options |= {"default": same(**{name: getattr(options["default"], name) for name in hints})}
    return same, options
