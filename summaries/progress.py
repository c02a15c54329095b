"""Progress with time left: a bar on a terminal, a plain line every so often elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from visual_summaries.summaries.pace import Pace

Tick = Callable[[int, int], None]

LINE_SECONDS = 20.0
"""Pause between plain lines."""

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}{postfix}]"


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, unit: str) -> Iterator[Tick]:
    """Shows how far a stage is; the tick takes (done, total), in steps of ``unit``."""
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
