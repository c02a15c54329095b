"""The stages of a run, each from files of the run folder to files of the run folder.

===========  ==============================================  =============================================
stage        reads                                           writes
===========  ==============================================  =============================================
images       the class folder                                images.csv, frames/ID.png
masks        frames                                          masks/ID.npz, masks/ID.png, masks.csv
proposals    frames                                          work/proposals/ID.npz
matching     frames, binary masks, proposals                 work/features/ID.npz, work/similarity.npz
clusters     frames, similarity                              parts.csv, summaries.json
gallery      all of the above                                gallery/, summary-NN.png
===========  ==============================================  =============================================

Everything under ``work/`` can be deleted; it is made again when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed
from PIL import Image

from clustering.affinity import Clusters, propagate
from clustering.descriptors import describe
from clustering.matching import Features
from clustering.proposals import ProposalOptions, choose, not_redundant, selective_search
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
from clustering.similarity import similarity
from masks.binarize import binarize
from masks.classifier import Classifier, ClassLabel
from masks.errors import UserError
from masks.evaluate import drop, probabilities
from masks.images import ImageFile, Photograph, UnusableImageError, list_images, read_all
from masks.optimize import optimize
from masks.perturb import Blur
from summaries.progress import Tick, say
from summaries.settings import Settings
from summaries.store import (
    ImageRow,
    MaskRow,
    PartRow,
    Run,
    frame_path,
    read_csv,
    read_names,
    read_npz,
    write_csv,
    write_json,
    write_names,
    write_npz,
    write_png,
)
from summaries.summary import Member, Summary

PREDICT_BATCH = 16
"""Images whose class is predicted at once; fixed, so that a longer run gives the same probabilities."""

REPORTED = Blur(10)
"""The perturbation of the drops in masks.csv, whatever the masks were optimised for."""


@dataclass(frozen=True)
class Selection:
    """Which images of a folder take part.

    Attributes:
        target: Index of the class; None takes each image's own prediction.
        limit: At most so many images that are not skipped; None for all.
        keep_misclassified: Whether images that the network gives to another class stay.
    """

    target: int | None
    limit: int | None
    keep_misclassified: bool


def digest(data: Any) -> str:
    """A short hash of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


# --- images --------------------------------------------------------------------------------------------------


def run_images(path: Path, folder: Path, classifier: Classifier, selection: Selection, tick: Tick) -> dict[str, int]:
    """Reads the class folder: writes frames and ``images.csv``.

    Raises:
        UserError: If no image can be used.
    """
    files = list_images(folder)
    limit = selection.limit if selection.limit is not None else len(files)
    rows: list[ImageRow] = []
    waiting: list[tuple[int, Photograph, npt.NDArray[np.uint8]]] = []
    used = 0

    def decide() -> None:
        nonlocal used
        frames = [frame for _, _, frame in waiting]
        for (place, photograph, frame), (predicted, p0) in zip(
            waiting, predict(classifier, frames, selection.target), strict=True
        ):
            if used == limit:
                break
            reason = "" if selection.keep_misclassified else _misclassified(classifier, predicted, selection.target)
            rows[place] = replace(
                rows[place],
                sha256=photograph.sha256,
                width=photograph.pixels.width,
                height=photograph.pixels.height,
                status="skipped" if reason else "ok",
                reason=reason,
                predicted=predicted,
                p0=p0,
            )
            if not reason:
                write_png(frame_path(path, rows[place].id), frame)
                used += 1
        waiting.clear()

    for done, (file, result) in enumerate(read_all(files)):
        rows.append(_unread(file))
        if isinstance(result, UnusableImageError):
            rows[-1] = replace(rows[-1], status="skipped", reason=str(result))
        else:
            waiting.append((len(rows) - 1, result, classifier.frame.cut(result.pixels)))
        if len(waiting) == PREDICT_BATCH:
            decide()
            if used == limit:
                break
        tick(done + 1, len(files))
    if waiting:
        decide()
    rows = rows[: _end(rows, limit)]
    write_csv(path / "images.csv", ImageRow, rows)
    _remove_others(path / "frames", {f"{row.id}.png" for row in rows if row.status == "ok"})
    if used == 0:
        skipped = [row for row in rows if row.status == "skipped"]
        first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise UserError(f"no image in {folder} can be used: {len(skipped)} skipped{first} (all are in images.csv)")
    return {"ok": used, "skipped": len(rows) - used}


