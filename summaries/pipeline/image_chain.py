"""The chain of stages from a folder of images to a gallery.

===========  ==============================================  =============================================
stage        reads                                           writes
===========  ==============================================  =============================================
images       the class folder                                images.csv, frames/ID.png
masks        frames                                          masks/ID.npz, masks/ID.png, masks.csv
proposals    frames                                          work/proposals/ID.npz
matching     frames, binary masks, proposals                 work/matching/, work/similarity.npz
clusters     frames, similarity                              parts.csv, summaries.json, names
gallery      all of the above                                gallery/, summary-NN.png
===========  ==============================================  =============================================

Everything under ``work/`` can be deleted; it is made again when it is needed. What a stage does stands in
``summaries/stages/`` and is imported when it is done, so that the list costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.summaries.backend import cores
from visual_summaries.summaries.files import digest, hash_file
from visual_summaries.summaries.pipeline.engine import Stage
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import Run, frame_path, read_images

if TYPE_CHECKING:
    from visual_summaries.masks.networks.classifier import Classifier
    from visual_summaries.summaries.record import Record
    from visual_summaries.summaries.settings import Settings


@dataclass(frozen=True)
class ImageContext:
    """What the stages of a run need.

    Attributes:
        out: The run folder.
        info: Its record; class, frame and network stand in it.
        settings: Options of every stage.
        folder: Images of one class.
        limit: At most so many images that are not skipped; None for all.
        keep_misclassified: Whether images that the network gives to another class stay.
        masks: Folder of masks made elsewhere, which take the place of the mask stage; None for none.
        seed: Of every random choice.
        jobs: Processes, >= 1; None for one a core.
        device: Name of the device: cpu, cuda or cuda:0 and so on.
        network: Gives the network, to be used inside its context.
        again: Name of a stage that is done from scratch; empty for none.
    """

    out: Path
    info: Record
    settings: Settings
    folder: Path
    limit: int | None
    keep_misclassified: bool
    masks: Path | None
    seed: int
    jobs: int | None
    device: str
    network: Callable[[], AbstractContextManager[Classifier]]
    again: str = ""

    @property
    def target(self) -> int | None:
        """The class; None where each image has its own."""
        index: int | None = self.info["target"]["index"]
        return index

    @property
    def processes(self) -> int:
        """How many processes a stage may start."""
        return self.jobs or cores()

    @property
    def fingerprint(self) -> str:
        """Of the network."""
        return str(self.info["model"]["fingerprint"])

    @property
    def frames(self) -> str:
        """A hash of the images that are used and of how frames are cut of them."""
        used = digest([(row.id, row.sha256) for row in read_images(self.out) if row.status == "ok"])
        return digest([used, self.info["frame"]])

    def options(self, *stages: str) -> dict[str, Any]:
        """The options of some stages, as plain data."""
        from visual_summaries.summaries.settings import plain

        values = plain(self.settings)
        return {name: values[name] for name in stages}


def _mark(path: Path) -> str:
    """What tells whether a file of the class folder changed: a short hash of its bytes, or why it cannot be read."""
    from visual_summaries.masks.errors import UnusableImageError
    from visual_summaries.masks.inputs.reading import file_sha256

    try:
        return file_sha256(path)[:16]
    except UnusableImageError as error:
        return str(error)


def _images_inputs(context: ImageContext) -> dict[str, Any]:
    from visual_summaries.masks.inputs.folders import list_images

    listing = [(file.path.name, _mark(file.path)) for file in list_images(context.folder)]
    return {
        "folder": recorded_path(context.folder.absolute()),
        "files": digest(listing),
        "model": context.fingerprint,
        "target": "predicted" if context.target is None else context.target,
        "limit": context.limit,
        "keep misclassified": context.keep_misclassified,
    }


def _images_files(context: ImageContext) -> list[Path]:
    table = context.out / "images.csv"
    used = [row.id for row in read_images(context.out) if row.status == "ok"] if table.exists() else []
    return [table, *(frame_path(context.out, image) for image in used)]


def _images_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.images import Selection, run_images

    selection = Selection(context.target, context.limit, context.keep_misclassified)
    with context.network() as classifier:
        return run_images(context.out, context.folder, classifier, selection, tick)


def _targets(context: ImageContext) -> dict[str, int]:
    """The class of each image that is used."""
    target = context.target
    rows = [row for row in read_images(context.out) if row.status == "ok"]
    return {row.id: target if target is not None else int(row.predicted or 0) for row in rows}


def _masks_options(context: ImageContext) -> dict[str, Any]:
    """What masks depend on besides their image."""
    external = None
    if context.masks is not None:
        external = digest([hash_file(path) for path in sorted(context.masks.glob("*.*"))])
    return {
        "version": MASKS_VERSION,
        "model": context.fingerprint,
        "device": context.device.split(":")[0],
        "seed": context.seed,
        "masks made elsewhere": external,
        "binary": context.options("binary")["binary"],
    } | (context.options("masks") if external is None else {})


def _masks_inputs(context: ImageContext) -> dict[str, Any]:
    targets = _targets(context)
    rows = [row for row in read_images(context.out) if row.status == "ok"]
    return _masks_options(context) | {"images": digest([(row.id, row.sha256, targets[row.id]) for row in rows])}


def _masks_files(context: ImageContext) -> list[Path]:
    masks = context.out / "masks"
    return [
        context.out / "masks.csv",
        *(masks / f"{image}{suffix}" for image in Run(context.out).ids for suffix in (".npz", ".png")),
    ]


def _masks_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.masks import run_masks

    with context.network() as classifier:
        return run_masks(
            context.out,
            classifier,
            context.settings,
            _targets(context),
            seed=context.seed,
            external=context.masks,
            key=digest(_masks_options(context)),
            fresh=context.again == "masks",
            tick=tick,
        )


def _proposals_inputs(context: ImageContext) -> dict[str, Any]:
    proposals = context.options("proposals")["proposals"]
    return {
        "frames": context.frames,
        "seed": context.seed,
        "proposals": {name: proposals[name] for name in ("min_side", "border")},
    }


def _proposals_files(context: ImageContext) -> list[Path]:
    return [context.out / "work" / "proposals" / f"{image}.npz" for image in Run(context.out).ids]


def _proposals_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.parts import run_proposals

    options, key = context.settings.proposals, digest(_proposals_inputs(context))
    return run_proposals(context.out, options, seed=context.seed, jobs=context.processes, key=key, tick=tick)


def _matching_network(context: ImageContext) -> bool:
    """Whether matching asks the network: for descriptors of boxes, or for the nearest images."""
    from visual_summaries.clustering.options import count_neighbours

    pairs, descriptor = context.settings.similarity.pairs, context.settings.appearance.descriptor
    return count_neighbours(pairs) is not None or descriptor != "hog"


def _matching_inputs(context: ImageContext) -> dict[str, Any]:
    masks = [hash_file(context.out / "masks" / f"{image}.png") for image in Run(context.out).ids]
    inputs = {"frames": context.frames, "masks": digest(masks), "seed": context.seed}
    inputs |= context.options("proposals", "appearance", "similarity")
    return inputs | ({"model": context.fingerprint} if _matching_network(context) else {})


def _matching_files(context: ImageContext) -> list[Path]:
    return [context.out / "work" / "similarity.npz"]


def _matching_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.parts import run_matching

    return run_matching(
        context.out,
        context.settings,
        context.network,
        device=context.device,
        jobs=context.processes,
        key=digest(_matching_inputs(context)),
        tick=tick,
    )


def _clusters_inputs(context: ImageContext) -> dict[str, Any]:
    similarity = hash_file(context.out / "work" / "similarity.npz")
    return {"frames": context.frames, "similarity": similarity, "seed": context.seed} | context.options(
        "affinity", "prune"
    )


def _clusters_files(context: ImageContext) -> list[Path]:
    return [context.out / "parts.csv", context.out / "summaries.json"]


def _clusters_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.clusters import run_clusters

    return run_clusters(context.out, context.settings, seed=context.seed)


def _gallery_inputs(context: ImageContext) -> dict[str, Any]:
    run = Run(context.out)
    tables = {name: hash_file(context.out / name) for name in ("images.csv", "parts.csv", "summaries.json")}
    tables["masks.csv"] = digest([asdict(replace(row, seconds=0.0)) for row in run.masks.values()])
    masks = [hash_file(context.out / "masks" / f"{image}{end}") for image in run.ids for end in (".npz", ".png")]
    shown = {"target": context.info["target"]["name"], "model": context.info["model"]["spec"]}
    return tables | {"names": digest(sorted(run.names.items())), "masks": digest(masks)} | shown


def _gallery_files(context: ImageContext) -> list[Path]:
    return [context.out / "gallery" / "index.html"]


def _gallery_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.pages.gallery import write_gallery

    run = Run(context.out)
    write_gallery(run, tick, fresh=context.again == "gallery")
    return {"summaries": sum(summary.kept for summary in run.summaries)}


MASKS_VERSION = 2

IMAGE_CHAIN: tuple[Stage[ImageContext], ...] = (
    Stage(
        "images",
        "images",
        1,
        ("pillow", "torch", "torchvision", "timm"),
        _images_inputs,
        _images_files,
        _images_work,
        network=lambda _: True,
    ),
    Stage(
        "masks",
        "images",
        MASKS_VERSION,
        ("torch", "torchvision", "timm", "numpy", "scikit-image"),
        _masks_inputs,
        _masks_files,
        _masks_work,
        network=lambda _: True,
    ),
    Stage(
        "proposals",
        "images",
        1,
        ("opencv-contrib-python-headless", "scikit-image", "numpy"),
        _proposals_inputs,
        _proposals_files,
        _proposals_work,
    ),
    Stage(
        "matching",
        "pairs",
        1,
        ("torch", "torchvision", "timm", "numpy", "scipy"),
        _matching_inputs,
        _matching_files,
        _matching_work,
        network=_matching_network,
        watched=("work/similarity.npz",),
    ),
    Stage(
        "clusters",
        "clusters",
        2,
        ("scikit-learn", "scikit-image", "scipy", "numpy"),
        _clusters_inputs,
        _clusters_files,
        _clusters_work,
    ),
    Stage("gallery", "pictures", 1, ("pillow", "jinja2"), _gallery_inputs, _gallery_files, _gallery_work),
)
"""In the order in which data flows."""
