"""The commands of this package, by name, with what they do, and how those of all packages are found.

A package with commands has a module ``cli.commands`` with a dictionary ``COMMANDS``. Beside it, each command has a
module of its own, named as the command with underscores for spaces; its ``main`` runs it. The packages are found by
their place in the import package, and none is named here.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from importlib.util import find_spec

import visual_summaries

COMMANDS = {
    "demo": "runs all stages on two classes of the embedded world, offline",
    "world": "writes the embedded world: images, and the true mask of each part",
    "run": "runs all stages on a class folder, or continues a run that was interrupted",
    "masks": "repeats the mask stage of a run",
    "cluster": "repeats matching and clustering of a run, with the masks that it has",
    "importance": "measures the importance of a run's summaries again",
    "gallery": "updates the gallery of a run",
    "status": "for each stage of a run: done or remaining, skipped images with reasons, time",
    "name": "names a summary",
    "evaluate masks": "compares masks with those of other methods (the paper's table 2, extended)",
    "evaluate matching": "measures matching on the PF-WILLOW benchmark",
    "evaluate summaries": "purity, recall, cohesion and stability of a run, beside other clusterings",
}


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        text: What it does, in one line.
        module: Name of the module whose ``main`` runs it.
    """

    text: str
    module: str


def find_commands() -> dict[str, Command]:
    """The commands of all packages by name: those of this one first, and of several words last.

    Examples:
        >>> find_commands()["status"].module
        'visual_summaries.summaries.cli.status'
    """
    rooms = [
        f"visual_summaries.{module.name}.cli"
        for module in pkgutil.iter_modules(visual_summaries.__path__)
        if module.ispkg
    ]
    own = __name__.rpartition(".")[0]
    found = {
        name: Command(text, f"{room}.{name.replace(' ', '_')}")
        for room in sorted(rooms, key=lambda room: room != own)
        if find_spec(room) is not None
        for name, text in importlib.import_module(f"{room}.commands").COMMANDS.items()
    }
    return dict(sorted(found.items(), key=lambda item: " " in item[0]))
