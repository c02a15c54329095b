"""What is told while something runs: how far it is, and lines of text.

The library prints nothing. How far it is goes to a display, which a caller chooses for a block of code by
:func:`shown_by` or :func:`told_to`; without one it is not shown. Lines of text are logged at level INFO.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Tick = Callable[[int, int], None]
"""Takes the number of steps done and of all steps."""

Display = Callable[[str, str], AbstractContextManager[Tick]]
"""Shows one task: takes its label and the unit of its steps, and gives what takes the steps while it runs."""

log = logging.getLogger(__name__)
"""Where :func:`say` writes."""


@dataclass(frozen=True)
class Step:
    """How far a task is.

    Attributes:
        task: What is being done, for instance ``masks``.
        unit: What its steps are, for instance ``images``.
        done: Steps done.
        total: All steps.
    """

    task: str
    unit: str
    done: int
    total: int


def say(text: str) -> None:
    """Logs a line."""
    log.info("%s", text)


@contextmanager
def progress(label: str, unit: str) -> Iterator[Tick]:
    """Shows how far a task is, on the display of the caller.

    Args:
        label: What is being done.
        unit: What its steps are.

    Examples:
        >>> with told_to(print), progress("masks", "images") as tick:
        ...     tick(1, 24)
        Step(task='masks', unit='images', done=1, total=24)
    """
    with _display.get()(label, unit) as tick:
        yield tick


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Shows all tasks of a block of code, in this thread, on a display."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)


@contextmanager
def told_to(listener: Callable[[Step], None] | None) -> Iterator[None]:
    """Calls a function with each step of a block of code, in this thread; None leaves the display as it is."""
    if listener is None:
        yield
        return

    @contextmanager
    def display(label: str, unit: str) -> Iterator[Tick]:
        yield lambda done, total: listener(Step(label, unit, done, total))

    with shown_by(display):
        yield


@contextmanager
def _nowhere(label: str, unit: str) -> Iterator[Tick]:
    yield lambda done, total: None


_display: ContextVar[Display] = ContextVar("display", default=_nowhere)
