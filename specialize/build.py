"""The work of ``visual-summaries specialize``: from runs and photographs to a model folder."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.description import SummaryRow
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.features import find_pooling, find_tap
from visual_summaries.specialize.fit import fit
from visual_summaries.specialize.image_uses import write_uses
from visual_summaries.specialize.model import Model, write_arrays, write_description
from visual_summaries.specialize.options import SpecializeOptions
from visual_summaries.specialize.sources import Source, read_sources
from visual_summaries.specialize.splits import Splits, read_splits
from visual_summaries.specialize.svm import OneSidedError
from visual_summaries.specialize.training_set import TrainingSet, assemble, assemble_windows
from visual_summaries.specialize.tuning import Method, decide_all, points, right_along
from visual_summaries.summaries.files import hash_file, read_json, write_bytes
from visual_summaries.summaries.folders import claimed, inside, remove_files
from visual_summaries.summaries.pages.drawing import member_picture
from visual_summaries.summaries.pages.gallery_pictures import jpeg
from visual_summaries.summaries.pipeline import IMAGE_CHAIN
from visual_summaries.summaries.pipeline.engine import packages
from visual_summaries.summaries.progress import say
from visual_summaries.summaries.settings import plain
from visual_summaries.summaries.store import Run

PICTURES = "summaries"
"""Folder of the pictures of exemplars in a model folder."""


def build(
    runs: Sequence[Run],
    classifier: Classifier,
    *,
    train_root: Path,
    others: Path | None,
    out: Path,
    options: SpecializeOptions | None = None,
    exclude: Sequence[str] = (),
    seed: int = 0,
    config: dict[str, Any] | None = None,
) -> Model:
    """Trains and tunes the SVMs of the runs' summaries and the controls, and writes a model folder.

    Args:
        runs: One a class, of the classifier's network.
        classifier: Inside its context.
        train_root: Training images, a folder a class; those of classes without a run are not used.
        others: Photographs of other classes (see `specialize.photos.list_photos`); None if every class is specialised.
        out: Model folder.
        options: Hyperparameters.
        exclude: Summaries that get no SVM, as RUN/NUMBER; with level "window", windows that show their parts are
            negatives.
        seed: Of every random choice.
        config: How to load the classifier again, as recorded by runs.

    Raises:
        UserError: The runs, the photographs or the folder cannot be used.
    """
    with claimed(out, "model"):
        return _build(
            runs,
            classifier,
            train_root,
            others,
            out,
            options or SpecializeOptions(),
            exclude,
            seed=seed,
            config=config or {},
        )


def _build(
    runs: Sequence[Run],
    classifier: Classifier,
    train_root: Path,
    others: Path | None,
    out: Path,
    options: SpecializeOptions,
    exclude: Sequence[str],
    *,
    seed: int,
    config: dict[str, Any],
) -> Model:
    classes, sources, excluded = read_sources(runs, exclude)
    fingerprint = classifier.fingerprint()
    _check_network(runs, classifier, fingerprint, classes, others)
    tap = find_tap(classifier, options.features)
    cache = FeatureCache(classifier, tap, inside(out, "work", "features.npz"), fingerprint)
    splits, skipped = read_splits(
        cache, runs, [*sources, *excluded] if tap.maps else sources, classes, train_root, others, options, seed
    )
    pooling = find_pooling(classifier, tap, options.features)
    if pooling is None:
        training = assemble(splits, sources, cache, options.svm)
    else:
        training = assemble_windows(splits, sources, excluded, pooling)
    cache.save()
    try:
        methods = fit(training, options, seed)
    except OneSidedError as error:
        raise UserError(f"{error}: a summary has no negatives, use `svm.others`") from None
    model = Model(
        tap,
        methods,
        [_summary_row(one) for one in sources],
        {
            "model": {"spec": classifier.spec, "fingerprint": fingerprint, "config": config},
            "classes": [
                {
                    "index": int(index),
                    "name": classifier.label(int(index)).name,
                    "wordnet": classifier.label(int(index)).wordnet,
                }
                for index in classes
            ],
            "excluded": list(exclude),
            "options": plain(options),
            "seed": seed,
            "tuned": _tuned(methods[0], training),
            "tuned_controls": {method.name: _tuned(method, training) for method in methods[1:]},
            "images": {role: len(features.names) for role, features in vars(splits).items()},
            "skipped": skipped,
            "versions": {name: importlib.metadata.version(name) for name in packages(IMAGE_CHAIN)},
        },
    )
    _write(out, model, splits, sources)
    return model


def _check_network(
    runs: Sequence[Run], classifier: Classifier, fingerprint: str, classes: NDArray[np.int64], others: Path | None
) -> None:
    """Refuses runs of another network, and a missing folder of other classes."""
    if runs[0].info["model"]["fingerprint"] != fingerprint:
        raise UserError(f"{classifier.spec} is not the network that {runs[0].path} was made with")
    if classes[-1] >= classifier.count_classes():
        raise UserError(f"a run is of class {classes[-1]}, the network has {classifier.count_classes()} classes")
    unspecialised = classifier.count_classes() - len(classes)
    if others is None and unspecialised:
        raise UserError(f"{unspecialised} classes of the network have no run: give photographs of them with `others`")


def _summary_row(source: Source) -> SummaryRow:
    return SummaryRow(
        source.run.path.name.encode(errors="replace").decode(),
        source.summary.summary,
        source.summary.name,
        source.owner,
        len(source.summary.members),
    )


def _tuned(method: Method, training: TrainingSet) -> dict[str, Any]:
    """The chosen hyperparameters of a method, and its gain and harm on the images they were chosen on."""
    held_out = training.held_out
    before = held_out.logits.argmax(axis=1) == held_out.labels
    decisions = decide_all([method], held_out.vectors)[0]
    right = right_along(method.blend, decisions, held_out, np.array([method.blend.weight]))[0]
    gain, harm = points(right, before, held_out.other)
    return {
        "cost": method.cost,
        "normalisation": method.blend.normalisation,
        "weight": method.blend.weight,
        "gain": gain,
        "harm": harm if held_out.other.any() else None,
        "images": int((~held_out.other).sum()),
        "others": int(held_out.other.sum()),
    }


def _write(out: Path, model: Model, splits: Splits, sources: Sequence[Source]) -> None:
    """Writes the model folder; until the last file is written, it is no model."""
    write_arrays(out, model)
    write_uses(out, splits)
    _draw(out / PICTURES, sources)
    write_description(out, model)
    _warn_stale(out)


def _warn_stale(folder: Path) -> None:
    """Says if an evaluation in the folder is of the previous model."""
    try:
        found = read_json(inside(folder, "boost.json"), dict[str, Any]).get("model_file")
    except UserError:
        return  # there is none
    if found != hash_file(folder / "model.json"):
        say(
            f"{folder / 'boost.json'} and its page are of the previous model: run `visual-summaries evaluate boost` "
            "again"
        )


def _draw(folder: Path, sources: Sequence[Source]) -> None:
    """A picture of each summary's exemplar, for pages."""
    written = set()
    for number, one in enumerate(sources):
        member = one.summary.members[0]
        picture = member_picture(one.run.frame(member.image), one.run.mask(member.image).binary, member.box)
        name = f"summary-{number:03d}.jpg"
        write_bytes(folder / name, jpeg(picture))
        written.add(name)
    remove_files(folder, written)
