"""What the command line shows on standard error: lines, and progress with the time left.

Progress is a bar on a terminal, and a plain line every so often elsewhere.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from visual_summaries.summaries.pace import Pace
from visual_summaries.summaries.progress import Tick, log, say, shown_by

LINE_SECONDS = 20.0
"""Pause between plain lines."""

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}{postfix}]"


@contextmanager
def told(rewrite: Callable[[str], str]) -> Iterator[None]:
    """Shows on standard error what a block of code logs, and how far it is.

    Args:
        rewrite: Changes a line before it is shown.
    """
    handler = _Lines(rewrite)
    root = logging.getLogger()
    level = log.level
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with shown_by(bar_or_lines):
            yield
    finally:
        log.setLevel(level)
        root.removeHandler(handler)


class _Lines(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes records as lines; that nobody reads standard error any more is an error of the program's caller."""

    def __init__(self, rewrite: Callable[[str], str]) -> None:
        super().__init__(sys.stderr)
        self._rewrite = rewrite

    def format(self, record: logging.LogRecord) -> str:
        """The message as it is shown."""
        return self._rewrite(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the standard library
        """Raises what went wrong."""
        raise


@contextmanager
def bar_or_lines(label: str, unit: str) -> Iterator[Tick]:
    """Shows how far a task is; see `summaries.progress.progress`."""
    from tqdm import tqdm

    pace = Pace(time.monotonic)

    def left(total: int) -> str:
        seconds = pace.left(total)
        return "" if seconds is None else f"{tqdm.format_interval(seconds)} left"

    if sys.stderr.isatty():
        with tqdm(desc=label, unit=f" {unit}", leave=False, dynamic_ncols=True, bar_format=_BAR) as bar:

            def move(done: int, total: int) -> None:
                pace.mark(done)
                bar.total = total
                bar.set_postfix_str(left(total), refresh=False)
                bar.update(done - bar.n)

            yield move
    else:
        last = time.monotonic()

        def line(done: int, total: int) -> None:
            nonlocal last
            pace.mark(done)
            now = time.monotonic()
            if done and done < total and now - last >= LINE_SECONDS:
                rest = left(total)
                say(f"  {label}: {done} of {total} {unit}{', ' if rest else ''}{rest}")
                last = now

        yield line
