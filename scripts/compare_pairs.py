"""Compares matching of nearest images only with matching of all pairs: time, clusters and their purity.

    python scripts/compare_pairs.py runs/world/images/steamer runs/pairs --model demo --truth runs/world
    python scripts/compare_pairs.py PHOTOGRAPHS/n03028079 runs/pairs --model lite0 --target n03028079 --limit 100

Runs the chain on a folder of one class with all pairs of images and then, with the same masks and proposals, with pairs
of each image and its K nearest. Prints for both: pairs, seconds of matching and of clustering, kept summaries, fraction
of images in a summary, and, with --truth, their mean purity; then the adjusted Rand index of the two clusterings on the
common parts, and on the common parts of kept summaries.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score

from visual_summaries.clustering.clusters.affinity import propagate
from visual_summaries.summaries.cli import main as visual_summaries
from visual_summaries.summaries.cli.again import recorded_settings
from visual_summaries.summaries.evaluation.ground_truth import score
from visual_summaries.summaries.evaluation.part_arrays import read_similarities
from visual_summaries.summaries.store import Run

Part = tuple[str, float, float, float, float]


def chain(images: Path, out: Path, *further: str) -> Run:
    """Runs the chain; a failure ends the script."""
    status = visual_summaries(["run", str(images), "--out", str(out), *further])
    if status:
        sys.exit(status)
    return Run(out)


def clusters(run: Run) -> dict[Part, int]:
    """The cluster of each clustered part."""
    matched, settings = read_similarities(run), recorded_settings(run.path)
    labels = propagate(matched.matrix, matched.affinity(settings.affinity), seed=run.info["seed"]).labels
    return {(part.image, *part.box): int(label) for part, label in zip(run.parts, labels, strict=False)}


def members(run: Run) -> dict[Part, int]:
    """The kept summary of each member."""
    kept = (summary for summary in run.summaries if summary.kept)
    return {(member.image, *member.box): summary.summary for summary in kept for member in summary.members}


def agreement(one: dict[Part, int], other: dict[Part, int]) -> tuple[int, float]:
    """The number of common parts, and the adjusted Rand index on them."""
    common = sorted(one.keys() & other.keys())
    return len(common), float(adjusted_rand_score([one[part] for part in common], [other[part] for part in common]))


def describe(name: str, run: Run, truth: Path | None) -> None:
    """Prints the values of a run."""
    kept = [summary for summary in run.summaries if summary.kept]
    touched = len({member.image for summary in kept for member in summary.members}) / len(run.ids)
    stages = run.info["stages"]
    seconds = [stages[stage]["seconds"] for stage in ("matching", "clusters")]
    purity = score(run, truth)[0].purity if truth is not None else None
    shown = f"{purity:8.3f}" if purity is not None else f"{'-':>8}"
    pairs, size = stages["matching"]["counts"]["pairs"], np.mean([len(one.members) for one in kept] or [0])
    print(f"{name:<10}{pairs:>7}{seconds[0]:>10.0f}{seconds[1]:>12.0f}{len(kept):>6}{size:>9.1f}{touched:>9.2f}{shown}")


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--truth", type=Path, help="the folder that `visual-summaries world` wrote")
    arguments, further = parser.parse_known_args()
    every = chain(arguments.images, arguments.out / "all", *further)
    if not (arguments.out / "nearest").exists():
        shutil.copytree(arguments.out / "all", arguments.out / "nearest")
    pairs = f"knn:{arguments.neighbours}"
    nearest = chain(arguments.images, arguments.out / "nearest", "--pairs", pairs, *further)
    print(f"{'':<10}{'pairs':>7}{'matching':>10}{'clustering':>12}{'kept':>6}{'members':>9}{'touched':>9}{'purity':>8}")
    describe("all", every, arguments.truth)
    describe(pairs, nearest, arguments.truth)
    for what, of in (("all parts", clusters), ("members of kept summaries", members)):
        count, index = agreement(of(every), of(nearest))
        print(f"adjusted Rand index on {count} common {what}: {index:.3f}")


if __name__ == "__main__":
    main()