def predict(
    classifier: Classifier, frames: Sequence[npt.NDArray[np.uint8]], target: int | None
) -> list[tuple[int, float]]:
    """The network's class of each frame, and the probability of the target (of that class where there is none)."""
    if not frames:
        return []
    with torch.inference_mode():
        p = classifier.logits(classifier.to_tensor(frames)).double().softmax(1).cpu()
    predicted = p.argmax(1)
    wanted = predicted if target is None else torch.full_like(predicted, target)
    return list(zip(predicted.tolist(), p.gather(1, wanted[:, None])[:, 0].tolist(), strict=True))


def _unread(file: ImageFile) -> ImageRow:
    return ImageRow(file.id, str(file.path), "", None, None, "", "", None, None)


def _end(rows: Sequence[ImageRow], limit: int) -> int:
    """How many rows were looked at up to the last image that is used."""
    used = 0
    for place, row in enumerate(rows):
        if row.status == "":
            return place
        used += row.status == "ok"
        if used == limit:
            return place + 1
    return len(rows)


def _misclassified(classifier: Classifier, predicted: int, target: int | None) -> str:
    if target is None or predicted == target:
        return ""
    return f"predicted as {_short(classifier.label(predicted))}, not {_short(classifier.label(target))}"


def _short(label: ClassLabel) -> str:
    return f"{label.name.split(',')[0]} ({label.index})"


def _remove_others(folder: Path, wanted: set[str]) -> None:
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in wanted:
            file.unlink()


# --- masks ---------------------------------------------------------------------------------------------------


def run_masks(
    path: Path,
    classifier: Classifier,
    settings: Settings,
    targets: dict[str, int],
    *,
    seed: int,
    external: Path | None,
    key: str,
    tick: Tick,
) -> dict[str, int]:
    """Optimises the masks batch by batch; batches that are there from before, under the same key, are kept."""
    run = Run(path)
    rows = [row for row in run.images if row.status == "ok"]
    size = settings.masks.batch
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    table: list[MaskRow] = []
    reused = 0
    records = _records(path / "work" / "masks")
    for number, batch in enumerate(batches):
        batch_key = digest([key, [(row.id, row.sha256, targets[row.id]) for row in batch]])
        record = path / "work" / "masks" / f"{batch_key}.csv"
        if _batch_is_there(path, record, batch):
            table += read_csv(record, MaskRow)
            reused += 1
        else:

            def moved(passes: int, total: int, before: int = number) -> None:
                tick(min(int((before + passes / max(total, 1)) * size), len(rows)), len(rows))

            images = {row.id for row in batch}
            for other in [other for other, ids in records.items() if ids & images]:
                other.unlink()  # it speaks of masks that are overwritten now
                del records[other]
            found = _mask_batch(run, classifier, settings, batch, targets, seed, external, moved)
            write_csv(record, MaskRow, found)
            table += found
        tick(min((number + 1) * size, len(rows)), len(rows))
    write_csv(path / "masks.csv", MaskRow, table)
    _remove_others(path / "masks", {f"{row.id}{suffix}" for row in rows for suffix in (".npz", ".png")})
    return {"images": len(rows), "batches": len(batches), "batches kept": reused}


def _records(folder: Path) -> dict[Path, set[str]]:
    """The batches that were done, under whatever options, with the images of each."""
    return {record: {row.id for row in read_csv(record, MaskRow)} for record in sorted(folder.glob("*.csv"))}


def _batch_is_there(path: Path, record: Path, batch: Sequence[ImageRow]) -> bool:
    files = (path / "masks" / f"{row.id}{suffix}" for row in batch for suffix in (".npz", ".png"))
    return record.exists() and all(file.exists() for file in files)


