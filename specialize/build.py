"""The whole of ``visual-summaries specialize``: from runs and photographs to a model folder."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.blend import plain_blend
from visual_summaries.specialize.controls import DRAWS, kmeans_groups, one_per_class, random_groups
from visual_summaries.specialize.description import SummaryRow
from visual_summaries.specialize.feature_cache import Album, Looker, joined, list_photos
from visual_summaries.specialize.features import find_places, find_tap
from visual_summaries.specialize.leakage import BITS, check_apart
from visual_summaries.specialize.model import Model, write_arrays, write_description
from visual_summaries.specialize.options import Settings, SvmOptions
from visual_summaries.specialize.parts import find_shown, part_machines
from visual_summaries.specialize.svm import Group, OneSidedError, Svms, gram_of, train
from visual_summaries.specialize.training_set import (
    Material,
    Parts,
    Source,
    assemble,
    assemble_places,
    empty_like,
    read_sources,
    split_others,
    split_training,
)
from visual_summaries.specialize.tuning import Method, candidates, choose_weight, decide_all, points, right_along
from visual_summaries.summaries.files import Count, hash_file, read_json, write_bytes, write_csv
from visual_summaries.summaries.folders import claimed, inside, remove_files
from visual_summaries.summaries.pages.drawing import member_picture
from visual_summaries.summaries.pages.gallery_pictures import jpeg
from visual_summaries.summaries.pipeline import IMAGE_CHAIN
from visual_summaries.summaries.pipeline.engine import packages
from visual_summaries.summaries.progress import progress, say
from visual_summaries.summaries.settings import plain
from visual_summaries.summaries.store import Run

PICTURES = "summaries"
"""Folder of the summaries' exemplars in a model folder."""


@dataclass(frozen=True)
class ImageUse:
    """A row of a model folder's ``images.csv``: an image and what it is for (see `specialize.training_set.Parts`)."""

    path: str
    sha256: str
    dhash: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{BITS // 4}}}$")]
    label: Count
    role: Literal["summary", "train", "tuning", "negative", "others_tuning", "others_evaluation"]


def build(
    runs: Sequence[Run],
    classifier: Classifier,
    *,
    train_root: Path,
    others: Path | None,
    out: Path,
    settings: Settings | None = None,
    left_out: Sequence[str] = (),
    seed: int = 0,
    config: dict[str, Any] | None = None,
) -> Model:
    """Trains and tunes the SVMs of the runs' summaries, and what they are compared with.

    Args:
        runs: One a class, of the classifier's network.
        classifier: Inside its context.
        train_root: Training images, a folder a class; those of classes without a run are not used.
        others: Photographs of other classes (see `specialize.feature_cache.list_photos`); None where every class is
            specialised.
        out: Model folder.
        settings: Hyperparameters.
        left_out: Summaries that get no SVM, as RUN/NUMBER; with SVMs of parts, theirs are negative for the others.
        seed: Of every random choice.
        config: How to load the classifier again, as runs record it.

    Raises:
        UserError: For whatever a user can cause.
    """
    with claimed(out, "model"):
        return _build(
            runs, classifier, train_root, others, out, settings or Settings(), left_out, seed=seed, config=config or {}
        )


def _build(
    runs: Sequence[Run],
    classifier: Classifier,
    train_root: Path,
    others: Path | None,
    out: Path,
    settings: Settings,
    left_out: Sequence[str],
    *,
    seed: int,
    config: dict[str, Any],
) -> Model:
    classes, sources, leave = read_sources(runs, left_out)
    fingerprint = classifier.fingerprint()
    if runs[0].info["model"]["fingerprint"] != fingerprint:
        raise UserError(f"{classifier.spec} is not the network that {runs[0].path} was made with")
    if classes[-1] >= classifier.count_classes():
        raise UserError(f"a run is of class {classes[-1]}, the network has {classifier.count_classes()} classes")
    unspecialised = classifier.count_classes() - len(classes)
    if others is None and unspecialised:
        raise UserError(f"{unspecialised} classes of the network have no run: give photographs of them with `others`")
    tap = find_tap(classifier, settings.features)
    looker = Looker(classifier, tap, inside(out, "work", "features.npz"), fingerprint)
    parts, skipped = _look(
        looker, runs, [*sources, *leave] if tap.maps else sources, classes, train_root, others, settings, seed
    )
    places = find_places(classifier, tap, settings.features)
    if places is None:
        material = assemble(parts, sources, looker, settings.svm)
    else:
        material = assemble_places(parts, sources, leave, places)
    looker.save()
    try:
        methods = fit(material, settings, seed)
    except OneSidedError as error:
        raise UserError(f"{error}: a summary has nothing to be told apart from, use `svm.others`") from None
    model = Model(
        tap,
        methods,
        [
            SummaryRow(
                one.run.path.name.encode(errors="replace").decode(),
                one.summary.summary,
                one.summary.name,
                one.owner,
                len(one.summary.members),
            )
            for one in sources
        ],
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
            "left_out": list(left_out),
            "settings": plain(settings),
            "seed": seed,
            "tuned": _tuned(methods[0], material),
            "tuned_controls": {method.name: _tuned(method, material) for method in methods[1:]},
            "images": {role: len(album.names) for role, album in vars(parts).items()},
            "skipped": skipped,
            "versions": {name: importlib.metadata.version(name) for name in packages(IMAGE_CHAIN)},
        },
    )
    write_arrays(out, model)  # from here on the folder holds no model, until the last file is there
    _write_images(out / "images.csv", parts)
    _draw(out / PICTURES, sources)
    write_description(out, model)
    _tell_stale(out)
    return model


