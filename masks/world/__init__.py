"""The embedded world: pictures of objects made of named parts, drawn by the program, and networks trained on them.

It is the test bed of the whole chain: nothing is downloaded, and the truth is known. Its classes come in pairs that
share all but one or two **telling parts**: a fire truck is a tow truck with a ladder and a hose reel in place of
the crane and the hazard board. Each partner has telling parts of its own, so that none is told by absence, and
colours, places and backgrounds come from the same distributions. One class also carries a **watermark** in 90 % of
its pictures, a shortcut that a network is free to take. What a method says the network relies on can be
compared with the parts that it must rely on.

* :func:`draw` makes one picture with the visible pixels of every part, :func:`write` folders of them;
* :func:`network` is a classifier trained on them, :func:`untrained` the same with random weights;
* :data:`CLASSES` says what there is.
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
"""Where each name is, which is imported when it is asked for: pictures are drawn without a network's library."""


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"visual_summaries.masks.world.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
