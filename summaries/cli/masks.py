"""``visual-summaries masks``: the mask stage of a run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.attribution.options import AttributionOptions
from visual_summaries.masks.perturbation.schedule import BinaryOptions, Schedule
from visual_summaries.summaries.cli.again import recorded_classifier, settings_of_named, with_method
from visual_summaries.summaries.cli.parsing import Expert, parse, told
from visual_summaries.summaries.pipeline import recorded_settings, redo
from visual_summaries.summaries.settings import Settings

EXAMPLE = "visual-summaries masks runs/demo/steamer --set.masks.crisp.iterations 300"


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        run: Run folder.
        device: auto, cpu or cuda.
        model: Where the run's network comes from a FILE.py: the same FILE.py:FUNCTION again, which allows its code to
            run.
        trust: Allow the code that the run's record names to run.
        attribution: What masks are made from: mask (optimised), grad_cam, rise or extremal.
        masks: Optimisation of masks.
        attributions: Options of attributions.
        binary: Cleaning of the binary mask.
    """

    run: Annotated[tyro.conf.Positional[Path], told("RUN")]
    device: Annotated[str, told("NAME")] = "auto"
    model: Annotated[str | None, told("SPEC", "")] = None
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    attribution: Annotated[str | None, told("NAME", "that of the run")] = None
    masks: Annotated[Schedule, tyro.conf.arg(name="set.masks"), Expert] = Settings().masks
    attributions: Annotated[AttributionOptions, tyro.conf.arg(name="set.attribution"), Expert] = Settings().attribution
    binary: Annotated[BinaryOptions, tyro.conf.arg(name="set.binary"), Expert] = Settings().binary


def main(arguments: Sequence[str]) -> None:
    """Runs the command; options that are not given stay those of the run."""
    now = settings_of_named(arguments)
    default = Arguments(run=tyro.MISSING, masks=now.masks, attributions=now.attribution, binary=now.binary)
    options: Arguments = parse(Arguments, arguments, "masks", EXAMPLE, default=default)
    attribution = options.attributions
    if options.attribution is not None:
        attribution = with_method(attribution, options.attribution)
    settings = replace(
        recorded_settings(options.run), masks=options.masks, attribution=attribution, binary=options.binary
    )
    from visual_summaries.masks.networks.models import choose_device

    device = choose_device(options.device).type
    network = partial(recorded_classifier, options.run, device, options.model, options.trust)
    redo(options.run, "masks", "masks", network=network, device=device, settings=settings)
