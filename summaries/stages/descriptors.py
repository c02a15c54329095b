"""The descriptors of the boxes of all images, written to the feature files that matching reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.descriptors.choose import deep_encoder
from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.descriptors.projection import learn
from visual_summaries.clustering.matching.proposal_flow import Features, mirror
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.files import write_npz
from visual_summaries.summaries.progress import progress
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.work_files import FeatureFolder, read_again
from visual_summaries.summaries.store import Run

Network = Callable[[], AbstractContextManager[Classifier]]
"""Gives the network under explanation, to be used inside its context."""

Describer = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Gives the descriptors (M, D) of the boxes (M, 4) of an image."""

BASIS = {"basis": Array("f", ("long", "short"))}


def describe_all(
    run: Run,
    boxes: Sequence[NDArray[np.float32]],
    folder: FeatureFolder,
    settings: Settings,
    network: Network,
    jobs: int,
) -> bool:
    """Writes the features of all images that have none yet.

    Args:
        run: The run.
        boxes: Of each image, float32 (M, 4).
        folder: Where features are written.
        settings: Options of descriptors, and whether images are matched mirrored as well.
        network: Used for deep descriptors.
        jobs: Workers at most, >= 1.

    Returns:
        Whether the descriptors are deep ones.
    """

    def write(index: int, describer: Describer) -> None:
        if not folder.path(index).exists():
            frame = run.frame(run.ids[index])
            folder.write(index, _features(frame, boxes[index], settings.similarity.mirrored, describer))

    with ExitStack() as stack:
        tick = stack.enter_context(progress("descriptors", "images"))
        encoder = None
        if settings.appearance.descriptor != "hog":
            encoder = deep_encoder(stack.enter_context(network()), settings.appearance)
        if encoder is not None:
            basis = folder.folder.parent / "basis.npz"
            reduced = _reduced(run, boxes, basis, encoder.describe, settings.appearance.numbers)
            for index in range(len(boxes)):
                write(index, reduced)
                tick(index + 1, len(boxes))
            return True
        stack.enter_context(threadpool_limits(limits=1))  # the calls run in several threads already
        calls = (partial(write, index, describe) for index in range(len(boxes)))
        written = make_calls(calls, count=len(boxes), jobs=jobs, native=True)
        for done, _ in enumerate(written, 1):
            tick(done, len(boxes))
    return False


def _features(frame: NDArray[np.uint8], boxes: NDArray[np.float32], mirrored: bool, describer: Describer) -> Features:
    height, width = frame.shape[:2]
    descriptors, turned = describer(frame, boxes), None
    if mirrored:
        turned = describer(np.ascontiguousarray(frame[:, ::-1]), mirror(boxes, width))
    return Features(descriptors, boxes, (height, width), turned)


def _reduced(
    run: Run, boxes: Sequence[NDArray[np.float32]], file: Path, describer: Describer, numbers: int
) -> Describer:
    """A describer with fewer numbers a box.

    Its basis is learned once from some of the images, and kept in a file.
    """
    if not any(map(len, boxes)):
        return describer
    if read_again(file, BASIS) is None:

        def describe_one(index: int) -> NDArray[np.float32]:
            return describer(run.frame(run.ids[index]), boxes[index])

        write_npz(file, compress=False, basis=learn([len(one) for one in boxes], describe_one, numbers, seed=0))
    basis = read_arrays(file, BASIS)["basis"]

    def reduced(frame: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        described = describer(frame, boxes)
        with threadpool_limits(limits=1):  # sums must not depend on the number of threads
            shorter: NDArray[np.float32] = described @ basis
        return shorter

    return reduced
