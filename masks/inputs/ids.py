"""Ids of images and paths of files, as they stand in tables and in the names of files.

An id becomes the name of files of a run (ID.png, ID.npz), so it is a plain file name: short enough for a suffix and
the suffix of a temporary file, without separators, and never hidden. Paths are recorded as text.
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
    r"""Whether a text may be the id of an image: a plain file name that leads nowhere else.

    Not empty, at most :data:`MAX_ID_BYTES` of UTF-8, no ``/`` or ``\``, no control characters, no lone surrogates (what
    Python makes of bytes that are no UTF-8), not beginning with a dot.

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
    """A text itself where it may be an id; else what is left of it, with a hash that tells it from others.

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
    """A path as it stands in tables: itself, or a file URI where it is no text of one line.

    Names that are no UTF-8 can be written neither into a table nor into JSON, and control characters would be read as
    other lines. The URI holds all bytes; :func:`path_on_record` gives the path.

    Examples:
        >>> recorded_path(Path("photos/a.jpg"))
        'photos/a.jpg'
    """
    text = str(path)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return path.absolute().as_uri()
    return text


def path_on_record(text: str) -> Path:
    r"""The path that :func:`recorded_path` put on record.

    Examples:
        >>> path_on_record(recorded_path(Path("/photos/line\nbreak.jpg"))) == Path("/photos/line\nbreak.jpg")
        True
    """
    if text.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)
