"""The project's own errors: wrong use, an unfinished batch, a file that cannot be used as an image."""

from __future__ import annotations

import errno

LONGEST_REASON = 200
"""Longest reason in characters; messages of decoders may contain whole blocks of a file."""


class UserError(ValueError):
    """Wrong input or wrong use: one line that says what is wrong and what to do.

    The command line prints it and exits with status 2, without a traceback.
    """


class UnfinishedError(Exception):
    """A part of a batch could not be done, without a fault of the user: one line that says what.

    The command line prints it and exits with status 1.
    """


class UnusableImageError(ValueError):
    """A file that cannot be used as an image; the message is the reason that is recorded.

    Reasons contain messages of decoders and names of files. They are shortened to one line of printable characters.
    """

    def __init__(self, reason: str) -> None:
        line = " ".join(reason.split())[:LONGEST_REASON]
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def is_disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk is full, so that the rest of a batch would fail, too.

    Examples:
        >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(ValueError())
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
