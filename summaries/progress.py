"""Progress with time left: a bar on a terminal, a plain line every so often elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Tick = Callable[[int, int], None]

LINE_SECONDS = 20.0
"""Pause between plain lines."""


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, unit: str) -> Iterator[Tick]:
    """Shows how far a stage is; the tick takes (done, total), in steps of ``unit``."""
    if sys.stderr.isatty():
        with tqdm(desc=label, unit=f" {unit}", leave=False, dynamic_ncols=True) as bar:

            def move(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield move
    else:
        start = last = time.monotonic()

        def line(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done and done < total and now - last >= LINE_SECONDS:
                left = tqdm.format_interval((now - start) / done * (total - done))
                say(f"  {label}: {done} of {total} {unit}, {left} left")
                last = now

        yield line
