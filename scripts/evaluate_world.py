"""Purity and recall of summaries on the embedded world, over all its classes.

    python scripts/evaluate_world.py runs/world --images 30 --seed 11

Writes the world of that seed to OUT/world, runs the chain on every class, and prints, for the summaries and for random
clusters of the same sizes, the mean purity over kept summaries, and the recall over all pairs of a class and one of its
telling parts (or the watermark).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from visual_summaries.summaries.cli import main as visual_summaries
from visual_summaries.summaries.evaluation.ground_truth import find_truth, score
from visual_summaries.summaries.store import Run, find_runs


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=30, help="pictures a class")
    parser.add_argument("--seed", type=int, default=7, help="of the pictures")
    parser.add_argument("--model", default="demo")
    arguments, further = parser.parse_known_args()
    world, runs = arguments.out / "world", arguments.out / "runs"
    visual_summaries(["world", str(world), "--images", str(arguments.images), "--seed", str(arguments.seed)])
    status = visual_summaries(["run", str(world / "images"), "--out", str(runs), "--model", arguments.model, *further])
    if status:
        sys.exit(status)
    print(f"{'class':<14}{'kept':>5}{'parts':>7}{'purity':>8}{'random':>8}  found")
    purities: dict[str, list[float]] = {"summaries": [], "random": []}
    recalls: dict[str, list[float]] = {"summaries": [], "random": []}
    for path in find_runs(runs):
        run = Run(path)
        own, random = score(run, world)
        wanted = find_truth(run, world)[1]
        for one in (own, random):
            purities[one.method] += [one.purity] * one.clusters if one.purity is not None else []
            recalls[one.method] += [one.recall or 0.0] * len(wanted)
        majorities = {majority.part for majority in own.majorities.values()}
        found = ", ".join(f"{part} {'found' if part in majorities else 'MISSED'}" for part in wanted)
        figures = [f"{one.purity:8.3f}" if one.purity is not None else f"{'-':>8}" for one in (own, random)]
        print(f"{path.name:<14}{own.clusters:>5}{run.clustered / len(run.ids):>7.1f}{''.join(figures)}  {found}")
    for method in ("summaries", "random"):
        purity = np.mean(purities[method]) if purities[method] else float("nan")
        print(f"{method}: mean purity {purity:.3f}, recall {np.mean(recalls[method]):.3f}")


if __name__ == "__main__":
    main()
