"""The summaries that get an SVM, and those that the user excludes, read from runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.store import Run
from visual_summaries.summaries.summary import Summary


@dataclass(frozen=True)
class Source:
    """A kept summary of a run.

    Attributes:
        run: The run.
        owner: Position of its class among the specialised ones.
        summary: The summary.
    """

    run: Run
    owner: int
    summary: Summary


def read_sources(runs: Sequence[Run], exclude: Sequence[str]) -> tuple[NDArray[np.int64], list[Source], list[Source]]:
    """The kept summaries of runs.

    Args:
        runs: One a class.
        exclude: Summaries that get no SVM, as ``RUN/NUMBER`` with the name of the run's folder.

    Returns:
        The classes, sorted; the summaries, class by class; and the excluded ones.

    Raises:
        UserError: A run is not finished, has no single class, is of another network, or has no kept summary; or an
            excluded summary does not exist.
    """
    by_class: dict[int, Run] = {}
    for run in runs:
        if run.info["stages"].get("clusters", {}).get("status") != "done":
            raise UserError(f"{run.path} has no summaries yet: finish it with `visual-summaries cluster {run.path}`")
        if run.info["model"]["fingerprint"] != runs[0].info["model"]["fingerprint"]:
            raise UserError(f"{run.path} and {runs[0].path} are runs of different networks: specialise one at a time")
        index = run.info["target"]["index"]
        if index is None:
            raise UserError(f"{run.path} explains each image's predicted class: give runs of one class each")
        if index in by_class:
            raise UserError(f"{run.path} and {by_class[index].path} are both of class {index}: give one run a class")
        by_class[index] = run
    sources: list[Source] = []
    excluded: list[Source] = []
    for owner, index in enumerate(sorted(by_class)):
        run = by_class[index]
        kept = [one for one in run.summaries if one.kept]
        _check_boxes(run, kept)
        used = [one for one in kept if f"{run.path.name}/{one.summary}" not in exclude]
        excluded += [Source(run, owner, one) for one in kept if one not in used]
        if kept and not used:
            raise UserError(f"`leave_out` names all summaries of {run.path}: keep at least one")
        if not used:
            raise UserError(
                f"{run.path} has no summary to train on: loosen `prune.cluster_share`, as in `visual-summaries cluster`"
            )
        sources += [Source(run, owner, one) for one in used]
    absent = set(exclude) - {f"{one.run.path.name}/{one.summary.summary}" for one in excluded}
    if absent:
        raise UserError(f"`leave_out` {min(absent)} is no kept summary: give RUN/NUMBER as in {runs[0].path.name}/0")
    return np.array(sorted(by_class), dtype=np.int64), sources, excluded


def _check_boxes(run: Run, summaries: Sequence[Summary]) -> None:
    """Refuses summaries without members, and boxes outside the frame."""
    height, width = run.info["frame"]["size"]
    for one in summaries:
        for x0, y0, x1, y1 in [member.box for member in one.members] or [(0, 0, 0, 0)]:
            if not (-1 <= x0 < x1 <= width + 1 and -1 <= y0 < y1 <= height + 1):
                raise UserError(
                    f"{run.path / 'summaries.json'} is damaged: summary {one.summary} has no box in the frame"
                )
