"""The chain of stages from a folder of images to a gallery.

A stage is defined by its entry in `IMAGE_CHAIN` and by the small functions above it. Its work is in
``summaries/stages/`` and is imported when the stage is done, so that importing the chain costs little. Everything that
a stage leaves under ``work/`` can be deleted; it is made again when it is needed.

A **frame** is the photograph, oriented, resized and cropped as the network requires. The functions of a stage
(`summaries.pipeline.engine.Stage` describes its fields):

* ``_NAME_inputs`` returns what the result depends on. If it is the same as in ``run.json``, the stage is kept.
* ``_NAME_files`` returns the files that the stage leaves.
* ``_NAME_work`` does the stage. ``key`` is a hash of what its intermediate results under ``work/`` depend on: those
  with the same key are kept. If ``fresh``, they are computed again. This is the case for the stage ``context.again``,
  which a command repeats (``masks RUN``) although no option has changed.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from visual_summaries.masks.attribution.names import MASK
from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.summaries.files import digest, hash_file
from visual_summaries.summaries.pipeline.engine import Chain, Stage
from visual_summaries.summaries.pipeline.image_context import ImageContext
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import Run, frame_path, read_images

MASKS_VERSION = 3

IMPORTANCE_VERSION = 2

MATCHING_OPTIONS = ("proposals", "appearance", "similarity")

CLUSTERS_OPTIONS = ("affinity", "prune")

IMPORTANCE_OPTIONS = ("importance",)


def _file_hash(path: Path) -> str:
    """A short hash of a file of the class folder; for a file that cannot be read, the reason."""
    from visual_summaries.masks.errors import UnusableImageError
    from visual_summaries.masks.inputs.reading import file_sha256

    try:
        return file_sha256(path)[:16]
    except UnusableImageError as error:
        return str(error)


def _images_inputs(context: ImageContext) -> dict[str, Any]:
    from visual_summaries.masks.inputs.folders import list_images

    listing = [(file.path.name, _file_hash(file.path)) for file in list_images(context.folder)]
    return {
        "folder": recorded_path(context.folder.absolute()),
        "files": digest(listing),
        "model": context.fingerprint,
        "target": "predicted" if context.target is None else context.target,
        "limit": context.limit,
        "keep misclassified": context.keep_misclassified,
    }


def _used(out: Path) -> list[str]:
    """Ids of the images that are used; none if the table of images does not exist yet."""
    return [row.id for row in read_images(out) if row.status == "ok"] if (out / "images.csv").exists() else []


def _images_files(out: Path) -> list[Path]:
    return [out / "images.csv", *(frame_path(out, image) for image in _used(out))]


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
    """What masks depend on besides their image; only the options of the chosen attribution count."""
    external = None
    if context.masks is not None:
        external = digest([hash_file(path) for path in sorted(context.masks.glob("*.*"))])
    attribution = context.settings.attribution
    made_by: dict[str, Any]
    if external is not None:
        made_by = {}
    elif attribution.chosen is None:
        made_by = context.options("masks")
    else:
        method = attribution.method
        options = context.options("attribution")["attribution"][method]
        made_by = {"attribution": {"method": method, method: options}, "masks": {"batch": context.settings.masks.batch}}
    return {
        "version": MASKS_VERSION,
        "model": context.fingerprint,
        "device": context.device.split(":")[0],
        "seed": context.seed,
        "masks made elsewhere": external,
        "binary": context.options("binary")["binary"],
    } | made_by


def _masks_inputs(context: ImageContext) -> dict[str, Any]:
    targets = _targets(context)
    rows = [row for row in read_images(context.out) if row.status == "ok"]
    return _masks_options(context) | {"images": digest([(row.id, row.sha256, targets[row.id]) for row in rows])}


def _masks_files(out: Path) -> list[Path]:
    masks = (out / "masks" / f"{image}{suffix}" for image in _used(out) for suffix in (".npz", ".png"))
    return [out / "masks.csv", *masks]


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


def _proposals_files(out: Path) -> list[Path]:
    return [out / "work" / "proposals" / f"{image}.npz" for image in _used(out)]


def _proposals_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.proposals import run_proposals

    options, key = context.settings.proposals, digest(_proposals_inputs(context))
    return run_proposals(context.out, options, seed=context.seed, jobs=context.processes, key=key, tick=tick)


def _matching_network(context: ImageContext) -> bool:
    """Whether matching needs the network: for descriptors of boxes, or for the nearest images."""
    from visual_summaries.clustering.options import count_neighbours

    pairs, descriptor = context.settings.similarity.pairs, context.settings.appearance.descriptor
    return count_neighbours(pairs) is not None or descriptor != "hog"


def _matching_inputs(context: ImageContext) -> dict[str, Any]:
    masks = [hash_file(context.out / "masks" / f"{image}.png") for image in Run(context.out).ids]
    inputs = {"frames": context.frames, "masks": digest(masks), "seed": context.seed}
    inputs |= context.options(*MATCHING_OPTIONS)
    return inputs | ({"model": context.fingerprint} if _matching_network(context) else {})


def _matching_files(out: Path) -> list[Path]:
    return [out / "work" / "similarity.npz"]


def _matching_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.matching import run_matching

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
    options = context.options(*CLUSTERS_OPTIONS)
    return {"frames": context.frames, "similarity": similarity, "seed": context.seed} | options


def _clusters_files(out: Path) -> list[Path]:
    return [out / "parts.csv", out / "summaries.json"]


def _clusters_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.clusters import run_clusters

    return run_clusters(context.out, context.settings, seed=context.seed)


def _importance_inputs(context: ImageContext) -> dict[str, Any]:
    run, targets = Run(context.out), _targets(context)
    clusters = [
        (one.summary, one.kept, one.exemplar, [(member.part, member.image, member.box) for member in one.members])
        for one in run.summaries
    ]
    return {
        "version": IMPORTANCE_VERSION,
        "model": context.fingerprint,
        "frames": context.frames,
        "seed": context.seed,
        **context.options(*IMPORTANCE_OPTIONS),
        "clusters": digest(clusters),
        "targets": digest(sorted(targets.items())),
        "masks": digest([hash_file(context.out / "masks" / f"{image}.png") for image in run.ids]),
    }


def _removals_inputs(context: ImageContext) -> dict[str, Any]:
    """What the effects in an image depend on besides the image, its class, its mask and its parts."""
    return {
        "version": IMPORTANCE_VERSION,
        "model": context.fingerprint,
        "frame": context.info["frame"],
        "seed": context.seed,
        "controls": context.settings.importance.controls,
    }


def _importance_files(out: Path) -> list[Path]:
    return [out / "evaluation" / name for name in ("importance.json", "importance.csv", "removals.csv")]


def _importance_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.stages.importance import run_importance

    with context.network() as classifier:
        return run_importance(
            context.out,
            classifier,
            context.settings.importance,
            _targets(context),
            seed=context.seed,
            key=digest(_removals_inputs(context)),
            fresh=context.again == "importance",
            tick=tick,
        )


def _gallery_inputs(context: ImageContext) -> dict[str, Any]:
    run = Run(context.out)
    tables = {name: hash_file(context.out / name) for name in ("images.csv", "parts.csv", "summaries.json")}
    tables["importance.json"] = hash_file(context.out / "evaluation" / "importance.json")
    tables["masks.csv"] = digest([asdict(replace(row, seconds=0.0)) for row in run.masks.values()])
    masks = [hash_file(context.out / "masks" / f"{image}{end}") for image in run.ids for end in (".npz", ".png")]
    shown = {"target": context.info["target"]["name"], "model": context.info["model"]["spec"]}
    if run.attribution != MASK:
        shown["attribution"] = run.attribution
    return tables | {"names": digest(sorted(run.names.items())), "masks": digest(masks)} | shown


def _gallery_files(out: Path) -> list[Path]:
    return [out / "gallery" / "index.html"]


def _gallery_work(context: ImageContext, tick: Tick) -> dict[str, Any]:
    from visual_summaries.summaries.pages.gallery import write_gallery

    run = Run(context.out)
    write_gallery(run, tick, fresh=context.again == "gallery")
    return {"summaries": sum(summary.kept for summary in run.summaries)}


IMAGE_CHAIN: Chain[ImageContext] = (
    # class folder -> images.csv, frames/ID.png
    Stage(
        name="images",
        unit="images",
        version=1,
        packages=("pillow", "torch", "torchvision", "timm"),
        inputs=_images_inputs,
        files=_images_files,
        work=_images_work,
        network=lambda _: True,
    ),
    # frames -> masks/ID.npz, masks/ID.png, masks.csv
    Stage(
        name="masks",
        unit="images",
        version=MASKS_VERSION,
        packages=("torch", "torchvision", "timm", "captum", "numpy", "scikit-image"),
        inputs=_masks_inputs,
        files=_masks_files,
        work=_masks_work,
        options=("masks", "attribution", "binary"),
        network=lambda _: True,
    ),
    # frames -> work/proposals/ID.npz
    Stage(
        name="proposals",
        unit="images",
        version=1,
        packages=("opencv-contrib-python-headless", "scikit-image", "numpy"),
        inputs=_proposals_inputs,
        files=_proposals_files,
        work=_proposals_work,
        options=("proposals",),
    ),
    # frames, binary masks, proposals -> work/matching/ while it is done, work/similarity.npz
    Stage(
        name="matching",
        unit="pairs",
        version=1,
        packages=("torch", "torchvision", "timm", "numpy", "scipy"),
        inputs=_matching_inputs,
        files=_matching_files,
        work=_matching_work,
        options=MATCHING_OPTIONS,
        network=_matching_network,
        watched=("work/similarity.npz",),
    ),
    # frames, similarity -> parts.csv, summaries.json, names
    Stage(
        name="clusters",
        unit="clusters",
        version=2,
        packages=("scikit-learn", "scikit-image", "scipy", "numpy"),
        inputs=_clusters_inputs,
        files=_clusters_files,
        work=_clusters_work,
        options=CLUSTERS_OPTIONS,
    ),
    # frames, binary masks, clusters -> evaluation/importance.*, the scores in summaries.json
    Stage(
        name="importance",
        unit="images",
        version=IMPORTANCE_VERSION,
        packages=("torch", "torchvision", "timm", "opencv-contrib-python-headless", "numpy"),
        inputs=_importance_inputs,
        files=_importance_files,
        work=_importance_work,
        network=lambda _: True,
        watched=("summaries.json",),
        options=IMPORTANCE_OPTIONS,
    ),
    # all of the above -> gallery/, summary-NN.png
    Stage(
        name="gallery",
        unit="pictures",
        version=5,
        packages=("pillow", "jinja2"),
        inputs=_gallery_inputs,
        files=_gallery_files,
        work=_gallery_work,
    ),
)
"""In the order in which data flows."""
