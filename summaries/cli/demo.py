"""``visual-summaries demo``: the whole chain on two classes of the embedded world, offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from visual_summaries.masks.options import Seed
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.cli.run import Arguments, run_folders
from visual_summaries.summaries.files import write_bytes
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.progress import say

EXAMPLE = "visual-summaries demo --out runs/demo"

IMAGES = 24
"""Pictures per class."""


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(demo, arguments, "demo", EXAMPLE)


def demo(out: Annotated[Path, told("RUNS")] = Path("runs/demo"), seed: Annotated[Seed, told("N")] = 0) -> None:
    """Summarises the marked class of the embedded world and its twin.

    Args:
        out: Folder of the two run folders, of their pictures (world/) and of the overview (index.html).
        seed: Of the pictures.
    """
    from visual_summaries.masks import world

    marked = next(one for one in world.CLASSES if one.marked)
    classes = (marked, world.find_class(marked.pair))
    with claimed(out / "world", "world"):
        world.write(out / "world", images=IMAGES, seed=seed, classes=classes, save=write_bytes)
    say(f"the embedded world: {IMAGES} pictures each of {classes[0].name} and {classes[1].name}")
    run_folders(Arguments(images=out / "world" / "images", out=out, model="demo", seed=seed))
    print(out / "index.html")
