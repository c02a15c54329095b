"""Evaluates the masks of runs beside attribution methods and controls.

Measured are the drop of the class probability under several perturbations, as in the paper's table 2 and beyond it
(perturbations that the masks were not optimised against), the areas under the curves of deletion and insertion, and
the shapes of the masks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.metrics.faithfulness import (
    Shape,
    deletion_auc,
    drop,
    insertion_auc,
    probabilities,
    ranks,
    shape,
)
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.perturbation.perturb import parse_perturbation
from visual_summaries.summaries.evaluation.mask_batches import Batch, batches, optimised_against
from visual_summaries.summaries.evaluation.mask_methods import METHODS, OWN, other_masks, own_masks
from visual_summaries.summaries.evaluation.mask_metrics import MaskEvaluation, metrics_row
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import Run


def evaluate(runs: Sequence[Run], classifier: Classifier, *, seed: int, baselines: bool, tick: Tick) -> MaskEvaluation:
    """Evaluates the masks of all images of runs.

    Args:
        runs: Runs of the same network and options, with masks.
        classifier: Their network, inside its context.
        seed: Of random masks.
        baselines: Whether to compare with other methods and controls.
        tick: Called with the number of images done, and of all.

    Raises:
        UserError: A run is of a class that the network does not have, or the network's logits are not finite.
    """
    total = sum(len(run.ids) for run in runs)
    evaluation = MaskEvaluation(total, optimised_against(runs[0]), runs[0].attribution)
    perturbations = {name: parse_perturbation(name) for name in evaluation.perturbations}
    drops: dict[tuple[str, str], list[float]] = defaultdict(list)
    deletions: dict[str, list[float]] = defaultdict(list)
    insertions: dict[str, list[float]] = defaultdict(list)
    shapes: dict[str, list[Shape]] = defaultdict(list)
    done = 0
    count = classifier.count_classes()
    some = next(run for run in runs if run.ids)
    fast = fused(classifier, classifier.to_tensor([some.frame(some.ids[0])]))
    steps = (len(METHODS) if baselines else len(OWN)) * 2  # of a batch
    for batch in batches(runs):
        step = 0

        def passed(count: int, before: int = done, images: int = len(batch.rows)) -> None:
            nonlocal step
            step += count
            tick(before + images * step // steps, total)

        if max(batch.targets) >= count:
            raise UserError(f"{batch.run.path} is of class {max(batch.targets)}, its network has {count} classes")
        images = classifier.to_tensor(batch.frames)
        targets = torch.tensor(batch.targets, device=classifier.device)
        evaluation.collapsed += _collapsed(batch)
        found = own_masks(batch)
        if baselines:
            found |= other_masks(classifier, images, targets, batch, seed, evaluation.skipped)
        passed(len(found))
        p0 = probabilities(fast, images, targets)
        if not bool(p0.isfinite().all()):
            image = batch.rows[int((~p0.isfinite()).nonzero()[0, 0])].id
            raise UserError(f"{classifier.spec} gives logits that are not finite for {image} of {batch.run.path}")
        tensors = {}
        for method, given in found.items():
            masks = torch.from_numpy(np.stack(given.masks)).to(images)[:, None]
            order = torch.from_numpy(np.stack([ranks(one) for one in given.saliency])).to(images.device)[:, None]
            tensors[method] = masks
            shapes[method] += [shape(mask) for mask in given.masks]
            deletions[method] += deletion_auc(fast, images, targets, order).tolist()
            insertions[method] += insertion_auc(fast, images, targets, order).tolist()
            passed(1)
        for name, perturbation in perturbations.items():
            prepared = perturbation.prepare(images)
            for method, masks in tensors.items():
                with torch.inference_mode():
                    p = fast.log_probabilities(prepared(masks), targets).double().exp().cpu()
                drops[method, name] += drop(p0, p).tolist()
        done += len(batch.rows)
        tick(done, total)
    for method in METHODS:
        for name in perturbations if method in shapes else ():
            evaluation.rows.append(
                metrics_row(method, name, drops[method, name], deletions[method], insertions[method], shapes[method])
            )
    return evaluation


def _collapsed(batch: Batch) -> list[dict[str, str]]:
    """The images of a batch whose binary mask is empty or full."""
    which = [shape(masks.binary).collapsed for masks in batch.masks]
    return [
        {"run": batch.run.path.name, "image": row.id, "mask": kind}
        for row, kind in zip(batch.rows, which, strict=True)
        if kind
    ]
