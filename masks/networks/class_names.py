"""Names of classes: the labels of a network, and which of them a text means.

A text is a folder's name or the user's input. The first of these comparisons that finds a class decides: exact (the
whole name or WordNet id, then one of the synonyms between commas); without regard to case, Unicode form, underscores
and surrounding space (whole name, then synonyms); as an index. A number that is the name of one class and the index of
another is an error; ``name:3`` and ``index:3`` say which is meant.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.text_files import parse_json, read_text, rows


class UnknownClassError(UserError):
    """The network has no class of a name."""


@dataclass(frozen=True)
class ClassLabel:
    """A class of a network: its index, its name (synonyms after commas) and its WordNet id, if it has one."""

    index: int
    name: str
    wordnet: str = ""


def numbered(names: Sequence[str]) -> list[ClassLabel]:
    """Class names in the order of the logits, as labels.

    Examples:
        >>> numbered(["cat", "dog"])[1]
        ClassLabel(index=1, name='dog', wordnet='')
    """
    return [ClassLabel(index, name) for index, name in enumerate(names)]


def normalised(text: str) -> str:
    """The form in which names are compared: composed Unicode, no case, ``_`` as a space, no byte-order mark.

    Examples:
        >>> normalised("Tow_Truck ")
        'tow truck'
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    return " ".join(folded.replace("_", " ").replace("\ufeff", "").split())


def find_class(text: str, labels: Sequence[ClassLabel], count: int) -> int | None:
    """The index of a class given as a name, a WordNet id or an index; see the module for the order.

    Args:
        text: What the user wrote; ``predicted`` means each image's own class.
        labels: The network's classes; may be empty.
        count: The number of the network's logits.

    Returns:
        The index, or None for ``predicted``.

    Raises:
        UnknownClassError: If no class matches; it names similar ones.
        UserError: If several classes match, or an index is out of range.

    Examples:
        >>> labels = [ClassLabel(0, "tench, Tinca tinca", "n01440764"), ClassLabel(1, "gas pump")]
        >>> [find_class(text, labels, 2) for text in ("Tinca tinca", "n01440764", "gas_pump", "1", "predicted")]
        [0, 0, 1, 1, None]
    """
    wanted = normalised(text)
    if wanted == "predicted":
        return None
    found = _named(text, labels)
    kind, _, rest = text.strip().partition(":")
    index = _number(rest if kind == "index" else text)
    if not found and kind == "name":
        found = _named(rest, labels)
    elif not found and index is not None:
        if index >= count:
            raise UserError(f"class {text} is outside the network's {count} classes (0 to {count - 1})")
        return index
    elif index is not None and index < count and any(label.index != index for label in found):
        name = normalised(rest if kind == "index" else text)
        raise UserError(
            f"class {text!r} is the name of class {found[0].index}, and class {index} has another name: "
            f"write name:{name} or index:{index}"
        )
    if len(found) == 1:
        return found[0].index
    if found:
        choices = ", ".join(" ".join(filter(None, (str(one.index), one.wordnet, f"({one.name})"))) for one in found)
        raise UserError(f"class {text!r} is ambiguous: give an index or a WordNet id out of {choices}")
    close = _close(wanted, labels)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else "give its index, a WordNet id or a name as `target`"
    )
    raise UnknownClassError(f"the network knows no class {text!r}: {hint}")


def _number(text: str) -> int | None:
    plain = normalised(text)
    return int(plain) if plain.isdecimal() and len(plain) < 10 else None


def synonyms(name: str) -> list[str]:
    """The synonyms in a class's name, which are separated by commas.

    Examples:
        >>> synonyms("tench, Tinca tinca")
        ['tench', 'Tinca tinca']
    """
    return [part.strip() for part in name.split(",") if part.strip()]


