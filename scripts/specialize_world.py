"""Specialises networks of the embedded world, all eight classes, and measures them on fresh pictures.

    python scripts/specialize_world.py runs/boost --seed 29

Writes the world of that seed to OUT/world, runs the chain on every class with ``demo:1`` and with ``demo``, specialises
both with further pictures to train on, and prints two tables: the gain of ``demo:1`` on new pictures, beside the
controls of ``evaluate boost``; and the accuracy of ``demo`` on pictures of the marked class with and without the
watermark, with several blend weights, and with the same blends when the watermark's summaries are excluded (the same C
and normalisation). For the second table the descriptors of windows have no context, and the SVMs train on the
summaries' own images only: the watermark is in the context of every part, and in the windows found in further images.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.masks import world
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.features import Tap, extract
from visual_summaries.specialize.model import base_classifier, read_model
from visual_summaries.specialize.tuning import HeldOut, decide_all, right_along
from visual_summaries.summaries.cli import main as visual_summaries
from visual_summaries.summaries.evaluation.ground_truth import read_truth
from visual_summaries.summaries.files import read_json
from visual_summaries.summaries.store import Run

MARKED = range(60_000, 60_500)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
ALONE = ("--set.features.windows.no-context", "--set.svm.rounds", 0, "--set.tuning.normalisations", "platt")
"""Options of SVMs of parts without context."""


def call(*arguments: object) -> None:
    """Runs a command; its failure ends the script."""
    status = visual_summaries([str(argument) for argument in arguments])
    if status:
        sys.exit(status)


def features_of(classifier: Classifier, tap: Tap, images: list[np.ndarray], label: int) -> HeldOut:
    """Features of pictures of one class."""
    with classifier:
        extracted = [extract(classifier, tap, images[start : start + 50]) for start in range(0, len(images), 50)]
    vectors, logits = (np.concatenate([getattr(one, name) for one in extracted]) for name in ("vectors", "logits"))
    return HeldOut(vectors, logits, np.full(len(images), label), np.zeros(len(images), np.bool_))


def of_mark(run: Run, truth: Path) -> set[int]:
    """Numbers of a run's kept summaries whose majority lies on the watermark."""
    known = read_truth(run, truth)
    kept = (one for one in run.summaries if one.kept)
    return {one.summary for one in kept if known.majority([m.part for m in one.members]).part == world.MARK}


def specialise(out: Path, model: str, seed: int, suffix: str = "", *further: object) -> Path:
    """Runs the chain on every class and specialises the network; gives the model folder."""
    name = model.replace(":", "-")
    runs, folder = out / f"runs-{name}", out / f"model-{name}{suffix}"
    call("run", out / "world" / "images", "--out", runs, "--model", model)
    options = ("--train", out / "train" / "images", "--out", folder, "--set.features.level", "window")
    call("specialize", runs, *options, "--seed", seed, *further)
    return folder


def gain(out: Path, folder: Path) -> None:
    """Prints what a specialised network gains on fresh pictures."""
    call("evaluate", "boost", folder, "--val", out / "fresh" / "images")
    row = read_json(folder / "boost.json", dict[str, Any])["specialised"]
    print(f"accuracy {row['top1_before']:.3f}, specialised {row['top1_after']:.3f}", flush=True)


def mark(out: Path, folder: Path, run: Run, seed: int) -> None:
    """Prints accuracy on the marked class with some blend weights, with and without the watermark's SVMs."""
    (kind,) = (one for one in world.CLASSES if one.marked)
    numbers = sorted(of_mark(run, out / "world"))
    tuned = read_json(folder / "model.json", dict[str, Any])["tuned"]
    exclude = ("--leave-out", *(f"{run.path.name}/{number}" for number in numbers))
    less = specialise(out, "demo", seed, "-less-mark", *ALONE, "--set.tuning.costs", tuned["cost"], *exclude)
    print(f"{kind.name}, summaries of the mark: {numbers}, weight chosen: {tuned['weight']:g}")
    label = world.CLASSES.index(kind)
    print(f"{'weight':<8}{'with the mark':>15}{'less its SVMs':>15}{'unmarked':>15}{'less its SVMs':>15}")
    columns = []
    for marked in (True, False):
        images = [world.draw(kind.name, k, mark=marked).image for k in MARKED]
        for path in (folder, less):
            model = read_model(path)
            held = features_of(base_classifier(model, path, "cpu"), model.tap, images, label)
            decisions = decide_all([model.method], held.vectors)[0]
            columns.append(right_along(model.method.blend, decisions, held, np.array(WEIGHTS)).mean(axis=1))
    for weight, *accuracies in zip(WEIGHTS, *columns, strict=True):
        print(f"{weight:<8}" + "".join(f"{value:>15.3f}" for value in accuracies), flush=True)


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7, help="of the pictures")
    parser.add_argument("--images", type=int, default=30, help="pictures a class whose summaries are found")
    parser.add_argument("--train", type=int, default=600, help="further pictures a class to train and tune on")
    parser.add_argument("--fresh", type=int, default=250, help="pictures a class to measure on")
    arguments = parser.parse_args()
    out, seed = arguments.out, arguments.seed
    call("world", out / "world", "--images", arguments.images, "--seed", seed)
    call("world", out / "train", "--images", arguments.train, "--seed", seed + 1000)
    call("world", out / "fresh", "--images", arguments.fresh, "--seed", seed + 2000)
    print("== demo:1, all eight classes, fresh pictures", flush=True)
    gain(out, specialise(out, "demo:1", seed))
    print("== demo, pictures of the marked class", flush=True)
    folder = specialise(out, "demo", seed, "", *ALONE)
    name = next(world.folder_name(kind.name) for kind in world.CLASSES if kind.marked)
    mark(out, folder, Run(out / "runs-demo" / name), seed)


if __name__ == "__main__":
    main()
