"""Clusters of parts, and which of them are kept as summaries."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visual_summaries.clustering.clusters.affinity import Clusters, propagate
from visual_summaries.clustering.clusters.complete import complete
from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.clusters.merge import merge
from visual_summaries.clustering.clusters.prune import cohere, goal, one_per_image, pairwise_ssim, patch, prune
from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import write_csv, write_json
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.names import carry_names, read_names, write_names
from visual_summaries.summaries.progress import say
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.similarity_file import read_matched
from visual_summaries.summaries.store import PartRow, Run, read_summaries
from visual_summaries.summaries.summary import Member, Summary

COMPARED = 50
"""Members of a summary that are compared by SSIM, the best first: all pairs of many would take the time."""


def run_clusters(path: Path, settings: Settings, *, seed: int) -> dict[str, Any]:
    """Clusters the parts, prunes and completes: writes ``parts.csv`` and ``summaries.json``.

    In ``parts.csv`` the parts that were clustered come first, then the boxes that summaries were completed with.
    """
    run = Run(path)
    matched = read_matched(inside(path, "work", "similarity.npz"), len(run.ids))
    clusters = propagate(matched.matrix, matched.affinity(settings.affinity), seed=seed)
    groups = [_group(clusters, number, matched.image) for number in range(len(clusters.exemplars))]
    similarities = [matched.among(group.first) for group in groups]
    for group, cohesion in zip(groups, cohere(similarities, settings.prune), strict=True):
        group.reason = cohesion.reason
        group.leave(dict(zip(group.first, cohesion.leaves, strict=True)))
    boxes = _Boxes(run, matched, settings.prune.patch)
    compared = max(COMPARED, 2 * settings.prune.min_members)
    ssims = {number: boxes.ssims(group.stay[:compared]) for number, group in enumerate(groups) if not group.reason}
    verdicts = prune(list(ssims.values()), settings.prune)
    for number, verdict in zip(ssims, verdicts, strict=True):
        groups[number].reason = verdict.reason
        if verdict.kept:
            unlike = dict(zip(groups[number].stay, verdict.leaves, strict=False))  # those that were compared
            groups[number].barred = [row for row, why in unlike.items() if why]
            groups[number].leave(unlike)
    wanted = goal(similarities, settings.prune)
    groups, before = _merge(groups, matched, wanted, settings), 0
    while len(groups) != before:  # what was completed is known to more images, and may be merged further
        before = len(groups)
        _complete(groups, matched, boxes, wanted, settings)
        groups = _merge(groups, matched, wanted, settings)
    groups.sort(key=lambda group: (-len(group.stay), group.exemplar))  # the largest first, now that they are complete

    summaries = [_summary(number, group, boxes, clusters) for number, group in enumerate(groups)]
    home = {member.part: (summary, member) for summary in summaries for member in summary.members}
    rows = []
    for part in range(boxes.count):
        summary, member = home.get(part, (None, None))
        x0, y0, x1, y1 = boxes.corners(part)
        exemplar = int(summary is not None and summary.exemplar == part)
        cluster, similar = (summary.summary, member.similarity) if summary is not None and member else (-1, None)
        rows.append(PartRow(part, boxes.id(part), boxes.region(part), x0, y0, x1, y1, cluster, exemplar, similar))
    old = _summaries_before(path)
    named = read_names(path, old)
    names = carry_names(path, old, summaries)
    for name in sorted(set(named.values()) - set(names.values())):
        say(f"  the name {name!r} waits in names.json: no summary has its exemplar or most of its parts now")
    write_csv(path / "parts.csv", PartRow, rows)
    write_json(path / "summaries.json", [summary.to_json() for summary in summaries])
    if names or named:
        write_names(path, names, summaries)
    return {
        "clusters": len(summaries),
        "kept": sum(summary.kept for summary in summaries),
        "preference": clusters.preference,
        "converged": clusters.converged,
    }


def _summaries_before(path: Path) -> list[Summary]:
    """The summaries that are there; none where their file is damaged."""
    if not (path / "summaries.json").exists():
        return []
    try:
        return read_summaries(path)
    except UserError as error:
        say(f"  {error}: it is made again")
        return []


class _Boxes:
    """The boxes of a run by their rows in ``parts.csv``: the parts, then those that are added to them.

    Args:
        run: The run.
        matched: What was matched.
        side: To which boxes are resized to be compared by SSIM, in pixels.
    """

    def __init__(self, run: Run, matched: Matched, side: int) -> None:
        self._run, self._ids, self._matched, self._side = run, run.ids, matched, side
        self._candidate: list[int] = matched.parts.tolist()  # of each row
        self._row = {candidate: row for row, candidate in enumerate(self._candidate)}
        self._patches: dict[int, npt.NDArray[np.uint8]] = {}

    @property
    def count(self) -> int:
        """Rows there are by now."""
        return len(self._candidate)

    def row(self, candidate: int) -> int:
        """The row of a candidate, a new one where it has none."""
        if candidate not in self._row:
            self._row[candidate] = len(self._candidate)
            self._candidate.append(candidate)
        return self._row[candidate]

    def image(self, row: int) -> int:
        """The index of the image that holds the box."""
        return int(self._matched.candidates.image[self._candidate[row]])

    def id(self, row: int) -> str:
        """The id of that image."""
        return self._ids[self.image(row)]

    def region(self, row: int) -> int:
        """The number of the region that holds most of the box."""
        return int(self._matched.candidates.region[self._candidate[row]])

    def corners(self, row: int) -> tuple[float, float, float, float]:
        """The box, xyxy in pixels of the frame."""
        x0, y0, x1, y1 = map(float, self._matched.candidates.boxes[self._candidate[row]])
        return x0, y0, x1, y1

    def similarity(self, row: int, exemplar: int, others: Iterable[int]) -> float:
        """Similarity to an exemplar as it came from matching, or the mean of those that are known to other parts.

        The latter where the two images were not matched, which happens in summaries that were merged.
        """
        parts = np.array([exemplar, *(part for part in others if part < len(self._matched.parts))])
        (known,) = self._matched.known(np.array([self.image(row)]), self._matched.image[parts])
        found = self._matched.candidates.similarity[[self._candidate[row]]][:, parts].toarray()[0]
        return float(found[0] if known[0] else found[known].mean())

    def ssims(self, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """SSIM of all pairs of boxes (K, K)."""
        of_image: dict[int, list[int]] = {}
        for row in rows:
            if row not in self._patches:
                of_image.setdefault(self.image(row), []).append(row)
        for index, here in of_image.items():
            frame = self._run.frame(self._ids[index])
            for row in here:
                self._patches[row] = patch(frame, np.array(self.corners(row), np.float32), self._side)
        return pairwise_ssim([self._patches[row] for row in rows])


@dataclass
class _Group:
    """A cluster on its way to a summary.

    Attributes:
        exemplar: The row that stands for it.
        centres: The exemplar, and those of clusters that were merged into it.
        first: Of its parts the one of each image.
        stay: The rows that belong to it in the end, the exemplar first.
        reason: Why it is pruned; empty while it is kept.
        left: Rows that left, with the reason.
        barred: Those among them that look unlike the others, and do not come back.
    """

    exemplar: int
    centres: list[int]
    first: list[int]
    stay: list[int]
    reason: str = ""
    left: dict[int, str] = field(default_factory=dict)
    barred: list[int] = field(default_factory=list)

    def parts(self, count: int) -> npt.NDArray[np.int64]:
        """Those of its rows that are parts, which come first, so many of them."""
        return np.array([row for row in self.stay if row < count], dtype=np.int64)

    def leave(self, reasons: Mapping[int, str]) -> None:
        """Lets those members go that have a reason to; the exemplar stays."""
        self.left |= {row: why for row, why in reasons.items() if why and row != self.exemplar}
        self.stay = [row for row in self.stay if row not in self.left]


def _group(clusters: Clusters, number: int, image: npt.NDArray[np.int64]) -> _Group:
    exemplar = int(clusters.exemplars[number])
    parts = np.flatnonzero(clusters.labels == number)
    alike = clusters.similarity_to(exemplar, parts)
    alike[parts == exemplar] = 2.0  # the exemplar comes first, whatever the ranks are
    first: list[int] = parts[one_per_image(alike, image[parts])].tolist()
    why = "another part of this image is more similar to the exemplar"
    left = dict.fromkeys(sorted(set(parts.tolist()) - set(first)), why)
    return _Group(exemplar, [exemplar], first, first, left=left)


def _merge(groups: list[_Group], matched: Matched, wanted: float, settings: Settings) -> list[_Group]:
    """Merges kept groups that show one part in different neighbourhoods, where not all pairs of images were matched."""
    if matched.pairs is None:
        return groups
    kept = [group for group in groups if not group.reason]
    numbers = merge(
        [group.parts(len(matched.parts)) for group in kept],
        matched.candidates.similarity[matched.parts],
        matched.image,
        matched.pairs,
        goal=wanted,
        options=settings.prune,
    )
    merged = [group for group in groups if group.reason]
    for together in numbers:
        first, *others = (kept[number] for number in together)
        for group in others:
            served = {int(matched.image[row]) for row in first.parts(len(matched.parts))}
            further = [int(row) for row in group.parts(len(matched.parts)) if int(matched.image[row]) not in served]
            first.centres = first.centres + group.centres
            first.stay = first.stay + further
            first.barred += group.barred
            first.left |= group.left
        merged.append(first)
    return merged


def _complete(groups: Sequence[_Group], matched: Matched, boxes: _Boxes, wanted: float, settings: Settings) -> None:
    """Looks for the parts of kept groups in all images; boxes that they take leave the other groups."""
    kept = [group for group in groups if not group.reason]
    pruned = [group for group in groups if group.reason]
    found = complete(
        [group.parts(len(matched.parts)) for group in kept],
        matched.candidates.similarity,
        matched.candidates.image,
        matched.image,
        centres=[matched.parts[group.centres] for group in kept],
        taken=matched.parts[[group.exemplar for group in pruned]],
        closed=[matched.parts[group.barred] for group in kept],
        goal=wanted,
        pairs=matched.pairs,
        options=settings.prune,
    )
    taken: set[int] = set()
    for group, candidates in zip(kept, found, strict=True):
        completed = [boxes.row(candidate) for candidate in candidates.tolist()]
        gone = set(group.stay) - set(completed)
        group.left |= dict.fromkeys(sorted(gone), "another box matches the summary better, or the box another summary")
        group.left = {row: why for row, why in group.left.items() if row not in completed}
        group.stay = completed
        taken |= set(completed)
        least = settings.prune.min_members
        if len(completed) < least:
            group.reason = f"its part is found in {len(completed)} images, a summary has at least {least}"
    for group in pruned:
        group.leave({row: "it belongs to another summary" for row in group.stay if row in taken})


def _summary(number: int, group: _Group, boxes: _Boxes, clusters: Clusters) -> Summary:
    (verdict,) = prune([boxes.ssims(group.stay[:COMPARED])])  # for its figures
    members, others = [], dict.fromkeys([*group.stay, *group.centres])
    for row, ssim in itertools.zip_longest(group.stay, verdict.member_ssim):
        similar = 1.0 if row == group.exemplar else clusters.scale(boxes.similarity(row, group.exemplar, others))
        members.append(Member(row, boxes.id(row), boxes.corners(row), similar, ssim))
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
        dropped=tuple({"part": row, "image": boxes.id(row), "reason": why} for row, why in sorted(group.left.items())),
    )
