"""Ids of images and paths of files, as they are written in tables and file names.

An id is part of file names of a run (ID.png, ID.npz). It is therefore a plain file name, short enough for a suffix and
the suffix of a temporary file, without separators, and not hidden. Paths are recorded as text.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote_to_bytes

MAX_ID_BYTES = 220
"""Longest id in bytes of UTF-8: a file name has at most 255, and a temporary one adds its suffix and a process id."""


def is_safe_id(text: str) -> bool:
    r"""Whether a text can be the id of an image: a plain file name.

    Not empty, at most :data:`MAX_ID_BYTES` of UTF-8, no ``/`` or ``\``, no control characters, no lone surrogates
    (Python's form of bytes that are not UTF-8), no dot at the start.

    Examples:
        >>> [is_safe_id(text) for text in ("n03028079_12", "../../x", ".hidden", "a/b", "")]
        [True, False, False, False, False]
    """
    if not text or text.startswith("."):
        return False
    return all(map(_is_safe, text)) and len(text.encode()) <= MAX_ID_BYTES


def _is_safe(character: str) -> bool:
    return character not in "/\\" and unicodedata.category(character) not in ("Cc", "Cs")


def check_id(text: str) -> None:
    """Refuses what may not be the id of an image.

    Raises:
        ValueError: See :func:`is_safe_id`.
    """
    if not is_safe_id(text):
        raise ValueError(f"{text!r} is no id of an image")


def safe_id(text: str) -> str:
    """A text itself if it can be an id; otherwise its safe characters, with a hash that makes it unique.

    Examples:
        >>> safe_id("n03028079_12"), safe_id("../x")
        ('n03028079_12', '_x-d6b96a97')
    """
    if is_safe_id(text):
        return text
    mark = "-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = "".join(character if _is_safe(character) else "_" for character in text).lstrip(".") or "_"
    return plain.encode()[: MAX_ID_BYTES - len(mark)].decode(errors="ignore") + mark


def recorded_path(path: Path) -> str:
    """A path as it is written in tables: itself, or a file URI if it is not one line of text.

    Names that are not UTF-8 cannot be written to a table or to JSON, and control characters would break its lines. The
    URI keeps all bytes; :func:`path_on_record` restores the path.

    Examples:
        >>> recorded_path(Path("photos/a.jpg"))
        'photos/a.jpg'
    """
    text = str(path)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return path.absolute().as_uri()
    return text


def path_on_record(text: str) -> Path:
    r"""The path that :func:`recorded_path` recorded.

    Examples:
        >>> path_on_record(recorded_path(Path("/photos/line\nbreak.jpg"))) == Path("/photos/line\nbreak.jpg")
        True
    """
    if text.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)
