"""The whole of ``visual-summaries evaluate boost``: from a model folder and new photographs to gain and harm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import path_on_record, recorded_path
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.build import ImageUse
from visual_summaries.specialize.controls import FURTHER, METHODS
from visual_summaries.specialize.evaluate import Evaluation, evaluate
from visual_summaries.specialize.feature_cache import Album, Looker, Photo, joined, list_photos
from visual_summaries.specialize.leakage import Prints, check_apart
from visual_summaries.specialize.model import Model
from visual_summaries.specialize.training_set import held_of
from visual_summaries.summaries.files import hash_file, read_csv
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.progress import progress, say

SEEN = ("train", "tuning", "negative", "others_tuning")
"""Roles of images that a model was made from, besides those of summaries."""


@dataclass(frozen=True)
class Boost:
    """What was found, and on what.

    Attributes:
        evaluation: The figures.
        album: The images they are of, those of specialised classes first.
        skipped: Files that could not be read, with the reason.
    """

    evaluation: Evaluation
    album: Album
    skipped: list[dict[str, str]]

    def to_json(self, classifier: Classifier) -> dict[str, Any]:
        """``boost.json``: the figures, with images by their names and classes by theirs."""
        data = self.evaluation.to_json()
        for kind in ("corrected", "broken"):
            for one in data[kind]:
                one["image"] = self.album.names[one["image"]]
        for row in data["classes"]:
            row["name"] = classifier.label(row["label"]).name
        return data | {"skipped": self.skipped}


def measure(
    model: Model,
    classifier: Classifier,
    folder: Path,
    *,
    val: Path,
    others_val: Path | None,
    allow_summary_images: bool,
    seed: int,
) -> Boost:
    """Measures a model and its controls on new photographs.

    Args:
        model: Read from the folder.
        classifier: The network that it was made from, inside its context.
        folder: The model folder.
        val: Photographs of the specialised classes, a folder a class; those of other classes count as others.
        others_val: Photographs of other classes; without them, the evaluation part of ``--others``.
        allow_summary_images: Whether images of summaries may be evaluated on.
        seed: Of the bootstrap.

    Raises:
        UserError: An image was seen in training (see `specialize.leakage`), or there is none.
    """
    uses = read_uses(folder, classifier.count_classes())
    looker = Looker(classifier, model.tap, inside(folder, "work", "features.npz"), model.about["model"]["fingerprint"])
    with progress("validation images", "images") as tick:
        album, skipped = looker.photographs(list_photos(val, classifier, what="`val`"), tick)
    classes = model.method.blend.classes
    if not np.isin(album.labels, classes).any():
        unreadable = f", for instance {skipped[0]['path']}: {skipped[0]['reason']}" if skipped else ""
        raise UserError(f"`val` {val} holds no readable image of a specialised class{unreadable}")
    with progress("other classes", "images") as tick:
        rest, unread = looker.photographs(_others(uses, classifier, others_val), tick)
    looker.save()
    skipped += unread
    for reason in skipped:
        say(f"{reason['path']} is skipped: {reason['reason']}")
    whole = joined([album, rest]) if rest.names else album
    if not allow_summary_images:
        check_apart(
            _prints(uses, ("summary",)),
            whole.prints,
            "part of a summary",
            "take it out, or give `allow_summary_images`",
        )
    check_apart(_prints(uses, SEEN), whole.prints, "used in training", "take it out of `val` or `others_val`")
    held = held_of(whole, classes)
    return Boost(evaluate(model.methods, held, order=METHODS, further=FURTHER, seed=seed), whole, skipped)


def read_uses(folder: Path, count: int) -> list[ImageUse]:
    """The images that a model was made from.

    Args:
        folder: The model folder.
        count: Classes of its network.

    Raises:
        UserError: ``images.csv`` is missing or damaged.
    """
    file = inside(folder, "images.csv")
    uses = read_csv(file, ImageUse)
    if any(use.label >= count for use in uses):
        raise UserError(f"{file} is damaged: the network has {count} classes: specialise again")
    return uses


def _others(uses: list[ImageUse], classifier: Classifier, others_val: Path | None) -> list[Photo]:
    if others_val is not None:
        return list_photos(others_val, classifier, what="`others_val`")
    photos = [Photo(path_on_record(use.path), use.label) for use in uses if use.role == "others_evaluation"]
    absent = next((photo.path for photo in photos if not photo.path.is_file()), None)
    if absent is not None:
        raise UserError(f"{absent} of the evaluation part of `others` is not there any more: give `others_val`")
    return photos


def _prints(uses: list[ImageUse], roles: tuple[str, ...]) -> Prints:
    """What the images of some roles are told apart by."""
    chosen = [use for use in uses if use.role in roles]
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(use.dhash), np.uint8)).astype(np.bool_) for use in chosen]
    return Prints([use.path for use in chosen], [use.sha256 for use in chosen], np.array(bits))


def about_of(model: Model, folder: Path, val: Path, others_val: Path | None) -> dict[str, Any]:
    """What an evaluation was made from; ``model_file`` is the hash of the ``model.json`` in the folder."""
    return {
        "model_file": hash_file(folder / "model.json"),
        "model": model.about["model"]["spec"],
        "chosen": model.about["tuned"] | {"harm_limit": model.about["settings"]["tuning"]["harm_limit"]},
        "summaries": [asdict(row) for row in model.summaries],
        "val": recorded_path(val),
        "others_val": None if others_val is None else recorded_path(others_val),
        "seed": model.about["seed"],
    }
