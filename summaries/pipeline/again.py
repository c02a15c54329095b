"""Does stages of a run again, from what is in its folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import path_on_record
from visual_summaries.summaries.backend import steady_threads
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline.engine import Pipeline, split, states
from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
from visual_summaries.summaries.pipeline.image_context import ImageContext
from visual_summaries.summaries.pipeline.job import check_masks
from visual_summaries.summaries.settings import Settings, override, plain, renamed
from visual_summaries.summaries.store import Run

if TYPE_CHECKING:
    from visual_summaries.masks.networks.classifier import Classifier


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
    """Does stages of a run again, with all stages that depend on them, to the end of the chain.

    If an option changed, the stages that depend on it are done again. If none changed, one stage is done again. All
    checks are made before anything is written.

    Args:
        out: The run folder.
        start: Name of the first stage that may be done; the stages before it must be done already.
        again: Name of the stage that is done again if no option changed; empty for none.
        network: Loads the classifier that the run was made with; called only if a stage needs it.
        device: Where proposal flow runs.
        settings: Options of every stage; None for the recorded ones.
        jobs: Workers; None for one per core.

    Returns:
        The run folder, to be read.

    Raises:
        UserError: For every error that a user can cause.
    """
    check_done(out, start)
    with ExitStack() as stack, claimed(out, "run", option="RUN"):
        pipeline = Pipeline(out)
        info, config = pipeline.info, pipeline.info["config"]
        recorded = recorded_settings(out)
        settings = settings or recorded
        masks = None if config["masks"] is None else path_on_record(config["masks"])
        check_masks(masks, settings)
        pipeline.force = (again,) if settings == recorded else ()
        loaded: list[Classifier] = []

        def network_once() -> Classifier:
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
            masks=masks,
            seed=info["seed"],
            jobs=jobs,
            device=device,
            network=network_once,
            again=again if settings == recorded else "",
        )
        _, stages = split(IMAGE_CHAIN, start)
        unchanged = itertools.takewhile(lambda stage: pipeline.is_done(stage, context), stages)
        changing = stages[len(list(unchanged)) :]  # what follows a stage that is done again may change with it
        asking = [stage.name for stage in changing if stage.network(context)]
        if asking:
            stack.enter_context(steady_threads(info))
            classifier = network_once()  # a network that cannot be loaded is an error before anything is written
            if "masks" in asking and masks is None:
                from visual_summaries.summaries.stages.network import check_attribution

                check_attribution(classifier, settings.attribution.method)
        config["settings"] = plain(settings)
        pipeline.run(stages, context)
    return Run(out)


def check_done(out: Path, start: str) -> Run:
    """Opens a run and checks that all stages before one are done.

    Args:
        out: The run folder.
        start: Name of a stage.

    Raises:
        UserError: If one of them is not done.
    """
    before, _ = split(IMAGE_CHAIN, start)
    for state in states(out, before):
        if state.status != "done":
            raise UserError(f"{out}: the stage {state.name} is not done: the same `visual-summaries run` continues")
    return Run(out)


def recorded_settings(out: Path) -> Settings:
    """The options that a run was made with, by an earlier version as well."""
    settings = renamed(Run(out).info["config"]["settings"])
    return override(Settings(), settings, where=f"{out / 'run.json'}: ")
