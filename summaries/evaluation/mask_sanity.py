"""Sanity check of masks: do they depend on the network's weights (Adebayo et al., NeurIPS 2018)?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from visual_summaries.masks.attribution.controls import moved
from visual_summaries.masks.metrics.overlap import iou
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.randomise import randomised
from visual_summaries.summaries.evaluation.mask_batches import batches, generator_of
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.find_masks import find_masks
from visual_summaries.summaries.store import Run

RANDOM_DRAWS = 100
"""Shifted masks an image, over which the overlap is averaged."""


def sanity_check(
    runs: Sequence[Run], classifier: Classifier, settings: Settings, *, seed: int, tick: Tick
) -> dict[str, float]:
    """Optimises masks with the same options on the network with random weights, and compares them.

    Args:
        runs: Runs of the same network and options, with masks.
        classifier: Their network, inside its context.
        settings: Their options.
        seed: Of the weights.
        tick: Called with the number of images done, and of all.

    Returns:
        mean_iou: mean over images of the intersection over union of these masks and the masks of the runs;
        random_iou: the same of the runs' masks and their shifted copies (mean of :data:`RANDOM_DRAWS` draws an
        image), the overlap expected by chance; area: mean area of the masks of random weights; images; seed.
    """
    total = sum(len(run.ids) for run in runs)
    overlaps: list[float] = []
    chance: list[float] = []
    areas: list[float] = []
    other: Classifier | None = None
    for batch in batches(runs):
        images = classifier.to_tensor(batch.frames)
        if other is None:
            other = randomised(classifier, images, seed)
        targets = torch.tensor(batch.targets, device=classifier.device)
        before = len(overlaps)

        def passed(passes: int, all_passes: int, before: int = before, count: int = len(batch.rows)) -> None:
            tick(before + int(count * passes / max(all_passes, 1)), total)

        with other:
            found = find_masks(other, images, targets, settings, seed=seed, progress=passed)
        for row, ours, theirs in zip(batch.rows, batch.masks, found.binary, strict=True):
            overlaps.append(iou(ours.binary, theirs))
            rng = generator_of(seed, batch.run, row)
            chance.append(float(np.mean([iou(ours.binary, moved(ours.binary, rng)) for _ in range(RANDOM_DRAWS)])))
            areas.append(float(theirs.mean(dtype=np.float64)))
        tick(len(overlaps), total)
    return {
        "mean_iou": float(np.mean(overlaps)),
        "random_iou": float(np.mean(chance)),
        "area": float(np.mean(areas)),
        "images": total,
        "seed": seed,
    }
