"""The whole chain on one class folder, from images to a gallery, in a run folder that can be continued.

Every stage has a key: the hash of its options and of what it reads. A stage whose key is the one in ``run.json`` and
whose files are there is left alone; so the same command continues after a kill, and a changed option recomputes
just what depends on it, and says so.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from filelock import FileLock, Timeout

from clustering.pairs import count_neighbours
from masks.classifier import Classifier, find_class
from masks.errors import UserError
from masks.images import list_images
from masks.options import Options, Range, Seed
from masks.schedule import DEFAULT_PRESET
from summaries import stages
from summaries.backend import cores
from summaries.gallery import write_gallery
from summaries.progress import Tick, progress, say
from summaries.settings import Settings, plain
from summaries.store import FORMAT, Run, check_format, digest, frame_path, read_json, write_json

STAGES = ("images", "masks", "proposals", "matching", "clusters", "gallery")
"""In the order in which data flows."""

PACKAGES = ("visual-summaries", "torch", "torchvision", "timm", "scikit-learn", "scikit-image", "numpy", "scipy")


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


class Pipeline:
    """The stages of one run folder, and the record of what was done."""

    def __init__(self, out: Path, *, force: tuple[str, ...] = ()) -> None:
        self.out = out
        self.force = force
        self.info: dict[str, Any] = read_json(out / "run.json") if (out / "run.json").exists() else {}
        if self.info:
            check_format(out, self.info)
        self.info.setdefault("format", FORMAT)
        self.info.setdefault("stages", {})

    def save(self) -> None:
        """Writes ``run.json``."""
        write_json(self.out / "run.json", self.info)

    def stage(
        self, name: str, unit: str, inputs: dict[str, Any], files: list[Path], work: Callable[[Tick], dict[str, Any]]
    ) -> None:
        """Does a stage, unless it was done with the same inputs and its files are there.

        Args:
            name: One of :data:`STAGES`.
            unit: What its progress counts.
            inputs: Plain data that the result depends on.
            files: What it leaves.
            work: Does it, and gives the counts for the record.
        """
        flat = flatten(inputs)
        before = self.info["stages"].get(name, {})
        same = before.get("status") == "done" and before.get("inputs") == flat
        if same and name not in self.force and all(file.exists() for file in files):
            say(f"{name}: unchanged, kept")
            return
        why = _why(before, flat, name in self.force)
        say(f"{name}: {why}" if why else f"{name} ...")
        self.info["stages"][name] = {"status": "started", "inputs": flat}
        self.save()
        start = time.monotonic()
        with progress(name, unit) as tick:
            counts = work(tick)
        seconds = round(time.monotonic() - start, 1)
        self.info["stages"][name] = {"status": "done", "seconds": seconds, "counts": counts, "inputs": flat}
        self.save()
        say(f"{name}: done in {seconds:.0f} s ({', '.join(f'{what} {count}' for what, count in counts.items())})")


def flatten(data: Any, where: str = "") -> dict[str, Any]:
    """Nested dictionaries as one level of dotted names."""
    if not isinstance(data, dict):
        return {where: data}
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= flatten(value, f"{where}.{name}" if where else str(name))
    return flat


def _why(before: dict[str, Any], inputs: dict[str, Any], forced: bool) -> str:
    """Why a stage that was done or started before is done again; empty for one that is new."""
    if not before:
        return ""
    if forced:
        return "again, as asked"
    if before["status"] != "done":
        return "continued" if before["inputs"] == inputs else "started again with other options"
    old = before["inputs"]
    changed = [name for name in {**old, **inputs} if old.get(name) != inputs.get(name)]
    if not changed:
        return "again, its files are not all there"
    shown = ", ".join(f"{name} {old.get(name)} -> {inputs.get(name)}" for name in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"again, changed: {shown}{more}"


@contextmanager
def opened(out: Path) -> Iterator[None]:
    """Makes sure that the run folder can be written, and that nobody else writes it.

    Raises:
        UserError: If it cannot, or somebody does.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.stat(out).st_mode & 0o222 or not os.access(out, os.W_OK):
            raise PermissionError(13, "it is read-only")
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{out} is in use by another process: wait for it, or give another --out") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write to {out}: {reason}: give another --out or change its permissions") from None
    try:
        yield
    finally:
        lock.release()


def run(job: Job, classifier: Classifier, *, force: tuple[str, ...] = (), until: str = "gallery") -> Run:
    """Runs the chain on one class folder, or continues it.

    Args:
        job: What to do.
        classifier: The network; it is frozen meanwhile and left as it was.
        force: Stages to do again even where nothing changed.
        until: The last stage to do.

    Returns:
        The run folder, read.

    Raises:
        UserError: For whatever a user can cause.
    """
    with opened(job.out), classifier:
        pipeline = Pipeline(job.out, force=force)
        target = find_class(job.target or job.folder.name, classifier.labels, classifier.count_classes())
        _describe(pipeline.info, job, classifier, target)
        last = STAGES.index(until)
        _images(pipeline, job, classifier, target)
        if last >= 1:
            _masks(pipeline, job, classifier, target)
        if last >= 2:
            parts(pipeline, job.settings, job.seed, job.jobs, lambda: nullcontext(classifier), classifier.device, until)
    return Run(job.out)


