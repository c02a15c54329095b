"""The error of a network that an attribution does not work on."""

from __future__ import annotations


class UnsuitableNetworkError(ValueError):
    """A network that an attribution does not work on; the message is the reason."""
