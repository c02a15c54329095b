"""``visual-summaries run``: all stages on a class folder, or on each class folder of a root folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UnfinishedError, UserError, is_disk_full
from visual_summaries.masks.inputs.folders import class_folders
from visual_summaries.masks.inputs.ids import safe_id
from visual_summaries.masks.networks.class_names import UnknownClassError, mapped_class, read_class_map
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.options import OptionError, Range, Seed
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET, preset
from visual_summaries.summaries.backend import cores
from visual_summaries.summaries.cli import in_options
from visual_summaries.summaries.cli.again import with_method
from visual_summaries.summaries.cli.parsing import Expert, parse, told
from visual_summaries.summaries.folders import check_free, claimed
from visual_summaries.summaries.pipeline import Job, run
from visual_summaries.summaries.progress import progress, say
from visual_summaries.summaries.settings import Settings, override, plain, read_config
from visual_summaries.summaries.store import Run

EXAMPLE = "visual-summaries run runs/demo/world/images/steamer --out runs/steamer --model demo --limit 12"


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        images: Folder of images of one class, or a root folder of such folders.
        out: Run folder; for a root, a folder of run folders.
        model: demo, demo:1 to demo:4, lite0, lite1, lite2, torchvision:NAME, timm:NAME or FILE.py:FUNCTION.
        target: Class as index, WordNet id, name or "predicted".
        classes_map: Classes of the folders of a root: JSON, or rows of the form folder,class.
        limit: Most images that are used, in sorted order.
        keep_misclassified: Use images that the network assigns to another class.
        device: auto, cpu or cuda.
        jobs: Workers (processes or threads).
        seed: Of every random choice.
        pairs: Pairs of images to match: all, or knn:20 for the 20 nearest.
        masks: Folder of masks made elsewhere, ID.npz or ID.png, white = salient.
        attribution: Origin of masks: mask (optimised), grad_cam, rise or extremal.
        preset: Mask options to start from: compact, paper or reference.
        config: TOML or JSON file with options, between preset and command line.
        weights: State dict of the model, read without running code in it; none for random.
        input: Input of the model, where its own attributes do not tell.
        settings: Options of the stages.
    """

    images: Annotated[tyro.conf.Positional[Path], told("IMAGES")]
    out: Annotated[Path, told("RUN")]
    model: Annotated[str, told("SPEC")]
    target: Annotated[str, told("CLASS", "the folder's name")] = ""
    classes_map: Annotated[Path | None, told("FILE", "")] = None
    limit: Annotated[int | None, Range(ge=1), told("N", "all")] = None
    keep_misclassified: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    device: Annotated[str, told("NAME")] = "auto"
    jobs: Annotated[int | None, Range(ge=1), told("N", "one per core")] = None
    seed: Annotated[Seed, told("N")] = 0
    pairs: Annotated[str | None, told("PAIRS", "all")] = None
    masks: Annotated[Path | None, told("DIR", "")] = None
    attribution: Annotated[str | None, told("NAME", "mask")] = None
    preset: Annotated[str, told("NAME")] = DEFAULT_PRESET
    config: Annotated[Path | None, told("FILE", "")] = None
    weights: Annotated[str | None, told("FILE", "the model's own")] = None
    input: Annotated[InputFormat, tyro.conf.arg(name="")] = field(default_factory=InputFormat)
    settings: Annotated[Settings, tyro.conf.arg(name="set"), Expert] = field(default_factory=Settings)


@dataclass(frozen=True)
class Sources:
    """The options that give the defaults of others, and are read before them."""

    preset: str = DEFAULT_PRESET
    config: Path | None = None


def starting_settings(arguments: Sequence[str]) -> Settings:
    """The settings of the preset and the configuration file named on the command line.

    Raises:
        UserError: If there is no such preset or file, or the file has an unknown option.
    """
    try:
        known, _ = tyro.cli(
            Sources, args=list(arguments), return_unknown_args=True, add_help=False, console_outputs=False
        )
    except SystemExit:  # one of them has no value, which is reported when all options are read
        return Settings()
    settings = Settings(masks=preset(known.preset))
    return settings if known.config is None else override(settings, read_config(known.config))


def main(arguments: Sequence[str]) -> None:
    """Runs the command; prints the path of the page."""
    default = Arguments(
        images=tyro.MISSING, out=tyro.MISSING, model=tyro.MISSING, settings=starting_settings(arguments)
    )
    options: Arguments = parse(Arguments, arguments, "run", EXAMPLE, default=default)
    runs = run_folders(options)
    one_class = [run.path for run in runs] == [options.out]
    print(options.out / ("gallery/index.html" if one_class else "index.html"))


