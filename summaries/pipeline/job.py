"""A run before it starts: what the user asked for, and what ``run.json`` says about it."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from visual_summaries.masks.attribution.names import MASK
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.masks.options import Options, Range, Seed
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET
from visual_summaries.summaries.backend import cores
from visual_summaries.summaries.pipeline.engine import packages
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.settings import Settings, plain

if TYPE_CHECKING:
    import torch

    from visual_summaries.masks.networks.classifier import Classifier


@dataclass(frozen=True)
class Job(Options):
    """A run, before it starts.

    Attributes:
        folder: Images of one class.
        out: The run folder.
        target: Class as the user wrote it: an index, a WordNet id, a name or ``predicted``; empty for the name of
            the folder.
        limit: Most images that are used, >= 1; None for all.
        keep_misclassified: Whether to use images that the network assigns to another class.
        seed: Of every random choice, >= 0.
        jobs: Workers (processes or threads), >= 1.
        masks: Folder of masks made elsewhere, used in place of masks made here; None for none.
        preset: Name of the preset that the settings came from, for the record.
        settings: Options of every stage.
        model: How to load the classifier again, for the record (see ``masks.networks.reload``).
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

    def check(self) -> None:
        """Checks that masks come from one source."""
        check_masks(self.masks, self.settings)


def check_masks(masks: Path | None, settings: Settings) -> None:
    """Checks that masks are not made elsewhere and by an attribution at once.

    Args:
        masks: Folder of masks made elsewhere; None for none.
        settings: Options of the stages.

    Raises:
        UserError: If there is such a folder, and an attribution other than the default.
    """
    method = settings.attribution.method
    if masks is not None and method != MASK:
        raise UserError(
            f"the masks of the run come from {masks} (`masks`), and `attribution` is {method}: give only one of them"
        )


def check_folders(job: Job) -> None:
    """Checks that a run cannot overwrite the user's files, before anything is read or written.

    Raises:
        UserError: If the run folder holds the images or the masks.
    """
    out = Path(os.path.realpath(job.out))
    for option, folder in (("IMAGES", job.folder), ("`masks`", job.masks)):
        if folder is not None and out in (real := Path(os.path.realpath(folder)), *real.parents):
            raise UserError(f"{option} {folder} lies in the run folder {job.out}: give another `out`")


def describe_run(info: dict[str, Any], job: Job, classifier: Classifier, target: int | None) -> None:
    """Writes into a record what ``run.json`` says about the run as a whole.

    Args:
        info: The record.
        job: What the user asked for.
        classifier: Entered.
        target: Index of the class; None if each image has its own.
    """
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
    info["versions"] = {name: importlib.metadata.version(name) for name in packages(IMAGE_CHAIN)}
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
