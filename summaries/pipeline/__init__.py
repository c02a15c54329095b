"""The whole chain on one class folder, from images to a gallery, in a run folder that can be continued."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import path_on_record, recorded_path
from visual_summaries.masks.options import Options, Range, Seed
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET
from visual_summaries.summaries.backend import cores, steady_threads
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline.engine import Pipeline
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN, ImageContext
from visual_summaries.summaries.settings import Settings, override, plain
from visual_summaries.summaries.store import Run

if TYPE_CHECKING:
    import torch

    from visual_summaries.masks.networks.classifier import Classifier

__all__ = ["PACKAGES", "STAGES", "Job", "Pipeline", "check_done", "recorded_settings", "redo", "run"]

STAGES = tuple(stage.name for stage in IMAGE_CHAIN)
"""In the order in which data flows."""

PACKAGES = ("visual-summaries", *sorted({name for stage in IMAGE_CHAIN for name in stage.packages}))
"""Whose versions are recorded."""


@dataclass(frozen=True)
class Job(Options):
    """A run, before it starts.

    Attributes:
        folder: Images of one class.
        out: The run folder.
        target: Class as the user wrote it: an index, a WordNet id, a name or ``predicted``; empty for the name of
            the folder.
        limit: At most so many images that are not skipped, >= 1; None for all.
        keep_misclassified: Whether images that the network gives to another class stay.
        seed: Of every random choice, >= 0.
        jobs: Processes, >= 1.
        masks: Folder of masks made elsewhere, which take the place of the mask stage.
        preset: Name of the preset that the settings came from, for the record.
        settings: Options of every stage.
        model: How to load the classifier again, for the record (see ``masks/models.py``).
    """

    folder: Path
    out: Path
    target: str = ""
    limit: Annotated[int | None, Range(ge=1)] = None
    keep_misclassified: bool = False
    seed: Seed = 0
    jobs: Annotated[int, Range(ge=1)] = field(default_factory=cores)
    masks: Path | None = None
    preset: str = DEFAULT_PRESET
    settings: Settings = field(default_factory=Settings)
    model: dict[str, Any] = field(default_factory=dict)


def run(job: Job, classifier: Classifier, *, until: str = STAGES[-1]) -> Run:
    """Runs the chain on one class folder, or continues it.

    Args:
        job: What to do.
        classifier: The network; it is frozen meanwhile and left as it was.
        until: The last stage to do.

    Returns:
        The run folder, read.

    Raises:
        UserError: For whatever a user can cause.
    """
    from visual_summaries.masks.networks.class_names import find_class
    from visual_summaries.summaries.stages.network import examine_network

    _check(job)
    with claimed(job.out, "run"), classifier:
        pipeline = Pipeline(job.out)
        notes = examine_network(job.folder, classifier, job.settings, gradients=job.masks is None)
        target = find_class(job.target or job.folder.name, classifier.labels, classifier.count_classes())
        _describe(pipeline.info, job, classifier, target)
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
            for stage in IMAGE_CHAIN[: STAGES.index(until) + 1]:
                pipeline.do(stage, context)
    return Run(job.out)


def redo(
    out: Path,
    start: str,
    again: str,
    *,
    network: Callable[[], Classifier],
    device: str = "cpu",
    settings: Settings | None = None,
    jobs: int | None = None,
) -> Run:
    """Does stages of a run again from what is there, and what depends on them; it ends with the page.

    A changed option does again what depends on it; where none changed, one stage is done again. Whatever can be refused
    is refused before anything is written.

    Args:
        out: The run folder.
        start: Name of the first stage that is looked at; those before it have to be done.
        again: Name of the stage that is done again where no option changed.
        network: Loads the classifier that the run was made with; called only where a stage asks it.
        device: Where proposal flow runs.
        settings: Options of every stage; None for those that the run has.
        jobs: Processes; None for one a core.

    Raises:
        UserError: For whatever a user can cause.
    """
    check_done(out, start)
    with ExitStack() as stack, claimed(out, "run", option="RUN"):
        pipeline = Pipeline(out)
        info, config = pipeline.info, pipeline.info["config"]
        recorded = recorded_settings(out)
        settings = settings or recorded
        pipeline.force = (again,) if settings == recorded else ()
        loaded: list[Classifier] = []

        def entered() -> Classifier:
            if not loaded:
                loaded.append(network())
            return loaded[0]

        context = ImageContext(
            out=out,
            info=info,
            settings=settings,
            folder=path_on_record(config["images"]),
            limit=config["limit"],
            keep_misclassified=config["keep_misclassified"],
            masks=None if config["masks"] is None else path_on_record(config["masks"]),
            seed=info["seed"],
            jobs=jobs,
            device=device,
            network=entered,
            again=again if settings == recorded else "",
        )
        stages = IMAGE_CHAIN[STAGES.index(start) :]
        if any(stage.network(context) and not pipeline.is_done(stage, context) for stage in stages):
            stack.enter_context(steady_threads(info))
            entered()  # what cannot be had is told before anything is written
        config["settings"] = plain(settings)
        for stage in stages:
            pipeline.do(stage, context)
    return Run(out)


def check_done(out: Path, start: str) -> Run:
    """A run whose stages before one are done.

    Args:
        out: The run folder.
        start: Name of a stage.

    Raises:
        UserError: If one of them is not.
    """
    run = Run(out)
    for name in STAGES[: STAGES.index(start)]:
        if run.info["stages"].get(name, {}).get("status") != "done":
            raise UserError(f"{out}: the stage {name} is not done: the same `visual-summaries run` continues")
    return run


def recorded_settings(out: Path) -> Settings:
    """The options that a run was made with."""
    return override(Settings(), Run(out).info["config"]["settings"], where=f"{out / 'run.json'}: ")


def _check(job: Job) -> None:
    """Refuses what would harm the user's files, before anything is read or written.

    Raises:
        UserError: If the folders of a job lie in each other.
    """
    out = Path(os.path.realpath(job.out))
    for option, folder in (("IMAGES", job.folder), ("`masks`", job.masks)):
        if folder is not None and out in (real := Path(os.path.realpath(folder)), *real.parents):
            raise UserError(f"{option} {folder} lies in the run folder {job.out}: give another `out`")


def _describe(info: dict[str, Any], job: Job, classifier: Classifier, target: int | None) -> None:
    """What ``run.json`` says about the run as a whole."""
    label = classifier.label(target) if target is not None else None
    frame = classifier.frame
    info["config"] = {
        "images": recorded_path(job.folder.absolute()),
        "target": job.target,
        "limit": job.limit,
        "keep_misclassified": job.keep_misclassified,
        "masks": None if job.masks is None else recorded_path(job.masks.absolute()),
        "preset": job.preset,
        "model": job.model,
        "settings": plain(job.settings),
    }
    info["versions"] = {name: importlib.metadata.version(name) for name in PACKAGES}
    info["seed"] = job.seed
    info["device"] = _device_name(classifier.device)
    info["model"] = {"spec": classifier.spec, "fingerprint": classifier.fingerprint()}
    info["target"] = {
        "index": target,
        "name": label.name if label else "predicted",
        "wordnet": label.wordnet if label else "",
    }
    info["frame"] = {
        "size": list(frame.size),
        "resize": frame.resize,
        "interpolation": frame.interpolation,
        "mean": list(classifier.normalisation.mean),
        "std": list(classifier.normalisation.std),
        "to_photograph": (
            "the photograph (orientation applied, width and height in images.csv) is resized so that it just covers "
            "floor(`size` * `resize` / min(`size`)), its aspect kept (where `resize` is a pair [H, W], to that pair; "
            "where it is null, to `size`), then cut in the middle to `size` = [H, W]; "
            "x_photograph = (x_frame + round((W_resized - W) / 2)) * width / W_resized, likewise y"
        ),
    }


def _device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
