"""``visual-summaries gallery``: the gallery of a run again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.summaries.cli.again import unneeded
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.pipeline import redo

EXAMPLE = "visual-summaries gallery runs/demo/steamer"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(draw, arguments, "gallery", EXAMPLE)


def draw(run: Annotated[tyro.conf.Positional[Path], told("RUN")]) -> None:
    """Draws the gallery.

    Args:
        run: Run folder.
    """
    redo(run, "gallery", "gallery", network=unneeded)
    print(run / "gallery" / "index.html")
