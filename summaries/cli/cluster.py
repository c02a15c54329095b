"""``visual-summaries cluster``: proposals, matching and clustering of a run again, from the masks that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from clustering.affinity import AffinityOptions
from clustering.proposals import ProposalOptions
from clustering.prune import PruneOptions
from clustering.similarity import SimilarityOptions
from masks.models import choose_device
from masks.options import Range
from summaries.cli import parse
from summaries.cli.again import recorded_classifier, recorded_job, recorded_settings, settings_of_named
from summaries.pipeline import Pipeline, opened, parts
from summaries.settings import Settings, plain
from summaries.store import Run

EXAMPLE = "visual-summaries cluster runs/church --set.affinity.preference -0.5"


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        run: Run folder.
        jobs: Processes; default: one a core.
        proposals: Object proposals, and which of them are parts.
        similarity: Proposal flow between images.
        affinity: Clustering.
        prune: Which clusters are kept.
    """

    run: tyro.conf.Positional[Path]
    jobs: Annotated[int | None, Range(ge=1)] = None
    proposals: Annotated[ProposalOptions, tyro.conf.arg(name="set.proposals")] = Settings().proposals
    similarity: Annotated[SimilarityOptions, tyro.conf.arg(name="set.similarity")] = Settings().similarity
    affinity: Annotated[AffinityOptions, tyro.conf.arg(name="set.affinity")] = Settings().affinity
    prune: Annotated[PruneOptions, tyro.conf.arg(name="set.prune")] = Settings().prune


def main(arguments: Sequence[str]) -> None:
    """Runs the command; options that are not given stay those of the run."""
    now = settings_of_named(arguments)
    default = Arguments(
        run=tyro.MISSING, proposals=now.proposals, similarity=now.similarity, affinity=now.affinity, prune=now.prune
    )
    options: Arguments = parse(Arguments, arguments, "cluster", EXAMPLE, default=default)
    settings = replace(
        recorded_settings(options.run),
        proposals=options.proposals,
        similarity=options.similarity,
        affinity=options.affinity,
        prune=options.prune,
    )
    job = recorded_job(options.run, settings, options.jobs)
    device = choose_device("cpu" if Run(options.run).info["device"] == "cpu" else "auto")
    with opened(options.run):
        pipeline = Pipeline(options.run, force=("matching", "clusters"))
        pipeline.info["config"]["settings"] = plain(settings)
        pipeline.save()
        network = partial(recorded_classifier, options.run, device.type, trust=True)
        parts(pipeline, settings, job.seed, job.jobs, network, device, "clusters")
