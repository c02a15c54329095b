"""Reads class lists in their usual forms, as labels in the order of the logits.

A list is the attribute ``classes`` of a network or a file:

    ========================================  ==========================================================
    ``["cat", "dog"]``                        in the order of the logits
    ``{0: "cat", 1: "dog"}``                  names by index, as ``id2label`` of Hugging Face
    ``{"cat": 0, "dog": 1}``                  indices by name, as ``class_to_idx`` of torchvision
    ``{"classes": ["cat", "dog"]}``           any of these under the key ``classes``, ``id2label`` or ``class_to_idx``
    ``{0: ["n02123045", "tabby"], ..}``       WordNet id and name by index, as Keras has it
    lines ``cat``                             in the order of the logits; blank lines are skipped
    lines ``0,cat``, ``cat,0``, ``0 cat``     if every line has its own index, from 0 on without a gap
    lines ``n02123045 tabby``                 WordNet id and name, in the order of the logits
    ========================================  ==========================================================

There are no comments: ``#1`` may be a name. Entries with indices are ordered by them.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_names import ClassLabel
from visual_summaries.masks.networks.text_files import parse_json, read_text, rows

LONGEST = 1000
"""Characters that the line of a class list may have."""

WORDNET = re.compile(r"n\d{8}")
_SEPARATOR = r"\s*[,;:\t]\s*|\s+"
_INDEX_FIRST = re.compile(rf"(\d{{1,9}})(?:{_SEPARATOR})(.*\S)")
_INDEX_LAST = re.compile(rf"(.*?\S)(?:{_SEPARATOR})(\d{{1,9}})")
_SYNSET = re.compile(r"(n\d{8})\s+(.+)")
_NESTED = ("id2label", "class_to_idx", "classes")
_HEADINGS = ("name", "names", "class", "classes", "label", "labels")


def labels_of(classes: object, what: str) -> list[ClassLabel]:
    """The labels of a list or dictionary of class names; none if it is None or empty.

    Args:
        classes: See the module's table.
        what: Where it comes from, for messages.

    Raises:
        UserError: If it is not such a list: a text, a set, a dictionary with gaps in its indices, an empty name.

    Examples:
        >>> [label.name for label in labels_of({"dog": 1, "cat": 0}, "my list")]
        ['cat', 'dog']
    """
    if classes is None:
        return []
    if isinstance(classes, Mapping):
        classes = next((classes[key] for key in _NESTED if isinstance(classes.get(key), Mapping | list)), classes)
    if isinstance(classes, np.ndarray):
        classes = classes.tolist()
    if isinstance(classes, Mapping):
        entries = _by_index(classes, what)
    elif isinstance(classes, Sequence) and not isinstance(classes, str | bytes):
        entries = list(classes)
    else:
        raise UserError(f"{what}: a {type(classes).__name__} is no list of class names: give one in the logits' order")
    return [_label(index, entry, what) for index, entry in enumerate(entries)]


def _label(index: int, entry: object, what: str) -> ClassLabel:
    wordnet = ""
    if isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) == 2:
        ids = [part for part in entry if isinstance(part, str) and WORDNET.fullmatch(part)]
        if len(ids) == 1:
            wordnet = ids[0]
            entry = next(part for part in entry if part is not wordnet)
    if isinstance(entry, Integral) and not isinstance(entry, bool):
        entry = str(int(entry))
    name = entry.replace("\ufeff", "").strip() if isinstance(entry, str) else ""
    if not name or "\n" in name:
        raise UserError(f"{what}: {str(entry)[:40]!r} is no name of class {index}")
    return ClassLabel(index, name, wordnet or (name if WORDNET.fullmatch(name) else ""))


def _by_index(classes: Mapping[Any, Any], what: str) -> list[Any]:
    """The names of a dictionary in the order of its indices, which are its keys or its values."""
    keys, values = list(classes), list(classes.values())
    if all(isinstance(key, str) for key in keys) and all(_index(value) is not None for value in values):
        # names may be numbers: in {"0": 1} the key is the name, in {"0": "1"} the index
        texts = all(isinstance(value, str) for value in values) and all(_index(key) is not None for key in keys)
        return _ordered(keys, values, what) if texts else _ordered(values, keys, what)
    return _ordered(keys, values, what)


def _ordered(indices: Sequence[object], names: Sequence[Any], what: str) -> list[Any]:
    found = dict(zip(map(_index, indices), names, strict=True))
    if set(found) != set(range(len(names))):
        raise UserError(f"{what}: its indices are not 0 to {len(names) - 1}, each once")
    return [found[index] for index in range(len(names))]


def _index(value: object) -> int | None:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()) else None


def read_classes(path: Path) -> list[ClassLabel]:
    """The labels of a class list in a file; see the module's table.

    Raises:
        UserError: If the file cannot be read or is not a class list.
    """
    what = f"the class list {path}"
    text = read_text(path, "the class list")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{what} is empty: give one class name a line, in the order of the logits")
    if lines[0].startswith(("{", "[")):
        labels = labels_of(_literal(text, what), what)
        if not labels:
            raise UserError(f"{what} holds no names")
        return labels
    if max(map(len, lines)) > LONGEST:
        raise UserError(f"{what} has lines of more than {LONGEST} characters: give one class name a line")
    return labels_of(_table(text, what) if path.suffix.lower() in (".csv", ".tsv") else _listed(lines, what), what)


def _literal(text: str, what: str) -> Any:
    """The list or dictionary in JSON or in Python's notation."""
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about backslashes in names
                return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise UserError(f"{what} begins as JSON, but is none: {str(error).splitlines()[0]}") from None
    except ValueError as error:
        raise UserError(f"{what} begins as JSON, but is none: {error}") from None