def run_folders(options: Arguments) -> list[Run]:
    """Runs all stages on a class folder, or on each class folder of a root folder, whose overview it writes.

    Raises:
        UserError: For every error that a user can cause; in a root folder, after the other classes were done.
        UnfinishedError: In a root folder, after the other classes were done, if one failed for another reason.
        OSError: If the disk is full.
    """
    if options.masks is not None and not options.masks.is_dir():
        raise UserError(f"--masks {options.masks} is not a folder")
    settings = options.settings
    if options.pairs is not None:
        try:
            settings = replace(settings, similarity=replace(settings.similarity, pairs=options.pairs))
        except OptionError as error:
            raise error.called("--pairs") from None
    if options.attribution is not None:
        settings = replace(settings, attribution=with_method(settings.attribution, options.attribution))
    folders = class_folders(options.images)
    targets = targets_of(options, folders or [options.images])
    check_free(options.out, "runs" if folders else "run")
    from visual_summaries.masks.networks.models import choose_device, load_classifier
    from visual_summaries.summaries.pages.gallery import write_index

    device = choose_device(options.device)
    with progress("training the network", "epochs") as tick:
        classifier = load_classifier(
            options.model,
            weights=options.weights,
            input_format=options.input,
            device=device,
            progress=lambda what, done, total: tick(done, total),
        )
    job = Job(
        folder=options.images,
        out=options.out,
        target=targets[0],
        limit=options.limit,
        keep_misclassified=options.keep_misclassified,
        seed=options.seed,
        jobs=options.jobs or cores(),
        masks=options.masks,
        preset=options.preset,
        settings=settings,
        model=model_record(options.model, options.weights, options.input),
    )
    if not folders:
        return [run(job, classifier)]
    runs: list[Run] = []
    failed: dict[str, Exception] = {}
    for folder, target in zip(folders, targets, strict=True):
        say(f"== {folder.name}")
        masks = options.masks / folder.name if options.masks is not None else None
        try:
            out = options.out / safe_id(folder.name)
            runs.append(run(replace(job, folder=folder, out=out, target=target, masks=masks), classifier))
        except Exception as error:  # one class never costs the others
            if is_disk_full(error):
                raise
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            say(" ".join(f"{folder.name}: {kind}{in_options(str(error))}".split()))
            failed[folder.name] = error
    if runs:
        with claimed(options.out, "runs"):
            write_index(options.out, runs)
    if failed:
        told = f"{len(failed)} of {len(folders)} class folders failed: {', '.join(failed)} (see above)"
        if any(isinstance(error, UnknownClassError) for error in failed.values()):
            told += "; `classes_map` FILE says which class a folder holds, in rows such as ants,ant"
        unexpected = [error for error in failed.values() if not isinstance(error, UserError)]
        if unexpected:
            raise UnfinishedError(told) from unexpected[0]
        raise UserError(told)
    return runs


def targets_of(options: Arguments, folders: Sequence[Path]) -> list[str]:
    """The class of each folder as the user wrote it; empty where the folder's name says it.

    Raises:
        UserError: If the map of folders and classes cannot be read, names none of the folders, or is given beside a
            class for all of them.
    """
    if options.classes_map is None:
        return [options.target] * len(folders)
    if options.target:
        raise UserError("`target` and `classes_map` are both given: give one of them")
    classes = read_class_map(options.classes_map)
    found = [mapped_class(folder.name, classes) for folder in folders]
    if all(name == folder.name for name, folder in zip(found, folders, strict=True)):
        names = ", ".join(folder.name for folder in folders[:3])
        raise UserError(f"`classes_map` {options.classes_map} names none of the folders, {names} and so on")
    return found


def model_record(spec: str, weights: str | None, input_format: InputFormat) -> dict[str, object]:
    """How to load a network again, from any directory, as it stands in JSON."""
    from visual_summaries.masks.networks.user_file import absolute_spec

    if weights not in (None, "none"):
        weights = str(Path(str(weights)).absolute())
    values: dict[str, object] = plain(replace(input_format, classes=None))
    values["classes"] = None if input_format.classes is None else str(input_format.classes.absolute())
    return {"spec": absolute_spec(spec), "weights": weights, "input": values}
