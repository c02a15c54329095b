"""The error a user can cause."""

from __future__ import annotations


class UserError(ValueError):
    """Wrong input or wrong use: one line that names what is wrong and what would do.

    The command line prints it and exits with status 2, without a traceback.
    """
