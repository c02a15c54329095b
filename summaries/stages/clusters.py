"""The stage of clusters: from ``work/similarity.npz`` to ``parts.csv`` and ``summaries.json``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visual_summaries.clustering.clusters.find import COMPARED, Found, Group, find_clusters
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.clusters.prune import prune
from visual_summaries.clustering.metrics.ssim import pairwise_ssim, patch
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import write_csv, write_json
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.names import carry_names, read_names, write_names
from visual_summaries.summaries.progress import say
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.store import PartRow, Run, read_summaries
from visual_summaries.summaries.summary import Member, Summary


def run_clusters(path: Path, settings: Settings, *, seed: int) -> dict[str, Any]:
    """Clusters the parts of a run: writes ``parts.csv`` and ``summaries.json``.

    In ``parts.csv`` the parts that were clustered come first, then the boxes that summaries were completed with.

    Args:
        path: The run folder, claimed.
        settings: Options of clustering and pruning.
        seed: Of the noise that breaks ties.

    Returns:
        How many clusters were found and kept, the preference, and whether affinity propagation converged.
    """
    run = Run(path)
    matched = read_matched(inside(path, "work", "similarity.npz"), len(run.ids))
    boxes = _Boxes(run, matched, settings.prune.patch)
    found = find_clusters(matched, boxes.ssims, affinity=settings.affinity, pruning=settings.prune, seed=seed)
    summaries = [_summary(number, group, found, boxes) for number, group in enumerate(found.groups)]
    old = _summaries_before(path)
    named = read_names(path, old)
    names = carry_names(path, old, summaries)
    for name in sorted(set(named.values()) - set(names.values())):
        say(f"  the name {name!r} waits in names.json: no summary has its exemplar or most of its parts now")
    write_csv(path / "parts.csv", PartRow, _part_rows(summaries, found, boxes))
    write_json(path / "summaries.json", [summary.to_json() for summary in summaries])
    if names or named:
        write_names(path, names, summaries)
    return {
        "clusters": len(summaries),
        "kept": sum(summary.kept for summary in summaries),
        "preference": found.propagated.preference,
        "converged": found.propagated.converged,
    }


def _summaries_before(path: Path) -> list[Summary]:
    """The summaries that exist already; none if their file is damaged."""
    if not (path / "summaries.json").exists():
        return []
    try:
        return read_summaries(path)
    except UserError as error:
        say(f"  {error}: it is made again")
        return []


class _Boxes:
    """The candidates of a run as boxes in its frames.

    Args:
        run: The run.
        matched: The candidates.
        side: Boxes are resized to this side for SSIM, in pixels.
    """

    def __init__(self, run: Run, matched: Matched[PartBoxes], side: int) -> None:
        self._run, self._matched, self._side = run, matched, side
        self._ids: list[str] = run.ids
        self._patches: dict[int, npt.NDArray[np.uint8]] = {}

    def image(self, candidate: int) -> str:
        """The id of the image that owns a candidate."""
        return self._ids[int(self._matched.owner[candidate])]

    def region(self, candidate: int) -> int:
        """The number of the region that holds most of the box."""
        return int(self._matched.where.region[candidate])

    def corners(self, candidate: int) -> tuple[float, float, float, float]:
        """The box, xyxy in pixels of the frame."""
        x0, y0, x1, y1 = map(float, self._matched.where.corners[candidate])
        return x0, y0, x1, y1

    def ssims(self, candidates: Sequence[int]) -> npt.NDArray[np.float64]:
        """SSIM of all pairs of candidates (K, K)."""
        of_image: dict[str, list[int]] = {}
        for candidate in candidates:
            if candidate not in self._patches:
                of_image.setdefault(self.image(candidate), []).append(candidate)
        for image, here in of_image.items():
            frame = self._run.frame(image)
            for candidate in here:
                self._patches[candidate] = patch(frame, self._matched.where.corners[candidate], self._side)
        return pairwise_ssim([self._patches[candidate] for candidate in candidates])


def _summary(number: int, group: Group, found: Found, boxes: _Boxes) -> Summary:
    rows = found.rows
    (verdict,) = prune([boxes.ssims([rows.candidate(row) for row in group.stay[:COMPARED]])])  # for its figures
    members, others = [], dict.fromkeys([*group.stay, *group.centres])
    for row, ssim in itertools.zip_longest(group.stay, verdict.member_ssim):
        similar = 1.0
        if row != group.exemplar:
            similar = found.propagated.scale(rows.similarity(row, group.exemplar, others))
        candidate = rows.candidate(row)
        members.append(Member(row, boxes.image(candidate), boxes.corners(candidate), similar, ssim))
    members.sort(key=lambda member: (member.part != group.exemplar, -member.similarity))
    alike = [member.similarity for member in members if member.part != group.exemplar]
    return Summary(
        summary=number,
        name="",
        exemplar=group.exemplar,
        members=tuple(members),
        median_ssim=verdict.median_ssim,
        kept=not group.reason,
        reason=group.reason,
        scores={"mean_similarity": float(np.mean(alike))} if alike else {},
        dropped=tuple(
            {"part": row, "image": boxes.image(rows.candidate(row)), "reason": why}
            for row, why in sorted(group.left.items())
        ),
    )


def _part_rows(summaries: Sequence[Summary], found: Found, boxes: _Boxes) -> list[PartRow]:
    """The rows of ``parts.csv``."""
    home = {member.part: (summary, member) for summary in summaries for member in summary.members}
    rows = []
    for part in range(len(found.rows)):
        candidate = found.rows.candidate(part)
        summary, member = home.get(part, (None, None))
        exemplar = int(summary is not None and summary.exemplar == part)
        cluster, similar = (summary.summary, member.similarity) if summary is not None and member else (-1, None)
        x0, y0, x1, y1 = boxes.corners(candidate)
        region = boxes.region(candidate)
        rows.append(PartRow(part, boxes.image(candidate), region, x0, y0, x1, y1, cluster, exemplar, similar))
    return rows
