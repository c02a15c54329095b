"""SIGTERM ends a command like an interruption by the keyboard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
"""Exit status of a command that SIGTERM ended."""


class AskedToEnd(KeyboardInterrupt):
    """SIGTERM was received; the clean-up is that of an interruption."""


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Raises :class:`AskedToEnd` on SIGTERM; a second one ends the process at once.

    If the process has a handler already, or in a thread, which cannot have one, nothing changes.
    """

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise AskedToEnd

    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
