"""The work of ``visual-summaries evaluate boost``: from a model folder and new photographs to gain and harm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import path_on_record, recorded_path
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.boost_results import BoostResults
from visual_summaries.specialize.controls import FURTHER, METHODS
from visual_summaries.specialize.evaluate import evaluate
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.feature_set import FeatureSet, concatenated
from visual_summaries.specialize.image_uses import ImageUse, hashes_of, read_uses
from visual_summaries.specialize.leakage import check_no_duplicates
from visual_summaries.specialize.model import Model
from visual_summaries.specialize.photos import Photo, list_photos
from visual_summaries.specialize.tuning import held_out_of
from visual_summaries.summaries.files import hash_file
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.progress import progress, say

TRAINING_ROLES = ("train", "tuning", "negative", "others_tuning")
"""Roles of images that a model was trained or tuned on, besides members of summaries."""


@dataclass(frozen=True)
class Boost:
    """The results of an evaluation, and its images.

    Attributes:
        results: Gains and harms.
        images: The images, those of `val` first.
        skipped: Path and reason of each file that cannot be read.
    """

    results: BoostResults
    images: FeatureSet
    skipped: list[dict[str, str]]

    def to_json(self, classifier: Classifier) -> dict[str, Any]:
        """``boost.json``: the results, with the names of images and classes."""
        data = self.results.to_json()
        for kind in ("corrected", "broken"):
            for one in data[kind]:
                one["image"] = self.images.names[one["image"]]
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
        val: Photographs of the specialised classes, a folder a class; photographs of other classes count as others.
        others_val: Photographs of other classes; if None, those of ``--others`` that were kept for the evaluation.
        allow_summary_images: Whether members of summaries may be evaluated on.
        seed: Of the bootstrap.

    Raises:
        UserError: An image was used in training (see `specialize.leakage`), or there is no image.
    """
    uses = read_uses(folder, classifier.count_classes())
    cache = FeatureCache(
        classifier, model.tap, inside(folder, "work", "features.npz"), model.about["model"]["fingerprint"]
    )
    with progress("validation images", "images") as tick:
        specialised, skipped = cache.photographs(list_photos(val, classifier, what="`val`"), tick)
    classes = model.method.blend.classes
    if not np.isin(specialised.labels, classes).any():
        unreadable = f", for instance {skipped[0]['path']}: {skipped[0]['reason']}" if skipped else ""
        raise UserError(f"`val` {val} has no readable image of a specialised class{unreadable}")
    with progress("other classes", "images") as tick:
        others, unread = cache.photographs(_others(uses, classifier, others_val), tick)
    cache.save()
    skipped += unread
    for reason in skipped:
        say(f"{reason['path']} is skipped: {reason['reason']}")
    images = concatenated([specialised, others]) if others.names else specialised
    if not allow_summary_images:
        check_no_duplicates(
            hashes_of(uses, ("summary",)),
            images.hashes,
            "part of a summary",
            "remove it, or give `allow_summary_images`",
        )
    check_no_duplicates(
        hashes_of(uses, TRAINING_ROLES), images.hashes, "used in training", "remove it from `val` or `others_val`"
    )
    results = evaluate(model.methods, held_out_of(images, classes), order=METHODS, further=FURTHER, seed=seed)
    return Boost(results, images, skipped)


def _others(uses: list[ImageUse], classifier: Classifier, others_val: Path | None) -> list[Photo]:
    if others_val is not None:
        return list_photos(others_val, classifier, what="`others_val`")
    photos = [Photo(path_on_record(use.path), use.label) for use in uses if use.role == "others_evaluation"]
    absent = next((photo.path for photo in photos if not photo.path.is_file()), None)
    if absent is not None:
        raise UserError(f"{absent}, kept for the evaluation from `others`, no longer exists: give `others_val`")
    return photos


def about_of(model: Model, folder: Path, val: Path, others_val: Path | None) -> dict[str, Any]:
    """The inputs of an evaluation, for ``boost.json``; ``model_file`` is the hash of the folder's ``model.json``."""
    return {
        "model_file": hash_file(folder / "model.json"),
        "model": model.about["model"]["spec"],
        "chosen": model.about["tuned"] | {"harm_limit": model.about["options"]["tuning"]["harm_limit"]},
        "summaries": [asdict(row) for row in model.summaries],
        "val": recorded_path(val),
        "others_val": None if others_val is None else recorded_path(others_val),
        "seed": model.about["seed"],
    }
