"""The stage that measures the importance of summaries, image by image; results of an interrupted run are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.objective import log_odds
from visual_summaries.masks.perturbation.removal import fill, outline
from visual_summaries.summaries.files import Finite, digest, hash_file, read_json, write_csv, write_json
from visual_summaries.summaries.folders import inside, remove_files
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.semantics.importance import Importance, Removal, importance_of, places_elsewhere
from visual_summaries.summaries.semantics.options import ImportanceOptions
from visual_summaries.summaries.store import ImageRow, Run, read_summaries
from visual_summaries.summaries.summary import Member, Summary

BATCH = 16
"""Images that pass through the network at once; fixed, so that the same probabilities come out."""

DEFINITION = (
    "mean over members of p0 - p, with p the probability of the class when the part (GrabCut's outline in its box) is "
    "filled from the ring around it; low and high: percentile bootstrap over members; control: the same outlines moved "
    "elsewhere in their images"
)


@dataclass(frozen=True)
class Part:
    """A part that is removed from its image.

    Attributes:
        summary: Whose part it is.
        member: The part.
        measured: Whether the summary has enough members to be measured; the parts of a kept one that has not are
            removed together with the others only.
    """

    summary: Summary
    member: Member
    measured: bool


@dataclass(frozen=True)
class ImageRecord:
    """The effects measured in one image.

    Attributes:
        removals: One for each part of a measured summary.
        joint: p0 - p with all parts of kept summaries removed together, also of those with too few members to be
            measured; None where the image has none.
        mask: p0 - p with the whole binary mask removed and filled in the same way; None where it is empty.
    """

    removals: list[Removal]
    joint: Finite | None
    mask: Finite | None


def run_importance(
    path: Path,
    classifier: Classifier,
    options: ImportanceOptions,
    targets: Mapping[str, int],
    *,
    seed: int,
    key: str,
    fresh: bool,
    tick: Tick,
) -> dict[str, int]:
    """Measures every cluster with enough members, kept or not.

    Writes ``evaluation/importance.json``, ``evaluation/importance.csv`` and ``evaluation/removals.csv``, and adds
    scores to ``summaries.json``. The effects in an image are kept in ``work/importance/``; the name of the file is a
    hash of the image, its class, its mask, its parts and the key.

    Args:
        path: The run folder.
        classifier: The network, inside its ``with`` block.
        options: How it is measured.
        targets: The class of each image.
        seed: Of the control's places and of the bootstrap.
        key: A hash of what the effects depend on besides the image, its class, its mask and its parts.
        fresh: Whether images that are done already are measured again.
        tick: Called with (images done, all images).

    Returns:
        How many summaries were measured, and how many of them matter.
    """
    run = Run(path)
    measured = [one for one in run.summaries if len(one.members) >= options.min_members]
    parts: dict[str, list[Part]] = {image: [] for image in run.ids}
    for summary in run.summaries:
        enough = len(summary.members) >= options.min_members
        for member in summary.members if enough or summary.kept else ():
            parts[member.image].append(Part(summary, member, enough))
    rows = [row for row in run.images if row.status == "ok"]
    records: dict[str, ImageRecord] = {}
    files = set()
    for number, row in enumerate(rows):
        name = f"{_image_key(run, row, targets[row.id], parts[row.id], key)}.json"
        files.add(name)
        record = None if fresh else _there(path, name, row.id, parts[row.id])
        if record is None:
            record = _measure(run, classifier, row, parts[row.id], targets[row.id], options, seed)
            write_json(path / "work" / "importance" / name, asdict(record))
        records[row.id] = record
        tick(number + 1, len(rows))
    remove_files(path / "work" / "importance", files)
    removals: dict[int, list[Removal]] = {one.summary: [] for one in measured}
    for record in records.values():
        for removal in record.removals:
            removals[removal.summary].append(removal)
    found_all = [importance_of(removals[one.summary], len(rows), options, seed) for one in measured]
    _write(path, found_all, records, options.level)
    return {"summaries": len(found_all), "matter": sum(one.matters for one in found_all)}


def _image_key(run: Run, row: ImageRow, target: int, parts: Sequence[Part], key: str) -> str:
    """A hash of what the record of an image depends on."""
    mask = hash_file(run.path / "masks" / f"{row.id}.png")
    found = [(one.summary.summary, one.summary.kept, one.measured, one.member.part, one.member.box) for one in parts]
    return digest([key, row.id, row.sha256, mask, target, found])


def _there(path: Path, name: str, image: str, parts: Sequence[Part]) -> ImageRecord | None:
    """The recorded effects of an image; None if there are none, or the record is damaged or is of other parts."""
    try:
        record = read_json(inside(path, "work", "importance", name), ImageRecord)
    except (UserError, OSError):
        return None
    wanted = [(one.summary.summary, one.member.part, image) for one in parts if one.measured]
    return record if [(one.summary, one.part, one.image) for one in record.removals] == wanted else None


def _measure(
    run: Run,
    classifier: Classifier,
    row: ImageRow,
    parts: Sequence[Part],
    target: int,
    options: ImportanceOptions,
    seed: int,
) -> ImageRecord:
    """The effects in one image."""
    frame, mask = run.frame(row.id), run.mask(row.id).binary
    found = [outline(frame, one.member.box) for one in parts]
    measured = [(one, own) for one, own in zip(parts, found, strict=True) if one.measured]
    start = int(row.sha256[:8] or "0", 16)  # a table that was changed by hand may have none
    elsewhere = [
        places_elsewhere(own, mask, options.controls, np.random.default_rng([seed, start, number]))
        for number, (_, own) in enumerate(measured)
    ]
    kept = [own for one, own in zip(parts, found, strict=True) if one.summary.kept]
    holes = [*(own for _, own in measured), *(place for on, off in elsewhere for place in (*on, *off))]
    holes += [np.logical_or.reduce(kept)] if kept else []
    holes += [mask] if mask.any() else []
    p, odds = _answers(classifier, [frame, *(fill(frame, hole) for hole in holes)], target)
    p0, rest = float(p[0]), iter(p[1:].tolist())
    without = [next(rest) for _ in measured]
    moved = [([p0 - next(rest) for _ in on], [p0 - next(rest) for _ in off]) for on, off in elsewhere]
    removals = [
        Removal(
            summary=one.summary.summary,
            part=one.member.part,
            image=row.id,
            p0=p0,
            p=without[number],
            log_odds=float(odds[0] - odds[1 + number]),
            on_mask=_mean(moved[number][0]),
            off_mask=_mean(moved[number][1]),
        )
        for number, (one, _) in enumerate(measured)
    ]
    return ImageRecord(removals, p0 - next(rest) if kept else None, p0 - next(rest) if mask.any() else None)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _answers(
    classifier: Classifier, frames: Sequence[npt.NDArray[np.uint8]], target: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Probability and log odds of a class in each frame, (N,) each."""
    p, odds = [], []
    with torch.inference_mode():
        for start in range(0, len(frames), BATCH):
            logits = classifier.finite_logits(classifier.to_tensor(frames[start : start + BATCH])).double()
            wanted = torch.full((len(logits),), target, device=logits.device)
            p.append(logits.softmax(1)[:, target].cpu().numpy())
            odds.append(log_odds(logits, wanted).cpu().numpy())
    return np.concatenate(p), np.concatenate(odds)


