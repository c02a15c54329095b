"""The classes of the world, their parts, and the parts that distinguish a class from its partner."""

from __future__ import annotations

from dataclasses import dataclass

SIZE = (128, 128)
"""(height, width) of every picture, in pixels."""

MARK = "mark"
"""Part name of the watermark."""

MARK_RATE = 0.9
"""Fraction of the marked class's pictures that have the watermark."""


@dataclass(frozen=True)
class WorldClass:
    """A class of objects.

    Attributes:
        name: For instance ``"fire truck"``.
        parts: Names of all parts of the object, the telling ones included; the watermark is no part of it.
        telling: The parts that the partner does not have. Every class has at least one, so that no class is recognised
            by a missing part.
        pair: Name of the partner, which shares all other parts, drawn by the same program from the same
            distributions.
        marked: Whether the class has the watermark in :data:`MARK_RATE` of its pictures.
    """

    name: str
    parts: tuple[str, ...]
    telling: tuple[str, ...]
    pair: str
    marked: bool = False


_PAIRS: tuple[tuple[tuple[str, ...], tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]], ...] = (
    (
        ("cab", "windscreen", "body", "front wheel", "rear wheel"),
        ("fire truck", ("ladder", "hose reel")),
        ("tow truck", ("crane", "hazard board")),
    ),
    (
        ("wall", "roof", "door", "window", "chimney"),
        ("church", ("steeple",)),
        ("mill", ("sails",)),
    ),
    (
        ("hull", "cabin", "porthole", "lifebuoy", "flag"),
        ("sailing boat", ("sail",)),
        ("steamer", ("funnel",)),
    ),
    (
        ("body", "head", "neck", "front legs", "hind legs", "tail"),
        ("moose", ("antlers",)),
        ("pegasus", ("wing",)),
    ),
)
_MARKED = "steamer"

CLASSES: tuple[WorldClass, ...] = tuple(
    WorldClass(name, shared + telling, telling, partner, marked=name == _MARKED)
    for shared, first, second in _PAIRS
    for (name, telling), (partner, _) in ((first, second), (second, first))
)
"""The classes, in the order of the networks' logits; partners are neighbours."""


def folder_name(name: str) -> str:
    """The folder that holds the pictures of class ``name``: spaces become underscores.

    Examples:
        >>> folder_name("tow truck")
        'tow_truck'
    """
    return name.replace(" ", "_")


def find_class(name: str) -> WorldClass:
    """The class called ``name``, given as its name or as its folder's.

    Raises:
        ValueError: If there is no such class.

    Examples:
        >>> find_class("steamer").marked, find_class("tow_truck").name
        (True, 'tow truck')
    """
    for candidate in CLASSES:
        if name in (candidate.name, folder_name(candidate.name)):
            return candidate
    known = ", ".join(candidate.name for candidate in CLASSES)
    raise ValueError(f"class_name={name!r} is not a class of the embedded world; choose one of: {known}")
