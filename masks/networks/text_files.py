"""Small text files from editors and spreadsheets: their encoding, JSON without duplicate keys, rows of a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from visual_summaries.masks.errors import UserError

LIMIT = 10_000_000
"""Largest list of names in bytes; a larger file is of another kind."""

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # "Unicode text" of spreadsheets


def why_no_file(path: Path) -> str:
    """Why a path does not lead to a plain file; empty if it does.

    Examples:
        >>> why_no_file(Path("/"))
        'is a folder'
    """
    try:
        if path.is_file():
            return ""
        return "is a folder" if path.is_dir() else "is no file" if path.exists() else "does not exist"
    except (OSError, ValueError) as error:  # a name that no file can have
        return f"cannot be a file: {getattr(error, 'strerror', None) or error}"


def read_text(path: Path, what: str) -> str:
    """The text of a file: UTF-8 with or without a byte-order mark, or UTF-16 with one.

    Args:
        path: The file.
        what: What the file is, for messages.

    Raises:
        UserError: If it is not a file, is too large, cannot be read, or is not text.
    """
    reason = why_no_file(path)
    if reason:
        raise UserError(f"{what} {path} {reason}")
    try:
        if path.stat().st_size > LIMIT:
            raise UserError(f"{what} {path} is no text of names: it has more than {LIMIT:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror or error}") from None
    try:
        text = data.decode(_MARKS.get(data[:2], "utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(f"{what} {path} is no text in UTF-8: save it as UTF-8") from None
    if "\0" in text:
        raise UserError(f"{what} {path} is no text: it holds zero bytes")
    return text


def parse_json(text: str) -> Any:
    """A JSON text.

    Raises:
        ValueError: If it is not JSON, is nested too deeply, or an object has a key twice.

    Examples:
        >>> parse_json('{"ants": "ant"}')
        {'ants': 'ant'}
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in it")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def rows(text: str) -> list[tuple[int, list[str]]]:
    r"""The rows of a table. Fields are separated by the first of tab, semicolon and comma that every row has.

    Returns:
        The line number, from 1, and the fields without surrounding space, of each row that is not blank.

    Raises:
        ValueError: If quotes or fields are damaged.

    Examples:
        >>> rows("ants;ant\n\nbees;bee")
        [(1, ['ants', 'ant']), (3, ['bees', 'bee'])]
    """
    found: list[tuple[int, list[str]]] = []
    for separator in "\t;,":  # commas last: they stand in names
        reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
        try:
            found = [(reader.line_num, [field.strip() for field in fields]) for fields in reader]
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None
        found = [(line, fields) for line, fields in found if any(fields)]
        if all(len(fields) > 1 for _, fields in found):
            break
    return found