def _table(text: str, what: str) -> list[Any]:
    """The entries of a table with a name, an index or both in each row; WordNet ids and a heading are optional."""
    try:
        found = [fields for _, fields in rows(text)]
    except ValueError as error:
        raise UserError(f"{what} is damaged: {error}") from None
    if all(len(fields) == 1 for fields in found):
        names = [fields[0] for fields in found]
        return names[1:] if len(names) > 1 and names[0].lower() in _HEADINGS else names
    for body in (found, found[1:]):  # with a heading
        if not body or any(len(fields) < 2 for fields in body):
            continue
        readings = []
        for column, rest in ((0, slice(1, None)), (-1, slice(None, -1))):
            indices = [_index(fields[column]) for fields in body]
            if None not in indices:
                readings.append((indices, [_entry(fields[rest]) for fields in body]))
        if readings:
            return _ordered(*_one(readings, what), what)
    raise UserError(f"{what}: not each of its rows has an index and a name: give rows such as 0,cat")


def _entry(fields: list[str]) -> Any:
    """A name, with the WordNet id in another field of the row; commas without quotes are part of the name."""
    ids = [field for field in fields if WORDNET.fullmatch(field)]
    names = [field for field in fields if field and field not in ids]
    return [ids[0], ", ".join(names)] if len(ids) == 1 and names else ", ".join(fields)


def _listed(lines: list[str], what: str) -> list[Any]:
    """The entries of lines, which may each begin with a WordNet id or have an index."""
    synsets = [_SYNSET.fullmatch(line) for line in lines]
    if all(synsets):
        return [match.groups() for match in synsets if match]
    readings = []
    for pattern, index, name in ((_INDEX_FIRST, 1, 2), (_INDEX_LAST, 2, 1)):
        matches = [match for match in map(pattern.fullmatch, lines) if match]
        if len(matches) < len(lines):
            continue
        indices, names = [int(match[index]) for match in matches], [match[name].strip('"') for match in matches]
        if len(set(names)) < len(names):
            continue  # class 0, class 1 or 0 day old, 1 day old: the number belongs to the name
        if sorted(indices) == list(range(1, len(lines) + 1)):
            raise UserError(f"{what} counts from 1, logits from 0: take the numbers away, or begin at 0")
        if sorted(indices) == list(range(len(lines))):
            readings.append((indices, names))
    return _ordered(*_one(readings, what), what) if readings else lines


def _one(readings: list[tuple[Any, Any]], what: str) -> tuple[Any, Any]:
    if len(readings) > 1 and _ordered(*readings[0], what) != _ordered(*readings[1], what):
        raise UserError(f"{what}: each line has two numbers, and either may be the index: give JSON, or names alone")
    return readings[0]


def check_count(labels: Sequence[ClassLabel], count: int, what: str) -> None:
    """Compares a class list with the logits.

    Raises:
        UserError: If their numbers differ.
    """
    if labels and len(labels) != count:
        raise UserError(f"{what} holds {len(labels)} names, the network has {count} logits: give one name a logit")
