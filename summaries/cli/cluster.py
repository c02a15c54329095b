"""``visual-summaries cluster``: proposals, matching and clustering of a run again, from the masks that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.clustering.options import (
    AffinityOptions,
    AppearanceOptions,
    ProposalOptions,
    PruneOptions,
    SimilarityOptions,
)
from visual_summaries.masks.options import Range
from visual_summaries.summaries.cli.again import recorded_classifier, settings_of_named
from visual_summaries.summaries.cli.parsing import Expert, parse, told
from visual_summaries.summaries.pipeline import IMAGE_CHAIN, recorded_settings, redo
from visual_summaries.summaries.pipeline.engine import option_tables, split
from visual_summaries.summaries.semantics.options import ImportanceOptions
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.store import Run

EXAMPLE = "visual-summaries cluster runs/demo/steamer --set.affinity.preference -0.5"

START = "proposals"
"""The first stage that may be done again."""

TABLES = option_tables(split(IMAGE_CHAIN, START)[1])
"""The tables of settings that it and the later stages depend on; fields of `Arguments`."""


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        run: Run folder.
        jobs: Processes.
        model: Where the run's network comes from a FILE.py: the same FILE.py:FUNCTION again, which allows its code to
            run.
        trust: Allow the code that the run's record names to run.
        proposals: Object proposals, and which of them are parts.
        appearance: By what proposals are described.
        similarity: Proposal flow between images.
        affinity: Clustering.
        prune: Which clusters are kept.
        importance: How the importance of summaries is measured.
    """

    run: Annotated[tyro.conf.Positional[Path], told("RUN")]
    jobs: Annotated[int | None, Range(ge=1), told("N", "one per core")] = None
    model: Annotated[str | None, told("SPEC", "")] = None
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    proposals: Annotated[ProposalOptions, tyro.conf.arg(name="set.proposals"), Expert] = Settings().proposals
    appearance: Annotated[AppearanceOptions, tyro.conf.arg(name="set.appearance"), Expert] = Settings().appearance
    similarity: Annotated[SimilarityOptions, tyro.conf.arg(name="set.similarity"), Expert] = Settings().similarity
    affinity: Annotated[AffinityOptions, tyro.conf.arg(name="set.affinity"), Expert] = Settings().affinity
    prune: Annotated[PruneOptions, tyro.conf.arg(name="set.prune"), Expert] = Settings().prune
    importance: Annotated[ImportanceOptions, tyro.conf.arg(name="set.importance"), Expert] = Settings().importance


def main(arguments: Sequence[str]) -> None:
    """Runs the command; options that are not given stay those of the run."""
    now = settings_of_named(arguments)
    default = Arguments(run=tyro.MISSING, **{name: getattr(now, name) for name in TABLES})
    options: Arguments = parse(Arguments, arguments, "cluster", EXAMPLE, default=default)
    settings = replace(recorded_settings(options.run), **{name: getattr(options, name) for name in TABLES})
    from visual_summaries.masks.networks.models import choose_device

    device = choose_device("cpu" if Run(options.run).info["device"] == "cpu" else "auto")
    network = partial(recorded_classifier, options.run, device.type, options.model, options.trust)
    redo(
        options.run,
        START,
        "clusters",
        network=network,
        device=device.type,
        settings=settings,
        jobs=options.jobs,
    )
