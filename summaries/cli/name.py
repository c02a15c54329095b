"""``visual-summaries name``: names a summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.cli.again import unneeded
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.names import write_names
from visual_summaries.summaries.pipeline import check_done, redo
from visual_summaries.summaries.store import Run

EXAMPLE = "visual-summaries name runs/demo/steamer 0 funnel"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(give, arguments, "name", EXAMPLE)


def give(
    run: Annotated[tyro.conf.Positional[Path], told("RUN")],
    summary: Annotated[tyro.conf.Positional[int], told("SUMMARY")],
    name: Annotated[tyro.conf.Positional[str], told("NAME")],
) -> None:
    """Names a summary, and updates the gallery.

    Args:
        run: Run folder.
        summary: Its number.
        name: What it shows; an empty name removes the old one.
    """
    Run(run)  # before anything is made in a folder that is none
    if not name.isprintable():
        raise UserError(f"the name {name!a} has characters that cannot be shown: use others")
    with claimed(run, "run", option="RUN"):
        found = check_done(run, "gallery")
        numbers = [one.summary for one in found.summaries]
        if summary not in numbers:
            raise UserError(f"{run} has no summary {summary}: it has 0 to {len(numbers) - 1}")
        names = {**found.names, summary: name.strip()}
        write_names(run, {number: text for number, text in names.items() if text}, found.summaries)
        redo(run, "gallery", "", network=unneeded)