def _write(path: Path, found: Sequence[Importance], records: Mapping[str, ImageRecord], level: float) -> None:
    folder, known = path / "evaluation", read_summaries(path)
    together = [record.joint for record in records.values()] if any(one.kept for one in known) else []
    masks = [record.mask for record in records.values()]
    write_csv(folder / "removals.csv", Removal, [one for record in records.values() for one in record.removals])
    write_csv(folder / "importance.csv", Importance, found)
    completeness = {
        "kept summaries together": _mean([value or 0.0 for value in together]),
        "whole mask": _mean([value or 0.0 for value in masks]),
    }
    summaries = [asdict(one) for one in found]
    about = {"definition": DEFINITION, "level": level, "summaries": summaries, "completeness": completeness}
    write_json(folder / "importance.json", about)
    scores = {one.summary: one for one in found}
    scored = [_scored(one, scores.get(one.summary)) for one in known]
    write_json(path / "summaries.json", [one.to_json() for one in scored])


def _scored(summary: Summary, importance: Importance | None) -> Summary:
    """A summary with its importance among its scores, in place of an earlier one."""
    scores = {name: value for name, value in summary.scores.items() if name not in SCORES}
    if importance is not None:
        values = asdict(importance)
        scores |= {name: values[name] for name in SCORES if values[name] is not None}
    return replace(summary, scores=scores)


SCORES = ("importance", "low", "high", "control")
"""The scores of a summary in ``summaries.json`` that this stage writes."""
