"""``visual-summaries importance``: measures the importance of a run's summaries again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.summaries.cli.again import recorded_classifier, settings_of_named
from visual_summaries.summaries.cli.parsing import Expert, parse, told
from visual_summaries.summaries.pages.evidence import by_importance
from visual_summaries.summaries.pipeline import recorded_settings, redo
from visual_summaries.summaries.semantics.options import ImportanceOptions
from visual_summaries.summaries.settings import Settings

EXAMPLE = "visual-summaries importance runs/demo/steamer"


@dataclass(frozen=True)
class Arguments:
    """Options of the command.

    Attributes:
        run: Run folder.
        device: auto, cpu or cuda.
        model: Where the run's network comes from a FILE.py: the same FILE.py:FUNCTION again, which allows its code to
            run.
        trust: Allow the code that the run's record names to run.
        importance: How the importance of summaries is measured.
    """

    run: Annotated[tyro.conf.Positional[Path], told("RUN")]
    device: Annotated[str, told("NAME")] = "auto"
    model: Annotated[str | None, told("SPEC", "")] = None
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    importance: Annotated[ImportanceOptions, tyro.conf.arg(name="set.importance"), Expert] = Settings().importance


def main(arguments: Sequence[str]) -> None:
    """Runs the command; prints the summaries, most important first."""
    default = Arguments(run=tyro.MISSING, importance=settings_of_named(arguments).importance)
    options: Arguments = parse(Arguments, arguments, "importance", EXAMPLE, default=default)
    settings = replace(recorded_settings(options.run), importance=options.importance)
    from visual_summaries.masks.networks.models import choose_device

    device = choose_device(options.device).type
    network = partial(recorded_classifier, options.run, device, options.model, options.trust)
    run = redo(options.run, "importance", "importance", network=network, device=device, settings=settings)
    measured = [one for one in by_importance(run.summaries) if one.measured]
    if not measured:
        print(f"no cluster has {options.importance.min_members} members, which it needs to be measured")
        return
    print("summary  importance  interval          elsewhere  images")
    for one in measured:
        scores, control = one.scores, one.scores.get("control")
        interval = f"{scores['low']:6.3f} to {scores['high']:6.3f}"
        elsewhere = "     -" if control is None else f"{control:6.3f}"
        about = f"{len(one.members):>3} of {len(run.ids)}  {'' if one.kept else '(not kept) '}{one.name}".rstrip()
        print(f"{one.summary:>7}  {scores['importance']:>10.3f}  {interval}  {elsewhere:>9}  {about}")
