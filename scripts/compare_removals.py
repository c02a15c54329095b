"""How well taking a part out of a picture tells the part's true effect, on the embedded world.

    python scripts/compare_removals.py --seed 83

The true effect of a part is the mean loss of the class's probability on the same pictures, drawn without the part. It
is compared with the loss when the part is taken out by its true mask, its box, and the outline in its box
(`masks.perturbation.removal`), each filled from the ring around it. Boxes are those of the visible parts with a random
error of 12 % of each side, as proposals have. Printed are Spearman's rank correlation over all parts of all classes,
of probabilities and of log odds, the mean intersection over union with the true mask, and processor time per removal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from visual_summaries.masks import world
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.models import load_classifier
from visual_summaries.masks.perturbation.objective import log_odds
from visual_summaries.masks.perturbation.removal import box_pixels, fill, outline

SMALLEST = 12
"""Visible pixels of a part that is taken out."""

Image = NDArray[np.uint8]
Pixels = NDArray[np.bool_]
Box = tuple[float, float, float, float]

METHODS: dict[str, Callable[[Image, Box, Pixels], Pixels]] = {
    "true mask": lambda image, box, part: part,
    "box": lambda image, box, part: box_pixels((image.shape[0], image.shape[1]), box),
    "outline": lambda image, box, part: outline(image, box),
}


def box_of(part: Pixels, rng: np.random.Generator) -> Box:
    """The box around a part, xyxy, with the error of a proposal."""
    y, x = np.nonzero(part)
    exact = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], dtype=np.float64)
    sides = np.tile(exact[2:] - exact[:2], 2)
    x0, y0, x1, y1 = np.clip(exact + rng.normal(0, 0.12, 4) * sides, 0, part.shape[0])
    return (x0, y0, max(x1, x0 + 6), max(y1, y0 + 6))


@torch.inference_mode()
def answers(classifier: Classifier, frames: list[Image], target: int) -> NDArray[np.float64]:
    """Probability and log odds of a class in each frame, (N, 2)."""
    batches = (classifier.to_tensor(frames[k : k + 64]) for k in range(0, len(frames), 64))
    logits = torch.cat([classifier.logits(batch) for batch in batches]).double()
    wanted = torch.full((len(logits),), target)
    return torch.stack([logits.softmax(1)[:, target], log_odds(logits, wanted)], dim=1).numpy()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the pictures")
    parser.add_argument("--images", type=int, default=30, help="pictures a class")
    parser.add_argument("--model", default="demo")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    true: list[NDArray[np.float64]] = []
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in METHODS}
    overlaps: dict[str, list[float]] = {name: [] for name in METHODS}
    seconds = dict.fromkeys(METHODS, 0.0)
    with load_classifier(options.model) as classifier:
        for target, kind in enumerate(world.CLASSES):
            seeds = [[options.seed, target, number] for number in range(options.images)]
            scenes = [world.draw(kind.name, np.random.default_rng(seed)) for seed in seeds]
            before = answers(classifier, [scene.image for scene in scenes], target)
            for part in (*kind.parts, world.MARK):
                shown = [k for k, one in enumerate(scenes) if part in one.parts and one.parts[part].sum() >= SMALLEST]
                if not shown:
                    continue
                bare = [world.draw(kind.name, np.random.default_rng(seeds[k]), without=part).image for k in shown]
                true.append((before[shown] - answers(classifier, bare, target)).mean(axis=0))
                cases = [(scenes[k].image, box_of(scenes[k].parts[part], rng), scenes[k].parts[part]) for k in shown]
                for name, method in METHODS.items():
                    start = time.process_time()
                    holes = [method(*case) for case in cases]
                    frames = [fill(image, hole) for (image, _, _), hole in zip(cases, holes, strict=True)]
                    seconds[name] += time.process_time() - start
                    found[name].append((before[shown] - answers(classifier, frames, target)).mean(axis=0))
                    overlaps[name] += [
                        (hole & own).sum() / (hole | own).sum() for (_, _, own), hole in zip(cases, holes, strict=True)
                    ]
    print(f"{len(true)} parts, {len(overlaps['box'])} removals each")
    print("taken out    probability  log odds   IoU    ms")
    for name, losses in found.items():
        rho = [spearmanr([one[k] for one in losses], [one[k] for one in true])[0] for k in (0, 1)]
        milliseconds = 1000 * seconds[name] / len(overlaps[name])
        print(f"{name:<12} {rho[0]:>11.3f} {rho[1]:>9.3f} {np.mean(overlaps[name]):>6.3f} {milliseconds:>5.1f}")


if __name__ == "__main__":
    main()