def parts(
    pipeline: Pipeline,
    settings: Settings,
    seed: int,
    jobs: int,
    network: stages.Network,
    device: torch.device,
    until: str = "gallery",
) -> None:
    """The stages after the masks; they need the run folder, and the network for descriptors and pairs of images."""
    last = STAGES.index(until)
    found = Run(pipeline.out)
    frames = digest([(row.id, row.sha256) for row in found.images if row.status == "ok"])
    frames = digest([frames, pipeline.info["frame"]])
    options = plain(settings)
    proposals = {"frames": frames, "seed": seed}
    proposals |= {"proposals": {name: options["proposals"][name] for name in ("min_side", "border")}}
    pipeline.stage(
        "proposals",
        "images",
        proposals,
        [pipeline.out / "work" / "proposals" / f"{image}.npz" for image in found.ids],
        lambda tick: stages.run_proposals(
            pipeline.out, settings.proposals, seed=seed, jobs=jobs, key=digest(proposals), tick=tick
        ),
    )
    if last >= 3:
        masks = digest([hash_file(pipeline.out / "masks" / f"{image}.png") for image in found.ids])
        matching = {"frames": frames, "masks": masks, "seed": seed}
        matching |= {name: options[name] for name in ("proposals", "appearance", "similarity")}
        if count_neighbours(settings.similarity.pairs) is not None or settings.appearance.descriptor != "hog":
            matching["model"] = pipeline.info["model"]["fingerprint"]
        pipeline.stage(
            "matching",
            "pairs",
            matching,
            [pipeline.out / "work" / "similarity.npz"],
            lambda tick: stages.run_matching(
                pipeline.out, settings, network, device=device, jobs=jobs, key=digest(matching), tick=tick
            ),
        )
    if last >= 4:
        similarity = hash_file(pipeline.out / "work" / "similarity.npz")
        pipeline.stage(
            "clusters",
            "clusters",
            {"frames": frames, "similarity": similarity, "seed": seed}
            | {name: options[name] for name in ("affinity", "prune")},
            [pipeline.out / "parts.csv", pipeline.out / "summaries.json"],
            lambda tick: stages.run_clusters(pipeline.out, settings, seed=seed),
        )
    if last >= 5:
        gallery(pipeline)


def gallery(pipeline: Pipeline) -> None:
    """Draws the gallery and the sheets."""
    out = pipeline.out
    tables = [out / name for name in ("images.csv", "parts.csv", "summaries.json", "names.csv")]
    masks = [out / "masks" / f"{image}.npz" for image in Run(out).ids]

    def draw(tick: Tick) -> dict[str, Any]:
        write_gallery(Run(out), tick)
        return {"summaries": sum(summary.kept for summary in Run(out).summaries)}

    pipeline.stage(
        "gallery",
        "pictures",
        {path.name: hash_file(path) for path in tables} | {"masks": digest([hash_file(path) for path in masks])},
        [out / "gallery" / "index.html"],
        draw,
    )


def hash_file(path: Path) -> str:
    """A short hash of a file's bytes; empty where it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _images(pipeline: Pipeline, job: Job, classifier: Classifier, target: int | None) -> None:
    files = list_images(job.folder)
    listing = [(file.path.name, hash_file(file.path)) for file in files]
    inputs = {
        "folder": str(job.folder),
        "files": digest(listing),
        "model": pipeline.info["model"]["fingerprint"],
        "target": "predicted" if target is None else target,
        "limit": job.limit,
        "keep misclassified": job.keep_misclassified,
    }
    selection = stages.Selection(target, job.limit, job.keep_misclassified)
    before = Run(job.out).ids if (job.out / "images.csv").exists() and (job.out / "run.json").exists() else []
    pipeline.stage(
        "images",
        "images",
        inputs,
        [job.out / "images.csv", *(frame_path(job.out, image) for image in before)],
        lambda tick: stages.run_images(job.out, job.folder, classifier, selection, tick),
    )


def _masks(pipeline: Pipeline, job: Job, classifier: Classifier, target: int | None) -> None:
    rows = [row for row in Run(job.out).images if row.status == "ok"]
    targets = {row.id: target if target is not None else int(row.predicted or 0) for row in rows}
    external = None
    if job.masks is not None:
        external = digest([hash_file(path) for path in sorted(job.masks.glob("*.*"))])
    options = plain(job.settings)
    inputs: dict[str, Any] = {
        "model": pipeline.info["model"]["fingerprint"],
        "device": classifier.device.type,
        "seed": job.seed,
        "masks made elsewhere": external,
        "binary": options["binary"],
    }
    if external is None:
        inputs["masks"] = options["masks"]
    key = digest(inputs)
    images = {"images": digest([(row.id, row.sha256, targets[row.id]) for row in rows])}
    suffixes = (".npz", ".png")
    if "masks" in pipeline.force:
        for record in (job.out / "work" / "masks").glob("*.csv"):
            record.unlink()
    pipeline.stage(
        "masks",
        "images",
        inputs | images,
        [job.out / "masks.csv", *(job.out / "masks" / f"{row.id}{suffix}" for row in rows for suffix in suffixes)],
        lambda tick: stages.run_masks(
            job.out,
            classifier,
            job.settings,
            targets,
            seed=job.seed,
            external=job.masks,
            key=key,
            tick=tick,
        ),
    )


def _describe(info: dict[str, Any], job: Job, classifier: Classifier, target: int | None) -> None:
    """What ``run.json`` says about the run as a whole."""
    label = classifier.label(target) if target is not None else None
    frame = classifier.frame
    info["config"] = {
        "images": str(job.folder),
        "target": job.target,
        "limit": job.limit,
        "keep_misclassified": job.keep_misclassified,
        "masks": None if job.masks is None else str(job.masks),
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
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
