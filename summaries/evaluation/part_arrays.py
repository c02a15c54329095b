"""The parts of a run as arrays: boxes, similarities, descriptors, masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.metrics.cohesion import unit
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.evaluation.ground_truth import image_of_parts
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.store import Run

Describer = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Computes the descriptors (M, D) of boxes (M, 4) of an image (H, W, 3)."""


@dataclass(frozen=True)
class PartArrays:
    """The R rows of ``parts.csv``; the first P of them were clustered.

    Attributes:
        image: int64 (R,), index of the image.
        boxes: float32 (R, 4) xyxy.
        matrix: (P, P), similarities of proposal flow, dense or sparse.
        descriptors: float32 (P, D), descriptors of proposal flow, before their dimension is reduced.
        masks: bool (H, W) of each image.
        vectors: (R, D) of the independent encoder, of length 1; None without it.
    """

    image: NDArray[np.int64]
    boxes: NDArray[np.float32]
    matrix: NDArray[np.float32] | csr_array
    descriptors: NDArray[np.float32]
    masks: list[NDArray[np.bool_]]
    vectors: NDArray[np.float64] | None

    @property
    def clustered(self) -> NDArray[np.int64]:
        """int64 (P,), index of the image of each clustered part."""
        return self.image[: len(self.descriptors)]


def read_parts(run: Run, vectors: NDArray[np.float32] | None, describer: Describer) -> PartArrays:
    """Reads the parts of a run and computes their descriptors.

    Args:
        run: The run, with its ``work/``.
        vectors: (R, D) of the independent encoder, one for each row of ``parts.csv``.
        describer: Computes the descriptors of boxes.

    Raises:
        UserError: The similarities are missing, or do not belong to the run's parts.
    """
    matched = read_similarities(run)
    return PartArrays(
        image=image_of_parts(run),
        boxes=np.array([part.box for part in run.parts], np.float32).reshape(-1, 4),
        matrix=matched.matrix,
        descriptors=_describe(run, matched.where.corners[matched.parts], describer),
        masks=[run.mask(image).binary for image in run.ids],
        vectors=unit(vectors) if vectors is not None else None,
    )


def read_similarities(run: Run) -> Matched[PartBoxes]:
    """The similarities of a run's parts.

    Raises:
        UserError: They are missing, or do not belong to the run's parts.
    """
    file = run.path / "work" / "similarity.npz"
    again = f"`visual-summaries cluster {run.path}` makes it again"
    if not file.is_file():
        raise UserError(f"{file} is missing: {again}")
    matched = read_matched(file)
    clustered = run.parts[: len(matched.parts)]
    corners = matched.where.corners[matched.parts]
    if not np.array_equal(corners, np.array([part.box for part in clustered], np.float32).reshape(-1, 4)):
        raise UserError(f"{file} has other parts than parts.csv: {again}")
    return matched


def _describe(run: Run, boxes: NDArray[np.float32], describer: Describer) -> NDArray[np.float32]:
    """The descriptors of the clustered parts of a run, float32 (P, D)."""
    rows_of: dict[str, list[int]] = {}
    for row, part in enumerate(run.parts[: len(boxes)]):
        rows_of.setdefault(part.image, []).append(row)
    with threadpool_limits(limits=1):
        found = [(rows, describer(run.frame(image), boxes[rows])) for image, rows in rows_of.items()]
    descriptors = np.zeros((len(boxes), found[0][1].shape[1] if found else 1), dtype=np.float32)
    for rows, values in found:
        descriptors[rows] = values
    return descriptors
