"""The errors with a meaning of their own: wrong use, a batch that was not finished, a file that is no image."""

from __future__ import annotations

import errno

LONGEST_REASON = 200
"""Characters of a reason; decoders put whole blocks of a file into their messages."""


class UserError(ValueError):
    """Wrong input or wrong use: one line that names what is wrong and what would do.

    The command line prints it and exits with status 2, without a traceback.
    """


class UnfinishedError(Exception):
    """Something of a batch could not be done, for no fault of the user's: one line that says what.

    The command line prints it and exits with status 1.
    """


class UnusableImageError(ValueError):
    """A file that cannot be used as an image; the message is the reason that is recorded.

    Reasons come from decoders and from names of files: they are made one line of printable characters.
    """

    def __init__(self, reason: str) -> None:
        line = " ".join(reason.split())[:LONGEST_REASON]
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def is_disk_full(error: BaseException) -> bool:
    """Whether an error is that nothing more can be written: it will happen to the rest of a batch, too.

    Examples:
        >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(ValueError())
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
