"""Names of classes: the labels of a network, and which of them a text means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from masks.errors import UserError


@dataclass(frozen=True)
class ClassLabel:
    """A class of a network: its index, its name (synonyms after commas) and its WordNet id, if it has one."""

    index: int
    name: str
    wordnet: str = ""


def numbered(names: Sequence[str]) -> list[ClassLabel]:
    """Class names in the order of the logits, as labels."""
    return [ClassLabel(index, name) for index, name in enumerate(names)]


def find_class(text: str, labels: Sequence[ClassLabel], count: int) -> int | None:
    """The index of a class given as an index, a WordNet id or a name.

    Names match without regard to case, with ``_`` for a space, whole or as one of the synonyms between commas.

    Args:
        text: What the user wrote; ``predicted`` means each image's own class.
        labels: The network's classes; may be empty.
        count: The number of the network's logits.

    Returns:
        The index, or None for ``predicted``.

    Raises:
        UserError: If no class, or more than one, is meant.
    """
    wanted = text.strip().casefold().replace("_", " ")
    if wanted == "predicted":
        return None
    if wanted.isdecimal():
        if int(wanted) >= count:
            raise UserError(f"class {text} is outside the network's {count} classes (0 to {count - 1})")
        return int(wanted)
    whole = [label for label in labels if wanted in (label.name.casefold(), label.wordnet)]
    found = whole or [
        label for label in labels if wanted in [part.strip() for part in label.name.casefold().split(",")]
    ]
    if len(found) == 1:
        return found[0].index
    if found:
        choices = ", ".join(f"{label.index} {label.wordnet} ({label.name})" for label in found)
        raise UserError(f"class {text!r} is ambiguous: give an index or a WordNet id out of {choices}")
    names = [part.strip() for label in labels for part in label.name.casefold().split(",")]
    close = difflib.get_close_matches(wanted, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "give --target INDEX, a WordNet id or a name"
    raise UserError(f"the network knows no class {text!r}: {hint}")
