"""The mask stage: makes and writes the masks of a run, batch by batch.

A batch is the unit in which a killed run continues: batches that are done under the same key are kept. What smooth,
crisp and binary mean for each attribution is said in `summaries.stages.find_masks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.metrics.faithfulness import drop, probabilities
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.batches import CPU_BATCH, batch_size
from visual_summaries.masks.perturbation.perturb import Blur
from visual_summaries.summaries.files import digest, read_csv, write_csv, write_npz, write_png
from visual_summaries.summaries.folders import inside, remove_files
from visual_summaries.summaries.progress import Tick, say
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.external_masks import read_mask
from visual_summaries.summaries.stages.find_masks import FoundMasks, clean, find_masks
from visual_summaries.summaries.stages.prefetch import Frames, read_ahead
from visual_summaries.summaries.store import ImageRow, MaskRow, Run

REPORTED = Blur(10)
"""The perturbation of the drops in masks.csv, however the masks were made."""

LOST = 0.5
"""Drop (p0 - p) / p0 of the binary mask from which the class counts as lost. Optimised masks usually have a drop above
0.99. If half of the class's probability is left, the mask does not show what the network relies on."""


def run_masks(
    path: Path,
    classifier: Classifier,
    settings: Settings,
    targets: dict[str, int],
    *,
    seed: int,
    external: Path | None,
    key: str,
    fresh: bool = False,
    tick: Tick,
) -> dict[str, int]:
    """Makes the masks batch by batch; batches that are done already, under the same key, are kept.

    Args:
        path: The run folder.
        classifier: The network, inside its ``with`` block.
        settings: How masks are made and cleaned.
        targets: Index of the class of each image, by id.
        seed: Of random choices.
        external: Folder of masks made elsewhere; None to make them here.
        key: A hash of what masks depend on besides their image. Batches with the same key are kept.
        fresh: Whether batches are computed again that are done already.
        tick: Called with (images done, images in all).

    Returns:
        Counts: images, batches, batches kept, collapsed binary masks (empty or the whole frame), and images whose
        class is not lost under the binary mask (see `LOST`).

    Raises:
        UserError: If the network or a mask made elsewhere cannot be used.
    """
    run = Run(path)
    rows = [row for row in run.images if row.status == "ok"]
    size = settings.masks.batch or CPU_BATCH
    if external is None and settings.attribution.gradients:  # without gradients, passes take little memory
        size = batch_size(classifier, settings.masks)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    table: list[MaskRow] = []
    records = _records(path)
    places = [
        path / "work" / "masks" / f"{digest([key, [(row.id, row.sha256, targets[row.id]) for row in batch]])}.csv"
        for batch in batches
    ]
    there = [
        not fresh and _batch_is_there(path, records.get(record, []), batch)
        for record, batch in zip(places, batches, strict=True)
    ]
    frames = read_ahead(run, [batch for batch, kept in zip(batches, there, strict=True) if not kept])
    for number, (batch, record, kept) in enumerate(zip(batches, places, there, strict=True)):
        if kept:
            table += records[record]
        else:

            def moved(passes: int, total: int, before: int = number) -> None:
                tick(min(int((before + passes / max(total, 1)) * size), len(rows)), len(rows))

            images = {row.id for row in batch}
            for other, before in records.items():
                if any(row.id in images for row in before):  # its masks are overwritten now
                    write_csv(other, MaskRow, [])
                    records[other] = []
            found = _mask_batch(run, classifier, settings, batch, next(frames), targets, seed, external, moved)
            write_csv(record, MaskRow, found)
            table += found
        tick(min((number + 1) * size, len(rows)), len(rows))
    write_csv(path / "masks.csv", MaskRow, table)
    remove_files(path / "masks", {f"{row.id}{suffix}" for row in rows for suffix in (".npz", ".png")})
    collapsed = sum(row.area_binary in (0, 1) for row in table)
    kept_class = sum(not row.drop_binary >= LOST for row in table)  # NaN where p0 = 0 counts as well
    if kept_class:
        say(
            f"  {kept_class} of {len(table)} images keep more than {1 - LOST:.0%} of their class under their mask "
            f"(drop_binary below {LOST} in masks.csv): their masks do not show what the network relies on"
        )
    return {
        "images": len(rows),
        "batches": len(batches),
        "batches kept": sum(there),
        "collapsed": collapsed,
        "not lost": kept_class,
    }


def _records(run: Path) -> dict[Path, list[MaskRow]]:
    """The rows of the batches that were done, with whatever options; none for a record that is damaged."""
    found: dict[Path, list[MaskRow]] = {}
    for record in sorted(inside(run, "work", "masks").glob("*.csv")):
        try:
            found[record] = read_csv(inside(run, record.relative_to(run)), MaskRow)
        except UserError:
            say(f"  {record} is damaged: its masks are made again")
            found[record] = []
    return found


def _batch_is_there(path: Path, record: Sequence[MaskRow], batch: Sequence[ImageRow]) -> bool:
    files = (path / "masks" / f"{row.id}{suffix}" for row in batch for suffix in (".npz", ".png"))
    return [row.id for row in record] == [row.id for row in batch] and all(file.exists() for file in files)


def _mask_batch(
    run: Run,
    classifier: Classifier,
    settings: Settings,
    batch: Sequence[ImageRow],
    frames: Frames,
    targets: dict[str, int],
    seed: int,
    external: Path | None,
    moved: Callable[[int, int], None],
) -> list[MaskRow]:
    """Makes and writes the masks of one batch, and returns their rows."""
    start = time.monotonic()
    images = classifier.to_tensor(frames)
    wanted = torch.tensor([targets[row.id] for row in batch], device=classifier.device)
    if external is None:
        found = find_masks(classifier, images, wanted, settings, seed=seed, progress=moved)
    else:
        crisp = np.stack([read_mask(external, row, classifier) for row in batch]).astype(np.float16)
        found = FoundMasks(crisp, crisp, clean(crisp, settings), [np.zeros(0, np.float32) for _ in batch])
    smooth, crisp, binary, history = found.smooth, found.crisp, found.binary, found.history

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
                iterations=len(history[i]),
                seconds=seconds,
            )
        )
    return rows
