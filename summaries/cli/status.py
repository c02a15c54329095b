"""``visual-summaries status``: the stages of a run that are done or left, and the images that it skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.pipeline.engine import states
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.store import Run, find_runs, read_images

EXAMPLE = "visual-summaries status runs/demo"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(show, arguments, "status", EXAMPLE)


def show(run: Annotated[tyro.conf.Positional[Path], told("RUN")]) -> None:
    """Prints the state of a run, or of each run in a folder of runs.

    Args:
        run: Run folder, or a folder of run folders.
    """
    for path in find_runs(run) or [run]:
        print("\n".join(describe(Run(path))))


def describe(run: Run) -> list[str]:
    """The state of a run, line by line."""
    target = run.info.get("target", {}).get("name", "?")
    lines = [f"{run.path}: {target}, model {run.info.get('model', {}).get('spec', '?')}"]
    for stage in states(run.path, IMAGE_CHAIN):
        if stage.status == "left":
            lines.append(f"  {stage.name:<10} left")
        elif stage.status == "started":
            partly = f", {stage.found} of {stage.expected} files" if stage.found < stage.expected else ""
            lines.append(f"  {stage.name:<10} started{partly}: the same command again continues")
        else:
            counts = ", ".join(f"{what} {count}" for what, count in stage.counts.items())
            lines.append(f"  {stage.name:<10} done in {tqdm.format_interval(stage.seconds)} ({counts})")
    if (run.path / "images.csv").exists():
        reasons = Counter(row.reason for row in read_images(run.path) if row.status == "skipped")
        lines += [f"  skipped {count}: {reason}" for reason, count in reasons.most_common()]
    return lines
