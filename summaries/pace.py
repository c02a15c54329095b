"""How fast a stage goes, so that what is left of it can be told.

The first steps hold what happens once: files are read for the first time, kernels are chosen, workers start. A step may
also be one that a machine slept through. So the pace is a median over the last steps,

    median over i of (t[i + k] - t[i]) / (d[i + k] - d[i]),    k = a quarter of the marks that are kept,

of marks (t, d), time and work done, from the first step on that is done. Work that comes in batches, several steps at
one moment, is one mark; k marks together hold several batches.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

MARKS = 65
"""Marks that are kept."""

MOMENT = 0.05
"""Seconds within which steps are one mark."""


class Pace:
    """The pace of one stage.

    Args:
        clock: Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque(maxlen=MARKS)

    def mark(self, done: int) -> None:
        """Notes that so many steps of the whole are done."""
        now = self._clock()
        before, reached = self._marks[-1] if self._marks else (-MOMENT, 0)
        if done <= reached:
            return
        if self._marks and now - before < MOMENT:
            self._marks[-1] = (before, done)
        else:
            self._marks.append((now, done))

    def left(self, total: int) -> float | None:
        """Seconds until the whole is done; None before two moments at which something was."""
        marks = list(self._marks)
        if len(marks) < 2:
            return None
        apart = max(1, len(marks) // 4)
        slopes = [
            (later - earlier) / (more - less)
            for (earlier, less), (later, more) in zip(marks[:-apart], marks[apart:], strict=True)
        ]
        return median(slopes) * max(0, total - marks[-1][1])