def _mask_batch(
    run: Run,
    classifier: Classifier,
    settings: Settings,
    batch: Sequence[ImageRow],
    targets: dict[str, int],
    seed: int,
    external: Path | None,
    moved: Callable[[int, int], None],
) -> list[MaskRow]:
    """Masks of one batch: writes them and gives their rows."""
    start = time.monotonic()
    images = classifier.to_tensor([run.frame(row.id) for row in batch])
    wanted = torch.tensor([targets[row.id] for row in batch], device=classifier.device)
    if external is None:
        found = optimize(
            classifier, images, wanted, settings.masks, cleaning=settings.binary, seed=seed, progress=moved
        )
        smooth, crisp = (masks[:, 0].cpu().numpy().astype(np.float16) for masks in (found.smooth, found.crisp))
        history = found.history.cpu().numpy()
    else:
        crisp = np.stack([read_mask(external, row, classifier) for row in batch]).astype(np.float16)
        smooth, history = crisp, np.zeros((len(batch), 0), np.float32)
    binary = np.stack([binarize(mask.astype(np.float32), settings.binary) for mask in crisp])

    p0 = probabilities(classifier, images, wanted)
    p = {}
    for name, masks in (("smooth", smooth), ("crisp", crisp), ("binary", binary)):
        tensor = torch.from_numpy(masks.astype(np.float32)).to(images)[:, None]
        p[name] = probabilities(classifier, images, wanted, tensor, REPORTED)
    drops = {name: drop(p0, values) for name, values in p.items()}
    seconds = round((time.monotonic() - start) / len(batch), 3)
    rows = []
    for i, row in enumerate(batch):
        write_npz(run.path / "masks" / f"{row.id}.npz", smooth=smooth[i], crisp=crisp[i], history=history[i])
        write_png(run.path / "masks" / f"{row.id}.png", binary[i])
        rows.append(
            MaskRow(
                id=row.id,
                p0=float(p0[i]),
                **{f"p_{name}": float(values[i]) for name, values in p.items()},
                **{f"drop_{name}": float(values[i]) for name, values in drops.items()},
                area_smooth=float(smooth[i].mean(dtype=np.float64)),
                area_crisp=float(crisp[i].mean(dtype=np.float64)),
                area_binary=float(binary[i].mean(dtype=np.float64)),
                iterations=history.shape[1],
                seconds=seconds,
            )
        )
    return rows


def read_mask(folder: Path, row: ImageRow, classifier: Classifier) -> npt.NDArray[np.float32]:
    """A mask made elsewhere, (H, W) in [0, 1] in the frame: DIR/ID.npz or DIR/ID.png, white = salient.

    A mask has the size of the frame, or that of the photograph, from which the frame is cut.

    Raises:
        UserError: If it is missing, has another size, or is no mask.
    """
    arrays_path, picture_path = folder / f"{row.id}.npz", folder / f"{row.id}.png"
    if arrays_path.is_file():
        arrays = read_npz(arrays_path)
        name = next((name for name in ("crisp", "mask", *arrays) if name in arrays), None)
        if name is None:
            raise UserError(f"--masks: {arrays_path} holds no array")
        values: npt.NDArray[np.float32] = arrays[name].astype(np.float32).squeeze()
    elif picture_path.is_file():
        values = np.asarray(Image.open(picture_path).convert("L"), dtype=np.float32) / np.float32(255)
    else:
        raise UserError(f"--masks: {folder} has neither {row.id}.npz nor {row.id}.png")
    if values.ndim != 2 or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise UserError(f"--masks: the mask of {row.id} is no (H, W) array in [0, 1]")
    if values.shape == classifier.frame.size:
        return values
    if values.shape == (row.height, row.width):
        grey = Image.fromarray((values * 255).round().astype(np.uint8))
        return classifier.frame.cut(grey, nearest=True).astype(np.float32) / np.float32(255)
    raise UserError(
        f"--masks: the mask of {row.id} is {values.shape[0]}x{values.shape[1]}, the frame is "
        f"{classifier.frame.size[0]}x{classifier.frame.size[1]} and the photograph {row.height}x{row.width}"
    )