def fit(material: Material, settings: Settings, seed: int) -> list[Method]:
    """The method of the summaries and all that it is compared with, each tuned under the same limit.

    Args:
        material: What to train and tune on.
        settings: Hyperparameters.
        seed: Of k-means and random groups.
    """
    alone = replace(settings.svm, siblings=False, others=True)  # without either there is nothing to tell apart from
    groups, shown = material.groups, {}
    if material.field is not None:
        shown = find_shown(material.field, material.vectors, groups, material.shunned, settings.svm, seed=seed)
    gram = gram_of(material.vectors) if material.field is None else None

    def of_groups(name: str, groups: Sequence[Group], options: SvmOptions) -> Method:
        if material.field is not None:
            machines = part_machines(material.field, material.vectors, groups, options, seed=seed, shown=shown)
        else:
            machines = partial(train, material.vectors, groups, material.against, options=options, gram=gram)
        return tuned(name, machines)

    def of_classes(name: str) -> Method:
        products = gram_of(material.images)
        return tuned(
            name, partial(train, material.images, material.whole, material.strangers, options=alone, gram=products)
        )

    def tuned(name: str, machines: Callable[[float], Svms]) -> Method:
        tried = candidates(name, machines, material.classes, material.held, settings.tuning)
        return choose_weight(tried, material.held, settings.tuning)

    def plain_method(name: str, normalisation: str) -> Method:
        blend = plain_blend(material.classes, np.zeros(0, np.int64), normalisation)
        nothing = np.zeros((len(material.held.labels), 0), np.float32)
        return choose_weight([(Method(name, None, blend), nothing)], material.held, settings.tuning)

    plan: list[Callable[[], Method]] = [
        lambda: of_groups("summaries", groups, settings.svm),
        lambda: of_groups("one_per_class", one_per_class(groups), alone),
        lambda: of_groups("kmeans", kmeans_groups(groups, material.vectors, seed=seed), settings.svm),
        *(
            lambda k=k: of_groups(f"random:{k}", random_groups(groups, seed=seed + k), settings.svm)
            for k in range(DRAWS)
        ),
        *(
            lambda k=k: of_groups(f"random_no_siblings:{k}", random_groups(groups, seed=seed + k), alone)
            for k in range(DRAWS)
        ),
        lambda: plain_method("logit_bonus", "bonus"),
        lambda: plain_method("uniform", "uniform"),
        lambda: of_groups("summaries_no_siblings", groups, alone),
        lambda: of_classes("one_per_class_all"),
    ]
    methods = []
    with (
        threadpool_limits(limits=1),
        progress("SVMs", "methods") as tick,
    ):  # small matrices: threads only get in the way
        for done, method in enumerate(plan, 1):
            methods.append(method())
            tick(done, len(plan))
    return methods


