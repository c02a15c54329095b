"""Masks of one or more runs, evaluated: the paper's table 2, what it leaves out, and other people's explanations.

    ====================  =====================================================================  ==================
    method                mask                                                                   order of pixels
    ====================  =====================================================================  ==================
    smooth                the float mask of the first stage                                      its values
    smooth_thresholded    its most salient pixels, as many as the crisp mask's mean says         from its depth out
    crisp                 the float mask of the last stage                                       its values
    binary                the mask that becomes regions                                          from its depth out
    gradcam               the most salient pixels of Grad-CAM, as many as the binary mask has    its values
    rise                  likewise of RISE                                                       its values
    extremal              likewise of an extremal perturbation of that area                      its values
    random                the binary mask, mirrored or not, shifted cyclically                   from its depth out
    disc                  a centred disc of that area                                            from its depth out
    ====================  =====================================================================  ==================

Where the masks of a run are those of another attribution, smooth and crisp are its relevance, scaled to [0, 1]. The
order is that of deletion and insertion, see :func:`masks.metrics.faithfulness.ranks`.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visual_summaries.masks.attribution.controls import disc, moved
from visual_summaries.masks.attribution.extremal import extremal
from visual_summaries.masks.attribution.grad_cam import grad_cam
from visual_summaries.masks.attribution.names import MASK
from visual_summaries.masks.attribution.rise import rise
from visual_summaries.masks.attribution.unsuitable import UnsuitableNetworkError
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.metrics.faithfulness import (
    Shape,
    deletion_auc,
    drop,
    insertion_auc,
    most_salient,
    probabilities,
    ranks,
    shape,
)
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.fuse import fused
from visual_summaries.masks.perturbation.perturb import parse_perturbation
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.stages.prefetch import Frames, read_ahead
from visual_summaries.summaries.store import ImageRow, MaskArrays, Run

METHODS = ("smooth", "smooth_thresholded", "crisp", "binary", "gradcam", "rise", "extremal", "random", "disc")
"""In the order of the tables; the first four are ours."""

OURS = METHODS[:4]

PERTURBATIONS = ("blur:10", "blur:5", "constant:mean", "blur:20", "constant:grey", "noise:0.25")
"""Perturbations of every evaluation; those that the masks were optimised against are added."""

BATCH = 8
"""Images evaluated at once; fixed, so that figures do not depend on how runs were made."""

FloatMask = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MethodRow:
    """A row of ``masks.json`` and ``masks.csv``: a method under a perturbation, over all images.

    Drops (p0 - p) / p0 have a mean and a variance over images (divided by their number); area is the mean share of
    the frame, regions the median number an image, top5_share the mean share of the mask in its five largest regions
    over the images that have one (None: no image has), the areas under the curves of deletion and insertion, which have
    perturbations of their own, are means.
    """

    method: str
    perturbation: str
    drop_mean: float
    drop_var: float
    area: float
    regions: float
    top5_share: float | None
    deletion_auc: float
    insertion_auc: float


@dataclass
class Evaluation:
    """What was found.

    Attributes:
        images: How many images.
        optimised: Perturbations that the masks were optimised against, as in the record of the runs.
        attribution: What the masks of the runs are made from, see `masks.attribution.names`.
        rows: A row each method and perturbation.
        collapsed: Images whose binary mask is empty or full: run, image, and which of both.
        skipped: Methods that do not work on the network, with the reason.
        sanity: The check with random weights; None where it was not made.
    """

    images: int
    optimised: list[str]
    attribution: str = MASK
    rows: list[MethodRow] = field(default_factory=list)
    collapsed: list[dict[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    sanity: dict[str, float] | None = None

    @property
    def perturbations(self) -> list[str]:
        """All perturbations, those optimised against first."""
        names = list(dict.fromkeys([*PERTURBATIONS, *self.optimised]))
        return sorted(names, key=lambda name: name not in self.optimised)

    def to_json(self) -> dict[str, Any]:
        """What stands in ``masks.json``."""
        return {
            "images": self.images,
            "attribution": self.attribution,
            "perturbations": {
                "optimised": [name for name in self.perturbations if name in self.optimised],
                "unseen": [name for name in self.perturbations if name not in self.optimised],
            },
            "collapsed": {"count": len(self.collapsed), "images": self.collapsed},
            "skipped": [{"method": method, "reason": reason} for method, reason in self.skipped.items()],
            "sanity": self.sanity,
            "rows": [vars(row) for row in self.rows],
        }


@dataclass(frozen=True)
class Batch:
    """Images of one run, with their masks.

    Attributes:
        run: The run.
        rows: Their rows of ``images.csv``.
        frames: Their frames.
        masks: Their masks.
    """

    run: Run
    rows: Sequence[ImageRow]
    frames: Frames
    masks: Sequence[MaskArrays]

    @property
    def targets(self) -> list[int]:
        """The class of each image."""
        index = self.run.info["target"]["index"]
        return [int(row.predicted or 0) if index is None else int(index) for row in self.rows]


@dataclass(frozen=True)
class _Explanations:
    """What one method gives for a batch: masks and orders, (H, W) each, an image each."""

    masks: list[FloatMask]
    saliency: list[npt.NDArray[Any]]


def batches(runs: Sequence[Run], size: int = BATCH) -> Iterator[Batch]:
    """The images of runs, batch by batch, the next frames decoded meanwhile."""
    for run in runs:
        rows = [row for row in run.images if row.status == "ok"]
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        for part, frames in zip(parts, read_ahead(run, parts), strict=True):
            yield Batch(run, part, frames, [run.mask(row.id) for row in part])


def check_alike(runs: Sequence[Run]) -> None:
    """Refuses runs whose masks do not belong into one table.

    Raises:
        UserError: If a run has no masks yet, or the runs differ in their network or the options of their masks.
    """
    for run in runs:
        if run.info["stages"].get("masks", {}).get("status") != "done":
            raise UserError(f"{run.path} has no masks yet: finish it with `visual-summaries masks {run.path}`")
    first = runs[0]
    if not any(run.ids for run in runs):
        raise UserError(f"{first.path} has no image with a mask: nothing is to be evaluated")
    for run in runs[1:]:
        for what, values in (
            ("network", [r.info["model"]["fingerprint"] for r in (first, run)]),
            ("options of masks", [_mask_options(r) for r in (first, run)]),
        ):
            if values[0] != values[1]:
                raise UserError(f"{run.path} and {first.path} differ in their {what}: evaluate them apart")


def _mask_options(run: Run) -> dict[str, Any]:
    config = run.info["config"]
    settings, attribution = config["settings"], run.attribution
    made_by = {"masks": settings["masks"]}
    if attribution != MASK:
        made_by = {attribution: settings["attribution"][attribution]}
    return {"made elsewhere": config["masks"] is not None, "binary": settings["binary"]} | made_by


def optimised_against(run: Run) -> list[str]:
    """The perturbations that a run's masks were optimised against; none if they were not optimised here."""
    settings = run.info["config"]["settings"]
    if run.info["config"]["masks"] is not None:
        return []
    if run.attribution != MASK:
        perturbation = settings["attribution"][run.attribution].get("perturbation")
        return [] if perturbation is None else [perturbation]
    return list(dict.fromkeys(_perturbations_of(settings["masks"])))


