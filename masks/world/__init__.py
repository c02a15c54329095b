"""The embedded world: pictures of objects made of named parts, drawn by the program, and networks trained on them.

It is the test data of the whole chain: it needs no download, and its ground truth is known. Classes come in pairs that
share all parts but one or two, the **telling parts**: a fire truck is a tow truck with a ladder and a hose reel in
place of the crane and the hazard board. Each class of a pair has telling parts, so that no class is recognised by a
missing part. Colours, positions and backgrounds of both come from the same distributions. One class also has a
**watermark** in 90 % of its pictures, a shortcut that a network may use. The parts that a method finds can be compared
with the parts that the network must use.

* :func:`draw` makes one picture with the visible pixels of every part, :func:`write` makes folders of them;
* :func:`network` returns a network trained on such pictures, :func:`untrained` the same with random weights;
* :data:`CLASSES` lists the classes and their parts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visual_summaries.masks.world.architecture import WorldNetwork, untrained
    from visual_summaries.masks.world.cache import network
    from visual_summaries.masks.world.catalogue import (
        CLASSES,
        MARK,
        MARK_RATE,
        SIZE,
        WorldClass,
        find_class,
        folder_name,
    )
    from visual_summaries.masks.world.files import write
    from visual_summaries.masks.world.scene import Scene, draw

__all__ = [
    "CLASSES",
    "MARK",
    "MARK_RATE",
    "SIZE",
    "Scene",
    "WorldClass",
    "WorldNetwork",
    "draw",
    "find_class",
    "folder_name",
    "network",
    "untrained",
    "write",
]

_MODULES = {
    "architecture": ("WorldNetwork", "untrained"),
    "cache": ("network",),
    "catalogue": ("CLASSES", "MARK", "MARK_RATE", "SIZE", "WorldClass", "find_class", "folder_name"),
    "files": ("write",),
    "scene": ("Scene", "draw"),
}
"""The module of each name, imported at first use: drawing pictures does not need torch."""


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"visual_summaries.masks.world.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
