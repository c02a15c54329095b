"""A command that is asked to end, by SIGTERM, ends as one that is interrupted by the keyboard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGTERM
"""What a shell sees of a command that was asked to end."""


class AskedToEnd(KeyboardInterrupt):
    """SIGTERM: what is cleaned up after an interruption is cleaned up after it."""


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Raises :class:`AskedToEnd` on SIGTERM; a second one ends the process at once.

    Where there is a handler already, or in a thread, which cannot have one, nothing changes.
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
