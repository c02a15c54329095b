"""The mask stage, batch by batch; batches that are there are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.reading import read_image
from visual_summaries.masks.metrics.faithfulness import drop, probabilities
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.batches import CPU_BATCH, batch_size
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.masks.perturbation.perturb import Blur
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import digest, read_csv, write_csv, write_npz, write_png
from visual_summaries.summaries.folders import inside, remove_files
from visual_summaries.summaries.progress import Tick, say
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.stages.prefetch import Frames, read_ahead
from visual_summaries.summaries.store import ImageRow, MaskRow, Run

REPORTED = Blur(10)
"""The perturbation of the drops in masks.csv, whatever the masks were optimised for."""

LOST = 0.5
"""Share of the class that a binary mask takes away, (p0 - p) / p0, from which the class counts as lost. Masks that do
their work take more than 0.99; one that leaves half of the class does not show what the network relies on."""


@dataclass(frozen=True)
class FoundMasks:
    """The masks of a batch of N images.

    Attributes:
        smooth: float16 (N, H, W) in [0, 1].
        crisp: Likewise.
        binary: bool (N, H, W).
        history: Loss of each pass of each image, N arrays float32 (passes,).
    """

    smooth: npt.NDArray[np.float16]
    crisp: npt.NDArray[np.float16]
    binary: npt.NDArray[np.bool_]
    history: list[npt.NDArray[np.float32]]


def find_masks(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    settings: Settings,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> FoundMasks:
    """Optimises the masks of a batch and cleans them; of half the images at once where they do not fit into memory.

    Args:
        classifier: The network, entered.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        settings: Options of the masks.
        seed: Of random choices.
        progress: Called with (passes done, passes in all).
    """
    found = None
    try:
        found = optimize(
            classifier, images, targets, settings.masks, cleaning=settings.binary, seed=seed, progress=progress
        )
    except torch.OutOfMemoryError:
        if len(images) == 1:
            raise
    if found is None:  # not above: the error holds on to what did not fit
        return _in_halves(classifier, images, targets, settings, seed, progress)
    smooth, crisp = (masks[:, 0].cpu().numpy().astype(np.float16) for masks in (found.smooth, found.crisp))
    return FoundMasks(smooth, crisp, _binary(crisp, settings), [losses.numpy() for losses in found.history])


def _in_halves(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    settings: Settings,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> FoundMasks:
    """The same masks with less memory: images do not influence each other, and share their random choices."""
    half = len(images) // 2
    say(f"  {len(images)} images at once do not fit into memory: {half} and {len(images) - half} (option masks.batch)")
    if images.is_cuda:
        torch.cuda.empty_cache()
    first, second = (
        find_masks(classifier, images[rows], targets[rows], settings, seed=seed, progress=progress)
        for rows in (slice(half), slice(half, None))
    )
    return FoundMasks(
        np.concatenate([first.smooth, second.smooth]),
        np.concatenate([first.crisp, second.crisp]),
        np.concatenate([first.binary, second.binary]),
        first.history + second.history,
    )


def _binary(crisp: npt.NDArray[np.float16], settings: Settings) -> npt.NDArray[np.bool_]:
    return np.stack([binarize(mask.astype(np.float32), settings.binary) for mask in crisp])


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
    """Optimises the masks batch by batch; batches that are there from before, under the same key, are kept.

    Args:
        path: The run folder.
        classifier: The network, entered.
        settings: Options of the masks.
        targets: The class of each image.
        seed: Of random choices.
        external: Folder of masks made elsewhere; None where they are made here.
        key: A hash of what masks depend on besides their image.
        fresh: Whether batches that are there are made again too.
        tick: Takes (images done, images in all).

    Returns:
        How many images and batches there are, how many batches were kept, how many binary masks have collapsed (are
        empty or take the whole frame), and of how many images the binary mask does not lose the class (see `LOST`).
    """
    run = Run(path)
    rows = [row for row in run.images if row.status == "ok"]
    size = batch_size(classifier, settings.masks) if external is None else settings.masks.batch or CPU_BATCH
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
                if any(row.id in images for row in before):  # it speaks of masks that are overwritten now
                    write_csv(other, MaskRow, [])
                    records[other] = []
            found = _mask_batch(run, classifier, settings, batch, next(frames), targets, seed, external, moved)
            write_csv(record, MaskRow, found)
            table += found
        tick(min((number + 1) * size, len(rows)), len(rows))
    write_csv(path / "masks.csv", MaskRow, table)
    remove_files(path / "masks", {f"{row.id}{suffix}" for row in rows for suffix in (".npz", ".png")})
    collapsed = sum(row.area_binary in (0, 1) for row in table)
    kept_class = sum(not row.drop_binary >= LOST for row in table)  # no number where p0 = 0
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
    """The batches that were done, under whatever options; a record that is damaged tells of none."""
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
    """Masks of one batch: writes them and gives their rows."""
    start = time.monotonic()
    images = classifier.to_tensor(frames)
    wanted = torch.tensor([targets[row.id] for row in batch], device=classifier.device)
    if external is None:
        found = find_masks(classifier, images, wanted, settings, seed=seed, progress=moved)
    else:
        crisp = np.stack([read_mask(external, row, classifier) for row in batch]).astype(np.float16)
        found = FoundMasks(crisp, crisp, _binary(crisp, settings), [np.zeros(0, np.float32) for _ in batch])
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


def _one_array(path: Path) -> npt.NDArray[Any]:
    """The array of a file that is the mask: ``crisp``, ``mask``, or the first one; sides of 1 are left out.

    Raises:
        UserError: If the file holds none.
    """
    arrays = read_arrays(path, {"*": Array("fiub", None)})
    name = next((name for name in ("crisp", "mask", *arrays) if name in arrays), None)
    if name is None:
        raise UserError(f"`masks`: {path} holds no array of numbers")
    return arrays[name].squeeze()


def _one_picture(path: Path) -> npt.NDArray[np.float32]:
    """A mask drawn as a picture of any depth, (H, W) in [0, 1].

    Raises:
        UserError: If it cannot be read.
    """
    try:
        pixels = read_image(path, reduce=False).pixels
    except UnusableImageError as error:
        raise UserError(f"`masks`: {path} cannot be used: {error}") from None
    return np.asarray(pixels.convert("L"), dtype=np.float32) / np.float32(255)


def read_mask(folder: Path, row: ImageRow, classifier: Classifier) -> npt.NDArray[np.float32]:
    """A mask made elsewhere, (H, W) in [0, 1] in the frame: DIR/ID.npz or DIR/ID.png, white = salient.

    A mask has the size of the frame, or that of the photograph, from which the frame is cut.

    Raises:
        UserError: If it is missing, has another size, or is no mask.
    """
    arrays_path, picture_path = folder / f"{row.id}.npz", folder / f"{row.id}.png"
    if arrays_path.is_file():
        values: npt.NDArray[np.float32] = _one_array(arrays_path).astype(np.float32)
    elif picture_path.is_file():
        values = _one_picture(picture_path)
    else:
        raise UserError(f"`masks`: {folder} has neither {row.id}.npz nor {row.id}.png")
    if values.ndim != 2 or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise UserError(f"`masks`: the mask of {row.id} is no (H, W) array in [0, 1]")
    if values.shape == classifier.frame.size:
        return values
    if values.shape == (row.height, row.width):
        grey = Image.fromarray((values * 255).round().astype(np.uint8))
        return classifier.frame.cut(grey, nearest=True).astype(np.float32) / np.float32(255)
    raise UserError(
        f"`masks`: the mask of {row.id} is {values.shape[0]}x{values.shape[1]}, the frame is "
        f"{classifier.frame.size[0]}x{classifier.frame.size[1]} and the photograph {row.height}x{row.width}"
    )
