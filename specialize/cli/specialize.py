"""``visual-summaries specialize``: summaries that raise a classifier's accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Seed
from visual_summaries.specialize.options import SpecializeOptions
from visual_summaries.summaries.cli.again import recorded_classifier
from visual_summaries.summaries.cli.parsing import Expert, check_folders, parse, told
from visual_summaries.summaries.folders import check_free
from visual_summaries.summaries.store import Run, find_runs

EXAMPLE = """visual-summaries world runs/world --seed 1 &&
  visual-summaries specialize runs/demo --train runs/world/images --others runs/world/images --out models/demo"""


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        runs: Run folders, one per class, or roots of run folders.
        train: Training images, a folder a class, named as --target of `run`.
        out: Model folder.
        others: Photographs of other classes: class folders, or files whose names begin with the class's index or
            contain its WordNet id. They are split into negatives, photographs on which the harm limit is checked, and
            those of the evaluation. Not needed if every class of the network has a run.
        leave_out: Summaries that get no SVM, as RUN/NUMBER, for instance steamer/3 for a watermark; with level
            "window", windows that show their parts are negatives.
        seed: Of every random choice.
        device: auto, cpu or cuda.
        model: The network of the runs, where it is a Python file: what was --model of `run`.
        trust: Run the Python file that the runs name.
        settings: Options of the steps.
    """

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], told("RUN ...", "")]
    train: Annotated[Path, told("DIR")]
    out: Annotated[Path, told("MODEL")]
    others: Annotated[Path | None, told("DIR", "")] = None
    leave_out: Annotated[tuple[str, ...], told("RUN/N ...", "")] = ()
    seed: Annotated[Seed, told("N")] = 0
    device: Annotated[str, told("NAME")] = "auto"
    model: Annotated[str | None, told("SPEC", "")] = None
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    settings: Annotated[SpecializeOptions, tyro.conf.arg(name="set"), Expert] = field(default_factory=SpecializeOptions)


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    options: Arguments = parse(Arguments, arguments, "specialize", EXAMPLE)
    runs = [Run(path) for given in options.runs for path in find_runs(given)]
    if not runs:
        raise UserError("no run folder is given or found: make one per class with `visual-summaries run`")
    check_folders(train=options.train, others=options.others)
    check_free(options.out, "model")  # before anything that takes long
    from visual_summaries.masks.networks.user_file import absolute_spec
    from visual_summaries.specialize.build import build

    recorded = runs[0].info["config"]["model"]
    if options.model is not None:  # wherever its file is now, from any directory
        found = absolute_spec(options.model)
        recorded = recorded | {"spec": found}
    with recorded_classifier(runs[0].path, options.device, options.model, options.trust) as classifier:
        model = build(
            runs,
            classifier,
            train_root=options.train,
            others=options.others,
            out=options.out,
            options=options.settings,
            exclude=options.leave_out,
            seed=options.seed,
            config=recorded,
        )
    tuned = model.about["tuned"]
    print(f"{len(model.summaries)} SVMs of {len(model.about['classes'])} classes")
    print(f"chosen: {tuned['normalisation']}, C {tuned['cost']:g}, weight {tuned['weight']:g}")
    harm = "" if tuned["harm"] is None else f", harm {tuned['harm'] + 0.0:+.2f} on {tuned['others']} of other classes"
    print(f"on held-out training images: gain {tuned['gain']:+.1f} points on {tuned['images']}{harm}")
    print(options.out / "model.json")
