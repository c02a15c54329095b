"""Which files a class folder holds, which class folders a root holds, and the id that each file gets.

An id becomes the name of files of a run (ID.png, ID.npz), so it is a plain file name: short enough for a suffix and
the suffix of a temporary file, without separators, and never hidden.
"""

from __future__ import annotations

import unicodedata

MAX_ID_BYTES = 220
"""Longest id in bytes of UTF-8: a file name has at most 255, and a temporary one adds its suffix and a process id."""


def is_safe_id(text: str) -> bool:
    r"""Whether a text may be the id of an image: a plain file name that leads nowhere else.

    Not empty, at most :data:`MAX_ID_BYTES` of UTF-8, no ``/`` or ``\``, no control characters, no lone surrogates (what
    Python makes of bytes that are no UTF-8), not beginning with a dot.

    Example:
        >>> [is_safe_id(text) for text in ("n03028079_12", "../../x", ".hidden", "a/b", "")]
        [True, False, False, False, False]
    """
    if not text or text.startswith(".") or any(character in text for character in "/\\"):
        return False
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return False
    return len(text.encode()) <= MAX_ID_BYTES
