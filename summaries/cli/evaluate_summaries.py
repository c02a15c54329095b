"""``visual-summaries evaluate summaries``: whether a run's summaries mean anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tyro

from summaries.cli import parse
from summaries.store import Run, write_json
from summaries.truth import Score, score

EXAMPLE = "visual-summaries evaluate summaries runs/demo/fire_truck --truth runs/demo/world"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(evaluate, arguments, "evaluate summaries", EXAMPLE)


def evaluate(run: tyro.conf.Positional[Path], truth: Path, seed: int = 0) -> None:
    """Writes RUN/evaluation/clusters.json and prints it as a table.

    Args:
        run: Run folder.
        truth: Folder that `visual-summaries world` wrote, or a folder of ID.npz with a mask per part.
        seed: Of the random clusters.
    """
    found = Run(run)
    scores = score(found, truth, seed=seed)
    write_json(run / "evaluation" / "clusters.json", {"rows": [one.row() for one in scores]})
    print("\n".join(table(scores)))


def table(scores: Sequence[Score]) -> list[str]:
    """The figures as lines of text."""
    lines = [f"{'method':<10} {'clusters':>8} {'purity':>7} {'recall':>7}"]
    for one in scores:
        figures = ["-" if value is None else f"{value:.3f}" for value in (one.purity, one.recall)]
        lines.append(f"{one.method:<10} {one.clusters:>8} {figures[0]:>7} {figures[1]:>7}")
    for number, found in scores[0].majorities.items():
        lines.append(f"  summary {number}: {found.part or 'no part'} ({found.purity:.0%})")
    return lines
