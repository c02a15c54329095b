"""The images of several runs in batches, with their masks, and the checks that the runs can be evaluated together."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visual_summaries.masks.attribution.names import MASK
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.stages.prefetch import Frames, read_ahead
from visual_summaries.summaries.store import ImageRow, MaskArrays, Run

BATCH = 8
"""Images in a batch; fixed, so that results do not depend on how runs were made."""


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


def batches(runs: Sequence[Run], size: int = BATCH) -> Iterator[Batch]:
    """The images of runs in batches; the next frames are decoded in the background."""
    for run in runs:
        rows = [row for row in run.images if row.status == "ok"]
        chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
        for chunk, frames in zip(chunks, read_ahead(run, chunks), strict=True):
            yield Batch(run, chunk, frames, [run.mask(row.id) for row in chunk])


def check_alike(runs: Sequence[Run]) -> None:
    """Refuses runs whose masks cannot be compared in one table.

    Raises:
        UserError: A run has no masks yet, or the runs have different networks or mask options.
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
                raise UserError(f"{run.path} and {first.path} differ in their {what}: evaluate them separately")


def _mask_options(run: Run) -> dict[str, Any]:
    config = run.info["config"]
    settings, attribution = config["settings"], run.attribution
    made_by = {"masks": settings["masks"]}
    if attribution != MASK:
        made_by = {attribution: settings["attribution"][attribution]}
    return {"external": config["masks"] is not None, "binary": settings["binary"]} | made_by


def optimised_against(run: Run) -> list[str]:
    """The perturbations that a run's masks were optimised against; empty if the run did not optimise them."""
    settings = run.info["config"]["settings"]
    if run.info["config"]["masks"] is not None:
        return []
    if run.attribution != MASK:
        perturbation = settings["attribution"][run.attribution].get("perturbation")
        return [] if perturbation is None else [perturbation]
    return list(dict.fromkeys(_perturbations_of(settings["masks"])))


def _perturbations_of(stage: dict[str, Any]) -> Iterator[str]:
    """The perturbations in the recorded options of a stage and its nested stages, if they have any iteration."""
    if stage.get("iterations", 1):
        yield from stage.get("perturbations", ())
        for nested in stage.values():
            if isinstance(nested, dict):
                yield from _perturbations_of(nested)


def generator_of(seed: int, run: Run, row: ImageRow) -> np.random.Generator:
    """A random generator for an image that does not depend on the other images."""
    return np.random.default_rng([seed, zlib.crc32(f"{run.info['target']['name']}/{row.id}".encode())])