def _named(text: str, labels: Sequence[ClassLabel]) -> list[ClassLabel]:
    """The classes of a name, by the first comparison that finds one."""
    comparisons: list[tuple[Callable[[str], str], bool]] = [
        (_composed, False),
        (_composed, True),
        (normalised, False),
        (normalised, True),
    ]
    if _number(text) is not None:  # folder 3 and class 03
        comparisons.append((_without_zeros, True))
    for form, apart in comparisons:
        wanted = form(text)
        found = [
            label
            for label in labels
            if wanted in [form(name) for name in (*(synonyms(label.name) if apart else [label.name]), label.wordnet)]
        ]
        if found and wanted:
            return found
    return []


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def _without_zeros(text: str) -> str:
    number = _number(text)
    return normalised(text) if number is None else str(number)


def _close(wanted: str, labels: Sequence[ClassLabel]) -> list[str]:
    """Up to three names of classes that a text may mean: its singular or plural, otherwise similar spellings."""
    names = {normalised(part): part for label in reversed(labels) for part in synonyms(label.name)}
    inflected = [names[form] for form in _other_numbers(wanted) if form in names]
    inflected += [names[name] for name in names if wanted in _other_numbers(name) and names[name] not in inflected]
    return inflected[:3] or [names[name] for name in difflib.get_close_matches(wanted, names, n=3)]


def _other_numbers(word: str) -> Iterator[str]:
    """Possible singulars of an English word."""
    for plural, singular in (
        ("s", ""),
        ("es", ""),
        ("ies", "y"),
        ("ves", "f"),
        ("ves", "fe"),
        ("men", "man"),
        ("mice", "mouse"),
        ("geese", "goose"),
    ):
        if word.endswith(plural) and word != "s":
            yield word.removesuffix(plural) + singular


def read_class_map(path: Path) -> dict[str, str]:
    """The class of each folder of a root, if folders are not named after classes.

    Args:
        path: A JSON object ``{"ants": "ant"}``, or a table with a folder and a class in each row (``ants,ant``; commas,
            semicolons or tabs; a first row ``folder,class`` is a heading).

    Returns:
        The class for each folder name, as written in the file.

    Raises:
        UserError: If the file cannot be read, is neither, or gives one folder two classes.
    """
    text = read_text(path, "the class map")
    fault = (
        f"the class map {path} is neither a JSON object of folder names and classes nor rows of the form folder,class"
    )
    try:
        if text.lstrip().startswith(("{", "[")):
            content = parse_json(text)
            if not isinstance(content, dict):
                raise ValueError(f"it holds a {type(content).__name__}")
            pairs = [(f"entry {n}", folder, value) for n, (folder, value) in enumerate(content.items(), start=1)]
        else:
            pairs = [
                (f"line {line}", fields[0], ", ".join(fields[1:]) if len(fields) > 1 else None)
                for line, fields in rows(text)
            ]
            if pairs and [normalised(str(field)) for field in pairs[0][1:]] == ["folder", "class"]:
                del pairs[0]
    except ValueError as error:
        raise UserError(f"{fault}: {str(error).splitlines()[0]}") from None
    found: dict[str, str] = {}
    for where, folder, value in pairs:
        usable = isinstance(value, str | int) and not isinstance(value, bool)
        if not folder.strip() or not usable or not str(value).strip():
            raise UserError(f"{fault}: {where}")
        known = found.setdefault(folder.strip(), str(value).strip())
        if known != str(value).strip():
            raise UserError(f"the class map {path} gives folder {folder!r} two classes, {known!r} and {value!r}")
    if not found:
        raise UserError(f"{fault}: it is empty")
    return found


def mapped_class(folder: str, classes: Mapping[str, str]) -> str:
    """The class that a map gives a folder, by its exact or normalised name; the folder's own name if it has none.

    Raises:
        UserError: If two names in the map match the folder's when normalised, and their classes differ.

    Examples:
        >>> mapped_class("ANTS", {"ants": "ant"}), mapped_class("bees", {"ants": "ant"})
        ('ant', 'bees')
    """
    if folder in classes:
        return classes[folder]
    found = sorted({value for name, value in classes.items() if normalised(name) == normalised(folder)})
    if len(found) > 1:
        raise UserError(f"the class map gives folder {folder!r} two classes, {' and '.join(map(repr, found))}")
    return found[0] if found else folder
