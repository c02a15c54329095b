"""The mask stage, batch by batch; batches that are there are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from masks.binarize import binarize
from masks.classifier import Classifier
from masks.errors import UserError
from masks.evaluate import drop, probabilities
from masks.optimize import optimize
from masks.perturb import Blur
from summaries.progress import Tick
from summaries.settings import Settings
from summaries.store import (
    ImageRow,
    MaskRow,
    Run,
    digest,
    read_csv,
    read_npz,
    remove_others,
    write_csv,
    write_npz,
    write_png,
)

REPORTED = Blur(10)
"""The perturbation of the drops in masks.csv, whatever the masks were optimised for."""


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
    remove_others(path / "masks", {f"{row.id}{suffix}" for row in rows for suffix in (".npz", ".png")})
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