def _perturbations_of(stage: dict[str, Any]) -> Iterator[str]:
    """Those that are named in a stage's recorded options and in the stages within, if they make any pass."""
    if stage.get("iterations", 1):
        yield from stage.get("perturbations", ())
        for part in stage.values():
            if isinstance(part, dict):
                yield from _perturbations_of(part)


def evaluate(runs: Sequence[Run], classifier: Classifier, *, seed: int, baselines: bool, tick: Tick) -> Evaluation:
    """Evaluates the masks of all images of runs.

    Args:
        runs: Runs of the same network and options, with masks.
        classifier: Their network, entered.
        seed: Of random masks.
        baselines: Whether to compare with other methods.
        tick: Told of images done.
    """
    total = sum(len(run.ids) for run in runs)
    evaluation = Evaluation(total, optimised_against(runs[0]), runs[0].attribution)
    perturbations = {name: parse_perturbation(name) for name in evaluation.perturbations}
    drops: dict[tuple[str, str], list[float]] = defaultdict(list)
    deletions: dict[str, list[float]] = defaultdict(list)
    insertions: dict[str, list[float]] = defaultdict(list)
    shapes: dict[str, list[Shape]] = defaultdict(list)
    done = 0
    count = classifier.count_classes()
    some = next(run for run in runs if run.ids)
    fast = fused(classifier, classifier.to_tensor([some.frame(some.ids[0])]))
    steps = (len(METHODS) if baselines else len(OURS)) * 2  # of a batch
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
        found = _ours(batch)
        if baselines:
            found |= _baselines(classifier, images, targets, batch, seed, evaluation.skipped)
        passed(len(found))
        p0 = probabilities(fast, images, targets)
        if not bool(p0.isfinite().all()):
            image = batch.rows[int((~p0.isfinite()).nonzero()[0, 0])].id
            raise UserError(f"{classifier.spec} gives logits that are not finite for {image} of {batch.run.path}")
        tensors = {}
        for method, given in found.items():
            masks = torch.from_numpy(np.stack(given.masks)).to(images)[:, None]
            places = torch.from_numpy(np.stack([ranks(one) for one in given.saliency])).to(images.device)[:, None]
            tensors[method] = masks
            shapes[method] += [shape(mask) for mask in given.masks]
            deletions[method] += deletion_auc(fast, images, targets, places).tolist()
            insertions[method] += insertion_auc(fast, images, targets, places).tolist()
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
                _row(method, name, drops[method, name], deletions[method], insertions[method], shapes[method])
            )
    return evaluation


