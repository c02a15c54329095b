"""Specialises networks of the embedded world, all eight classes, and measures them on fresh pictures.

    python scripts/specialize_world.py runs/boost --seed 29

Writes the world of that seed to OUT/world, runs the chain on every class with ``demo:1`` and with ``demo``, specialises
both with further pictures to train on, and prints two tables: what ``demo:1`` gains on fresh pictures, beside the
controls of ``evaluate boost``; and how ``demo`` does on pictures of the marked class with and without the watermark: by
itself, specialised, and by the same blend without the SVMs of the watermark's summaries.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import specialize
from masks import world
from masks.classifier import Classifier
from specialize.model import base_classifier, read_model, specialized
from summaries.cli import main as visual_summaries
from summaries.store import Run, read_json
from summaries.truth import read_truth

MARKED = range(60_000, 60_500)


def call(*arguments: object) -> None:
    """Runs a command; its failure ends the script."""
    status = visual_summaries([str(argument) for argument in arguments])
    if status:
        sys.exit(status)


def accuracy(classifier: Classifier, images: list[np.ndarray], label: int) -> float:
    """Share of pictures that are taken for their class."""
    right = []
    with classifier, torch.inference_mode():
        for start in range(0, len(images), 50):
            logits = classifier.logits(classifier.to_tensor(images[start : start + 50]))
            right += (logits.argmax(dim=1) == label).tolist()
    return float(np.mean(right))


def of_mark(run: Run, truth: Path) -> set[int]:
    """Numbers of a run's kept summaries whose majority lies on the watermark."""
    known = read_truth(run, truth)
    kept = (one for one in run.summaries if one.kept)
    return {one.summary for one in kept if known.majority([m.part for m in one.members]).part == world.MARK}


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7, help="of the pictures")
    parser.add_argument("--images", type=int, default=30, help="pictures a class whose summaries are found")
    parser.add_argument("--train", type=int, default=250, help="further pictures a class to train and tune on")
    parser.add_argument("--fresh", type=int, default=250, help="pictures a class to measure on")
    arguments = parser.parse_args()
    out, seed = arguments.out, arguments.seed
    for name, images, of in (("world", arguments.images, seed), ("train", arguments.train, seed + 1000)):
        call("world", out / name, "--images", images, "--seed", of)
    call("world", out / "fresh", "--images", arguments.fresh, "--seed", seed + 2000)
    for model in ("demo:1", "demo"):
        runs, folder = out / f"runs-{model.replace(':', '-')}", out / f"model-{model.replace(':', '-')}"
        call("run", out / "world" / "images", "--out", runs, "--model", model)
        options = ("--train", out / "train" / "images", "--out", folder, "--set.features.place", "parts")
        call("specialize", runs, *options, "--seed", seed)
        print(f"== {model}: all eight classes, {8 * arguments.fresh} fresh pictures", flush=True)
        call("evaluate", "boost", folder, "--val", out / "fresh" / "images")
        row = read_json(folder / "boost.json")["specialised"]
        print(f"{model}: accuracy {row['top1_before']:.3f}, specialised {row['top1_after']:.3f}", flush=True)
    (kind,) = (one for one in world.CLASSES if one.marked)
    label = world.CLASSES.index(kind)
    run = Run(out / "runs-demo" / world.folder_name(kind.name))
    numbers = of_mark(run, out / "world")
    model, folder = read_model(out / "model-demo"), out / "model-demo"
    stay = [k for k, row in enumerate(model.summaries) if row.run != run.path.name or row.summary not in numbers]
    print(f"== demo: {kind.name}, summaries of the mark: {sorted(numbers)}")
    print(f"{'':<28}{'with mark':>10}{'without':>10}")
    pictures = [[world.draw(kind.name, k, mark=mark).image for k in MARKED] for mark in (True, False)]
    for name, classifier in (
        ("demo", base_classifier(model, folder, "cpu")),
        ("specialised", specialize.load(folder, device="cpu")),
        (
            "without the mark's SVMs",
            specialized(base_classifier(model, folder, "cpu"), model.tap, model.method.take(stay)),
        ),
    ):
        shares = [accuracy(classifier, images, label) for images in pictures]
        print(f"{name:<28}{shares[0]:>10.3f}{shares[1]:>10.3f}", flush=True)


if __name__ == "__main__":
    main()
