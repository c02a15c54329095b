"""``visual-summaries world``: the embedded world as pictures with truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Range, Seed
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.files import write_bytes
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.progress import say

EXAMPLE = "visual-summaries world runs/world --images 30 --seed 1"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(write, arguments, "world", EXAMPLE)


def write(
    out: Annotated[tyro.conf.Positional[Path], told("OUT")],
    images: Annotated[int, Range(ge=1)] = 30,
    seed: Annotated[Seed, told("N")] = 0,
    without: Annotated[str | None, told("PART", "none")] = None,
) -> None:
    """Writes the world.

    Args:
        out: Folder for images/CLASS/ID.png, truth/CLASS/ID.npz and world.json.
        images: Pictures per class, >= 1.
        seed: Of the pictures; those the networks were trained on have no seed here.
        without: Part of an object, or mark: the same pictures are drawn without it.
    """
    from visual_summaries.masks import world

    known = sorted({part for kind in world.CLASSES for part in kind.parts} | {world.MARK})
    if without is not None and without not in known:
        raise UserError(f"`without`: no object of the embedded world has a part {without!r}: {', '.join(known)}")
    with claimed(out, "world", option="OUT"):
        world.write(out, images=images, seed=seed, without=without, save=write_bytes)
    say(f"{images} pictures of {len(world.CLASSES)} classes each are in {out}")