def _row(
    method: str,
    perturbation: str,
    drops: Sequence[float],
    deletions: Sequence[float],
    insertions: Sequence[float],
    shapes: Sequence[Shape],
) -> MethodRow:
    shares = [one.top5_share for one in shapes if one.top5_share is not None]
    return MethodRow(
        method=method,
        perturbation=perturbation,
        drop_mean=float(np.mean(drops)),
        drop_var=float(np.var(drops)),
        area=float(np.mean([one.area for one in shapes])),
        regions=float(np.median([one.regions for one in shapes])),
        top5_share=float(np.mean(shares)) if shares else None,
        deletion_auc=float(np.mean(deletions)),
        insertion_auc=float(np.mean(insertions)),
    )


def _collapsed(batch: Batch) -> list[dict[str, str]]:
    which = [shape(masks.binary).collapsed for masks in batch.masks]
    return [
        {"run": batch.run.path.name, "image": row.id, "mask": kind}
        for row, kind in zip(batch.rows, which, strict=True)
        if kind
    ]


def _given(masks: Sequence[npt.NDArray[Any]], saliency: Sequence[npt.NDArray[Any]] | None = None) -> _Explanations:
    return _Explanations([mask.astype(np.float32) for mask in masks], list(masks if saliency is None else saliency))


def _ours(batch: Batch) -> dict[str, _Explanations]:
    return {
        "smooth": _given([m.smooth for m in batch.masks]),
        "smooth_thresholded": _given(
            [most_salient(m.smooth, float(m.crisp.mean(dtype=np.float64))) for m in batch.masks]
        ),
        "crisp": _given([m.crisp for m in batch.masks]),
        "binary": _given([m.binary for m in batch.masks]),
    }


def _baselines(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    batch: Batch,
    seed: int,
    skipped: dict[str, str],
) -> dict[str, _Explanations]:
    """The explanations of other methods; the reason of one that does not work goes to ``skipped``."""
    binary = [masks.binary for masks in batch.masks]
    areas = [float(mask.mean(dtype=np.float64)) for mask in binary]
    maps: dict[str, Tensor] = {}
    try:
        maps["gradcam"] = grad_cam(classifier, images, targets)
    except UnsuitableNetworkError as error:
        skipped["gradcam"] = str(error)
    maps["rise"] = rise(classifier, images, targets, seed=seed)
    maps["extremal"] = extremal(classifier, images, targets, areas=torch.tensor(areas))
    found = {}
    for method, tensor in maps.items():
        saliency = list(tensor[:, 0].cpu().numpy())
        masks = [most_salient(one, area) for one, area in zip(saliency, areas, strict=True)]
        found[method] = _given(masks, saliency)
    found["random"] = _given(
        [moved(mask, generator_of(seed, batch.run, row)) for mask, row in zip(binary, batch.rows, strict=True)]
    )
    size = classifier.frame.size
    found["disc"] = _given([disc(size, area) for area in areas])
    return found


def generator_of(seed: int, run: Run, row: ImageRow) -> np.random.Generator:
    """Random choices that belong to an image, whatever other images there are."""
    return np.random.default_rng([seed, zlib.crc32(f"{run.info['target']['name']}/{row.id}".encode())])
