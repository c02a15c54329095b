"""Runs the image chain on one class folder, or continues it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from visual_summaries.summaries.backend import steady_threads
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline.engine import Pipeline, names
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.pipeline.image_context import ImageContext
from visual_summaries.summaries.pipeline.job import Job, check_folders, describe_run
from visual_summaries.summaries.store import Run

if TYPE_CHECKING:
    from visual_summaries.masks.networks.classifier import Classifier


def run(job: Job, classifier: Classifier, *, until: str = IMAGE_CHAIN[-1].name) -> Run:
    """Runs the image chain on one class folder, or continues it.

    Args:
        job: What to do.
        classifier: The network. It is frozen during the run and restored afterwards.
        until: Name of the last stage to do.

    Returns:
        The run folder, to be read.

    Raises:
        UserError: For every error that a user can cause.
    """
    from visual_summaries.masks.networks.class_names import find_class
    from visual_summaries.summaries.stages.network import examine_network

    check_folders(job)
    with claimed(job.out, "run"), classifier:
        pipeline = Pipeline(job.out)
        notes = examine_network(job.folder, classifier, job.settings, makes_masks=job.masks is None)
        target = find_class(job.target or job.folder.name, classifier.labels, classifier.count_classes())
        describe_run(pipeline.info, job, classifier, target)
        pipeline.info["model"]["notes"] = notes
        context = ImageContext(
            out=job.out,
            info=pipeline.info,
            settings=job.settings,
            folder=job.folder,
            limit=job.limit,
            keep_misclassified=job.keep_misclassified,
            masks=job.masks,
            seed=job.seed,
            jobs=job.jobs,
            device=str(classifier.device),
            network=lambda: nullcontext(classifier),
        )
        with steady_threads(pipeline.info):
            pipeline.run(IMAGE_CHAIN[: names(IMAGE_CHAIN).index(until) + 1], context)
    return Run(job.out)
