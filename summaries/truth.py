"""Purity and recall of a run's summaries against the true masks of parts, beside random clusters of the same sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clustering.evaluate import Majority, majority, part_under, random_clusters, recall, visible_boxes
from masks.errors import UserError
from summaries.store import Run, read_json, read_npz

DRAWS = 200
"""Random clusterings whose figures are averaged."""


@dataclass(frozen=True)
class Score:
    """Figures of one way to cluster.

    Attributes:
        method: ``summaries`` or ``random``.
        clusters: Kept clusters.
        purity: Mean purity over them, None where there is none.
        recall: Share of the wanted parts that are the majority of a cluster, None where none is wanted.
        majorities: The majority part of each cluster, empty for random ones.
    """

    method: str
    clusters: int
    purity: float | None
    recall: float | None
    majorities: dict[int, Majority]

    def row(self) -> dict[str, Any]:
        """As a row of ``evaluation/clusters.json``."""
        return {"method": self.method, "clusters": self.clusters, "purity": self.purity, "recall": self.recall}


def score(run: Run, truth: Path, *, seed: int = 0) -> list[Score]:
    """Scores the kept summaries of a run, and random clusters of the same sizes.

    Args:
        run: The run.
        truth: Folder that ``visual-summaries world`` wrote, or its truth/CLASS.
        seed: Of the random clusters.

    Raises:
        UserError: If the truth of an image is missing.
    """
    folder, wanted = find_truth(run, truth)
    lies_on: list[str | None] = []
    visible: dict[str, dict[str, Any]] = {}
    for part in run.parts:
        if part.image not in visible:
            file = folder / f"{part.image}.npz"
            if not file.is_file():
                raise UserError(f"--truth: {file} is missing: give the folder that `visual-summaries world` wrote")
            visible[part.image] = visible_boxes(read_npz(file))
        lies_on.append(part_under(part.box, visible[part.image]))
    kept = [summary for summary in run.summaries if summary.kept]
    found = {summary.summary: majority([lies_on[member.part] for member in summary.members]) for summary in kept}
    scores = [_score("summaries", found, wanted)]
    images = np.array([run.ids.index(part.image) for part in run.parts], dtype=np.int64)
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        clusters = random_clusters([len(summary.members) for summary in kept], images, generator)
        drawn.append(_score("random", dict(enumerate(majority([lies_on[p] for p in one]) for one in clusters)), wanted))
    purities = [one.purity for one in drawn if one.purity is not None]
    recalls = [one.recall for one in drawn if one.recall is not None]
    purity = float(np.mean(purities)) if purities else None
    scores.append(Score("random", len(kept), purity, float(np.mean(recalls)) if recalls else None, {}))
    return scores


def find_truth(run: Run, truth: Path) -> tuple[Path, list[str]]:
    """The folder with the truth of a run's class, and the parts its summaries should find.

    Raises:
        UserError: If there is none.
    """
    if (truth / "world.json").is_file():
        world = read_json(truth / "world.json")
        name = run.info["target"]["name"]
        for one in world["classes"]:
            if one["name"] == name:
                wanted = [*one["telling"], *([world["mark"]["part"]] if one["marked"] else [])]
                return truth / "truth" / one["name"].replace(" ", "_"), wanted
        raise UserError(f"--truth: {truth} knows no class {name!r}")
    if not truth.is_dir():
        raise UserError(f"--truth {truth} is not a folder: give the folder that `visual-summaries world` wrote")
    return truth, []


def _score(method: str, found: dict[int, Majority], wanted: list[str]) -> Score:
    purity = float(np.mean([one.purity for one in found.values()])) if found else None
    return Score(method, len(found), purity, recall(found.values(), wanted), found)