# --- proposals -----------------------------------------------------------------------------------------------


def run_proposals(
    path: Path, options: ProposalOptions, *, seed: int, jobs: int, key: str, tick: Tick
) -> dict[str, int]:
    """Finds the object proposals of all frames, an image a core; images that have theirs are left alone."""
    run = Run(path)
    hashes = {row.id: row.sha256 for row in run.images if row.status == "ok"}
    missing = []
    for image in run.ids:
        file = _proposals_path(path, image)
        if not file.exists() or str(read_npz(file)["key"]) != digest([key, hashes[image]]):
            missing.append(image)
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(selective_search)(run.frame(image), options, seed) for image in missing
    )
    for done, (image, boxes) in enumerate(zip(missing, results, strict=True)):
        write_npz(_proposals_path(path, image), boxes=boxes, key=np.array(digest([key, hashes[image]])))
        tick(done + 1, len(missing))
    return {"images": len(run.ids), "images kept": len(run.ids) - len(missing)}


def _proposals_path(path: Path, image: str) -> Path:
    return path / "work" / "proposals" / f"{image}.npz"


# --- matching ------------------------------------------------------------------------------------------------


def run_matching(path: Path, settings: Settings, *, jobs: int, tick: Tick) -> dict[str, float]:
    """Chooses the parts, matches all pairs of images, removes redundant parts: writes ``work/similarity.npz``."""
    run = Run(path)
    ids = run.ids
    chosen = []
    features = path / "work" / "features"
    for image in ids:
        proposals = choose(read_npz(_proposals_path(path, image))["boxes"], run.mask(image).binary, settings.proposals)
        write_npz(features / f"{image}.npz", descriptors=describe(run.frame(image), proposals.boxes))
        chosen.append(proposals)
    sizes = [run.frame(image).shape[:2] for image in ids[:1]] * len(ids)

    def load(index: int) -> Features:
        return Features(read_npz(features / f"{ids[index]}.npz")["descriptors"], chosen[index].boxes, sizes[index])

    found = similarity(load, [p.kept for p in chosen], settings.similarity, jobs=jobs, progress=tick)
    stays = []
    for index, proposals in enumerate(chosen):
        of_image = np.flatnonzero(found.image == index)
        alone = not_redundant(proposals.boxes[found.proposal[of_image]], found.quality[of_image], settings.proposals)
        stays.append(of_image[alone])
    parts = np.concatenate(stays) if stays else np.zeros(0, np.int64)
    boxes = [chosen[i].boxes[j] for i, j in zip(found.image[parts], found.proposal[parts], strict=True)]
    regions = [chosen[i].region[j] for i, j in zip(found.image[parts], found.proposal[parts], strict=True)]
    write_npz(
        path / "work" / "similarity.npz",
        matrix=found.matrix[np.ix_(parts, parts)],
        image=found.image[parts],
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        region=np.array(regions, np.int32),
    )
    _remove_others(features, set())
    per_image = np.bincount(found.image[parts], minlength=len(ids))
    return {
        "proposals": sum(len(p.boxes) for p in chosen),
        "on the mask": len(found.image),
        "parts": len(parts),
        "parts an image, mean": round(float(per_image.mean()), 1),
        "parts an image, least": int(per_image.min()),
        "parts an image, most": int(per_image.max()),
    }


# --- clusters ------------------------------------------------------------------------------------------------


def run_clusters(path: Path, settings: Settings, *, seed: int) -> dict[str, Any]:
    """Clusters the parts and prunes: writes ``parts.csv`` and ``summaries.json``."""
    run = Run(path)
    data = read_npz(path / "work" / "similarity.npz")
    image, boxes = data["image"].astype(np.int64), data["boxes"]
    clusters = propagate(data["matrix"], settings.affinity, seed=seed)
    groups = [_group(clusters, number, image) for number in range(len(clusters.exemplars))]
    matrices = [data["matrix"][np.ix_(group.first, group.first)] for group in groups]
    cohesions = cohere(matrices, settings.prune)
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
        region = int(data["region"][part])
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
    alike = clusters.similarity[parts, exemplar].copy()
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
