"""Clusters of parts, and which of them are kept as summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clustering.affinity import Clusters, propagate
from clustering.prune import (
    Cohesion,
    PruneOptions,
    Verdict,
    cohere,
    one_per_image,
    pairwise_ssim,
    patch,
    prune,
)
from summaries.progress import say
from summaries.settings import Settings
from summaries.stages.matched import read_matched
from summaries.store import (
    PartRow,
    Run,
    read_names,
    write_csv,
    write_json,
    write_names,
)
from summaries.summary import Member, Summary


def run_clusters(path: Path, settings: Settings, *, seed: int) -> dict[str, Any]:
    """Clusters the parts and prunes: writes ``parts.csv`` and ``summaries.json``."""
    run = Run(path)
    matched = read_matched(path / "work" / "similarity.npz")
    image, boxes = matched.image, matched.boxes
    clusters = propagate(matched.matrix, settings.affinity, seed=seed)
    groups = [_group(clusters, number, image) for number in range(len(clusters.exemplars))]
    cohesions = cohere([matched.among(group.first) for group in groups], settings.prune)
    for group, cohesion in zip(groups, cohesions, strict=True):
        leaves = zip(group.first, cohesion.leaves, strict=True)
        group.left = [part for part, reason in leaves if not reason or part == group.exemplar]

    patches = _patches(run, {part for group in groups for part in group.left}, image, boxes, settings.prune.patch)
    ssims = [pairwise_ssim([patches[part] for part in group.left]) for group in groups]
    judged = [number for number, cohesion in enumerate(cohesions) if cohesion.kept]
    verdicts = dict(zip(judged, prune([ssims[number] for number in judged], settings.prune), strict=True))
    summaries = [
        _summary(number, group, cohesions[number], verdicts.get(number), ssims[number], clusters, run.ids, image, boxes)
        for number, group in enumerate(groups)
    ]
    _carry_names(path, summaries)
    write_json(path / "summaries.json", [summary.to_json() for summary in summaries])
    home = {member.part: summary for summary in summaries for member in summary.members}
    rows = []
    for part in range(len(image)):
        summary = home.get(part)
        cluster, similar = -1, None
        if summary is not None:
            cluster = summary.summary
            similar = next(member.similarity for member in summary.members if member.part == part)
        x0, y0, x1, y1 = (float(side) for side in boxes[part])
        exemplar = int(summary is not None and summary.exemplar == part)
        region = int(matched.region[part])
        rows.append(PartRow(part, run.ids[image[part]], region, x0, y0, x1, y1, cluster, exemplar, similar))
    write_csv(path / "parts.csv", PartRow, rows)
    return {
        "clusters": len(summaries),
        "kept": sum(summary.kept for summary in summaries),
        "preference": clusters.preference,
        "converged": clusters.converged,
    }


def _carry_names(path: Path, summaries: Sequence[Summary]) -> None:
    """Gives the names of the summaries that were there before to those that share most of their parts."""
    names = read_names(path)
    if not names or not (path / "summaries.json").exists():
        return
    before = {one.summary: {(m.image, m.box) for m in one.members} for one in Run(path).summaries}
    kept = {}
    for number, name in names.items():
        for one in summaries:
            now = {(m.image, m.box) for m in one.members}
            if len(now & before.get(number, set())) * 2 > len(now | before.get(number, set())):
                kept[one.summary] = name
    for name in sorted(set(names.values()) - set(kept.values())):
        say(f"  the name {name!r} is dropped: its summary is not there any more")
    if kept != names:
        write_names(path, kept)


@dataclass
class _Group:
    """The parts of a cluster: all of them, the one of each image, and those of the latter that cohere."""

    exemplar: int
    all: list[int]
    first: list[int]
    left: list[int]


def _group(clusters: Clusters, number: int, image: npt.NDArray[np.int64]) -> _Group:
    exemplar = int(clusters.exemplars[number])
    parts = np.flatnonzero(clusters.labels == number)
    alike = clusters.similarity_to(exemplar, parts)
    alike[parts == exemplar] = 2.0  # the exemplar comes first, whatever the ranks are
    first: list[int] = parts[one_per_image(alike, image[parts])].tolist()
    return _Group(exemplar, parts.tolist(), first, first)


def _patches(
    run: Run, parts: set[int], image: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], side: int
) -> dict[int, npt.NDArray[np.uint8]]:
    """What lies in the boxes of parts, an image read once."""
    of_image: dict[int, list[int]] = {}
    for part in sorted(parts):
        of_image.setdefault(int(image[part]), []).append(part)
    patches: dict[int, npt.NDArray[np.uint8]] = {}
    for index, here in of_image.items():
        frame = run.frame(run.ids[index])
        patches |= {part: patch(frame, boxes[part], side) for part in here}
    return patches


def _summary(
    number: int,
    group: _Group,
    cohesion: Cohesion,
    verdict: Verdict | None,
    ssims: npt.NDArray[np.float64],
    clusters: Clusters,
    ids: Sequence[str],
    image: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.float32],
) -> Summary:
    if verdict is None:  # not cohesive: its SSIMs are for information
        (verdict,) = prune([ssims], PruneOptions(min_members=1))
    kept, reason = (verdict.kept, verdict.reason) if cohesion.kept else (False, cohesion.reason)
    leaves = dict(zip(group.first, cohesion.leaves, strict=True))
    if kept:
        leaves |= dict(zip(group.left, verdict.leaves, strict=True))
    medians = dict(zip(group.left, verdict.member_ssim, strict=True))
    members, dropped = [], []
    for part in group.first:
        if leaves[part] and part != group.exemplar:
            dropped.append({"part": part, "image": ids[image[part]], "reason": leaves[part]})
            continue
        x0, y0, x1, y1 = (float(side) for side in boxes[part])
        value = 1.0 if part == group.exemplar else float(clusters.similarity[part, group.exemplar])
        members.append(Member(part, ids[image[part]], (x0, y0, x1, y1), value, medians.get(part)))
    for part in sorted(set(group.all) - set(group.first)):
        why = "another part of this image is more similar to the exemplar"
        dropped.append({"part": part, "image": ids[image[part]], "reason": why})
    others = [member.similarity for member in members if member.part != group.exemplar]
    return Summary(
        summary=number,
        name="",
        exemplar=group.exemplar,
        members=tuple(members),
        median_ssim=verdict.median_ssim,
        kept=kept,
        reason=reason,
        scores={"mean_similarity": float(np.mean(others))} if others else {},
        dropped=tuple(dropped),
    )
