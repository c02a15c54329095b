"""The stage of images: reads the class folder, cuts frames and predicts classes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.folders import ImageFile, list_images
from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.masks.inputs.reading import read_image
from visual_summaries.masks.networks.classifier import Classifier, ClassLabel
from visual_summaries.summaries.files import write_csv, write_png
from visual_summaries.summaries.folders import remove_files
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.store import ImageRow, frame_path

PREDICT_BATCH = 16
"""Images whose class is predicted at once; fixed, so that a longer run gives the same probabilities."""

EARLY = 50
"""If none of this number of first images is used, the user is warned before a large folder is finished."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Which images of a folder are used.

    Attributes:
        target: Index of the class; None for each image's own prediction.
        limit: Most images that are used; None for all.
        keep_misclassified: Whether to use images that the network assigns to another class.
    """

    target: int | None
    limit: int | None
    keep_misclassified: bool


def run_images(path: Path, folder: Path, classifier: Classifier, selection: Selection, tick: Tick) -> dict[str, int]:
    """Reads the class folder: writes frames and ``images.csv``.

    Raises:
        UserError: If no image can be used.
    """
    files = list_images(folder)
    limit = selection.limit if selection.limit is not None else len(files)
    rows: list[ImageRow] = []
    waiting: list[tuple[int, npt.NDArray[np.uint8]]] = []
    seen: dict[str, str] = {}
    used = 0

    def decide() -> None:
        nonlocal used
        frames = [frame for _, frame in waiting]
        for (place, frame), (predicted, p0) in zip(waiting, predict(classifier, frames, selection.target), strict=True):
            if used == limit:
                break
            reason = "" if selection.keep_misclassified else _misclassified(classifier, predicted, selection.target)
            rows[place] = replace(
                rows[place],
                status="skipped" if reason else "ok",
                reason=reason or rows[place].reason,
                predicted=predicted,
                p0=p0,
            )
            if not reason:
                write_png(frame_path(path, rows[place].id), frame)
                used += 1
        waiting.clear()

    told = False
    for done, file in enumerate(files):
        row, frame = _read(file, classifier, seen)
        rows.append(row)
        if frame is not None:
            waiting.append((len(rows) - 1, frame))
        if len(waiting) == PREDICT_BATCH:
            decide()
            if used == limit:
                break
            if not told and used == 0 and sum(row.predicted is not None for row in rows) >= EARLY:
                told = True
                _log.warning("  none of the first images is used: %s", _seen_instead(classifier, rows))
        tick(done + 1, len(files))
    if waiting:
        decide()
    rows = rows[: _end(rows, limit)]
    write_csv(path / "images.csv", ImageRow, rows)
    remove_files(path / "frames", {f"{row.id}.png" for row in rows if row.status == "ok"})
    if used == 0:
        skipped = [row for row in rows if row.status == "skipped"]
        first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        why = f"no image in {folder} can be used: {len(skipped)} skipped{first} (all are in images.csv)"
        seen_instead = _seen_instead(classifier, rows)
        raise UserError(f"{why}; {seen_instead}" if seen_instead else why)
    return {"ok": used, "skipped": len(rows) - used}


def predict(
    classifier: Classifier, frames: Sequence[npt.NDArray[np.uint8]], target: int | None
) -> list[tuple[int, float]]:
    """The predicted class of each frame, and the probability of the target, or of that class without a target."""
    if not frames:
        return []
    with torch.inference_mode():
        p = classifier.finite_logits(classifier.to_tensor(frames)).double().softmax(1).cpu()
    predicted = p.argmax(1)
    wanted = predicted if target is None else torch.full_like(predicted, target)
    return list(zip(predicted.tolist(), p.gather(1, wanted[:, None])[:, 0].tolist(), strict=True))


def _read(
    file: ImageFile, classifier: Classifier, seen: dict[str, str]
) -> tuple[ImageRow, npt.NDArray[np.uint8] | None]:
    """Reads a file and cuts the frame.

    Args:
        file: The file.
        classifier: Its frame is used.
        seen: Ids by the hash of their pixels; the file's own is added.

    Returns:
        Its row and its frame; a skipped file has no frame. The status of another one is empty until its class is
        predicted.
    """
    row = ImageRow(file.id, recorded_path(file.path), "", None, None, "", "", None, None)
    try:
        photograph = read_image(file.path)
    except UnusableImageError as error:
        return replace(row, status="skipped", reason=str(error)), None
    width, height = photograph.size
    row = replace(row, sha256=photograph.sha256, width=width, height=height, reason=photograph.note)
    first = seen.setdefault(photograph.hash_pixels(), file.id)
    if first != file.id:
        return replace(row, status="skipped", reason=f"the same picture as {first}"), None
    return row, classifier.frame.cut(photograph.pixels, size=photograph.size)


def _end(rows: Sequence[ImageRow], limit: int) -> int:
    """The number of rows up to the last image that is used."""
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


def _seen_instead(classifier: Classifier, rows: Sequence[ImageRow]) -> str:
    """The most frequent predictions, and what the user can do; empty if nothing was predicted."""
    predicted = Counter(row.predicted for row in rows if row.predicted is not None)
    if not predicted:
        return ""
    often = [f"{_short(classifier.label(index))} {count} times" for index, count in predicted.most_common(3)]
    return (
        f"of {predicted.total()} images the network sees {', '.join(often)}: give the class as `target`, or predicted "
        "for each image's own, or keep the images with `keep_misclassified`"
    )


def _short(label: ClassLabel) -> str:
    return f"{label.name.split(',')[0]} ({label.index})"