def _look(
    looker: Looker,
    runs: Sequence[Run],
    sources: Sequence[Source],
    classes: NDArray[np.int64],
    train_root: Path,
    others: Path | None,
    settings: Settings,
    seed: int,
) -> tuple[Parts, list[dict[str, str]]]:
    """Looks at every image and splits them."""
    wanted = set(classes.tolist())
    listed = list_photos(train_root, looker.classifier, what="`train`")
    photos = [photo for photo in listed if photo.label in wanted]
    if {photo.label for photo in photos} != wanted:
        absent = min(wanted - {photo.label for photo in photos})
        raise UserError(f"`train` {train_root} has no folder of class {looker.classifier.label(absent).name!r}")
    stay = (
        [photo for photo in list_photos(others, looker.classifier, what="`others`") if photo.label not in wanted]
        if others
        else []
    )
    members = {(one.run.path, member.image) for one in sources for member in one.summary.members}
    summary = joined([_members(looker, run, members) for run in runs])
    with progress("training images", "images") as tick:
        album, skipped = looker.photographs(photos, tick)
    unread = min(wanted - set(album.labels.tolist()), default=None)  # each of its files is among the skipped
    if unread is not None:
        name = looker.classifier.label(unread).name
        raise UserError(
            f"`train` {train_root} has no readable image of class {name!r}, for instance {skipped[0]['path']}: "
            f"{skipped[0]['reason']}"
        )
    train_album, tuning = split_training(album, set(summary.sha256), settings.tuning.held_out, seed)
    negative = others_tuning = others_evaluation = empty_like(album)
    if stay:
        with progress("other classes", "images") as tick:
            rest, damaged = looker.photographs(stay, tick)
        skipped += damaged
        if not rest.names:
            raise UserError(f"`others` {others} has no readable image, for instance {damaged[0]['path']}")
        negative, others_tuning, others_evaluation = split_others(rest, settings.split, seed)
    for reason in skipped:
        say(f"{reason['path']} is skipped: {reason['reason']}")
    looker.save()
    check_apart(
        joined([summary, train_album]).prints, tuning.prints, "used in training too", "take one of each out of `train`"
    )
    return Parts(summary, train_album, tuning, negative, others_tuning, others_evaluation), skipped


def _members(looker: Looker, run: Run, members: set[tuple[Path, str]]) -> Album:
    """A run's images that are in a summary."""
    ids = [row.id for row in run.images if row.status == "ok"]
    album = looker.run(run, int(run.info["target"]["index"]))
    return album.take(np.array([k for k, name in enumerate(ids) if (run.path, name) in members], dtype=np.int64))


def _tuned(method: Method, material: Material) -> dict[str, Any]:
    """What was chosen for a method, and what it does on the images it was chosen on."""
    held = material.held
    before = held.logits.argmax(axis=1) == held.labels
    decisions = decide_all([method], held.vectors)[0]
    right = right_along(method.blend, decisions, held, np.array([method.blend.weight]))[0]
    gain, harm = points(right, before, held.other)
    return {
        "cost": method.cost,
        "normalisation": method.blend.normalisation,
        "weight": method.blend.weight,
        "gain": gain,
        "harm": harm if held.other.any() else None,
        "images": int((~held.other).sum()),
        "others": int(held.other.sum()),
    }


def _write_images(path: Path, parts: Parts) -> None:
    rows = [
        ImageUse(name, sha, np.packbits(mark).tobytes().hex(), int(label), role)  # type: ignore[arg-type]
        for role, album in vars(parts).items()
        for name, sha, mark, label in zip(album.names, album.sha256, album.dhash, album.labels, strict=True)
    ]
    write_csv(path, ImageUse, rows)


def _tell_stale(folder: Path) -> None:
    """Says where an evaluation in the folder is of the model before."""
    try:
        found = read_json(inside(folder, "boost.json"), dict[str, Any]).get("model_file")
    except UserError:
        return  # there is none
    if found != hash_file(folder / "model.json"):
        say(
            f"{folder / 'boost.json'} and its page are of the model before: run `visual-summaries evaluate boost` again"
        )


def _draw(folder: Path, sources: Sequence[Source]) -> None:
    """Each summary's exemplar, for pages."""
    written = set()
    for number, one in enumerate(sources):
        member = one.summary.members[0]
        picture = member_picture(one.run.frame(member.image), one.run.mask(member.image).binary, member.box)
        name = f"summary-{number:03d}.jpg"
        write_bytes(folder / name, jpeg(picture))
        written.add(name)
    remove_files(folder, written)
