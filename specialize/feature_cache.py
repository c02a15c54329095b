"""Photographs as a network sees them: vectors, logits and prints, kept so that each is looked at once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.folders import class_folders, list_images
from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.masks.inputs.reading import file_sha256, is_image_name, read_image
from visual_summaries.masks.networks.classifier import Classifier, find_class
from visual_summaries.specialize.features import Tap, look
from visual_summaries.specialize.leakage import BITS, Prints, dhash
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import digest, write_npz
from visual_summaries.summaries.progress import Tick, say
from visual_summaries.summaries.store import Run

_log = logging.getLogger(__name__)

BATCH = 32
"""Images that go through the network at once."""

VERSION = 2
"""Of what is kept of an image; to be raised by whoever changes how frames, vectors, logits or prints are made."""

SCHEMA = {
    "key": Array("U", ()),
    "names": Array("U", ("images",)),
    "dhash": Array("u", ("images", BITS // 8), 0, 255),
    "vectors": Array("f", ("images", "vector"), -1e30, 1e30),
    "logits": Array("f", ("images", "logits"), -1e30, 1e30),
}
"""Of the file of what was seen."""

Named = tuple[str, str, NDArray[np.uint8]]
"""What an image is kept under, what it is called in messages, and its frame."""


@dataclass(frozen=True)
class Photo:
    """A photograph of a known class.

    Attributes:
        path: The file.
        label: Index of its class.
    """

    path: Path
    label: int


@dataclass(frozen=True)
class Album:
    """Photographs that were looked at.

    Attributes:
        names: N paths, as given (see `masks.inputs.ids.recorded_path`).
        sha256: N hashes of the files.
        labels: int64 (N,).
        dhash: bool (N, 144) of the frames.
        vectors: float32 (N, D).
        logits: float32 (N, K).
    """

    names: list[str]
    sha256: list[str]
    labels: NDArray[np.int64]
    dhash: NDArray[np.bool_]
    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def prints(self) -> Prints:
        """What the images are told apart by."""
        return Prints(self.names, self.sha256, self.dhash)

    def take(self, rows: NDArray[np.int64]) -> Album:
        """Some of the photographs."""
        return Album(
            [self.names[k] for k in rows],
            [self.sha256[k] for k in rows],
            self.labels[rows],
            self.dhash[rows],
            self.vectors[rows],
            self.logits[rows],
        )


def joined(albums: Sequence[Album]) -> Album:
    """Several albums as one."""
    return Album(
        [name for album in albums for name in album.names],
        [value for album in albums for value in album.sha256],
        np.concatenate([album.labels for album in albums]),
        np.concatenate([album.dhash for album in albums]),
        np.concatenate([album.vectors for album in albums]),
        np.concatenate([album.logits for album in albums]),
    )


class Looker:
    """Looks at images through a tapped network and remembers what it saw in a file.

    Args:
        classifier: Inside its context.
        tap: Where it is tapped.
        cache: File of what was seen; may be deleted, it is made again.
        fingerprint: Of the classifier.
    """

    def __init__(self, classifier: Classifier, tap: Tap, cache: Path, fingerprint: str) -> None:
        self.classifier = classifier
        self.tap = tap
        self.cache = cache
        self.key = digest([VERSION, fingerprint, classifier.device.type, asdict(tap)])
        self._seen: dict[str, tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]] = {}
        if cache.is_file():
            self._read()

    def _read(self) -> None:
        """Takes over what the file holds, if it was seen through the same tap of the same network."""
        empty = np.zeros((*self.classifier.frame.size, 3), np.uint8)
        known = look(self.classifier, self.tap, [empty])
        try:
            if str(read_arrays(self.cache, {"key": Array("U", ())})["key"]) != self.key:
                return
            stored = read_arrays(self.cache, SCHEMA, vector=known.vectors.shape[1], logits=known.logits.shape[1])
        except UserError as error:
            say(f"{error}: the features are made again")
            return
        marks = np.unpackbits(stored["dhash"].astype(np.uint8), axis=1)[:, :BITS].astype(np.bool_)
        vectors, logits = (stored[name].astype(np.float32) for name in ("vectors", "logits"))
        self._seen = {
            str(name): (mark, vector, values)
            for name, mark, vector, values in zip(stored["names"], marks, vectors, logits, strict=True)
        }

    def save(self) -> None:
        """Writes what was seen."""
        if not self._seen:
            return
        names = sorted(self._seen)
        marks, vectors, logits = (np.stack([self._seen[name][k] for name in names]) for k in range(3))
        try:
            write_npz(
                self.cache,
                compress=False,
                key=np.array(self.key),
                names=np.array(names),
                dhash=np.packbits(marks.astype(np.bool_), axis=1),
                vectors=vectors,
                logits=logits,
            )
        except OSError as error:  # what was seen is still in memory
            say(f"{self.cache} cannot be written ({error.strerror}): the features are made again next time")

    def photographs(self, photos: Sequence[Photo], tick: Tick) -> tuple[Album, list[dict[str, str]]]:
        """Looks at files.

        Returns:
            The album of those that could be read, and the others with their reason.
        """
        names: list[str] = []
        failed: dict[int, str] = {}
        for k, photo in enumerate(photos):
            try:
                names.append(file_sha256(photo.path))
            except UnusableImageError as error:
                names.append("")
                failed[k] = str(error)

        def frames() -> Iterator[Named]:
            for k, (name, photo) in enumerate(zip(names, photos, strict=True)):
                if k not in failed and name not in self._seen:
                    try:
                        read = read_image(photo.path)
                        yield name, recorded_path(photo.path), self.classifier.frame.cut(read.pixels, size=read.size)
                    except UnusableImageError as error:
                        failed[k] = str(error)
                tick(k + 1, len(photos))

        self._look(frames())
        usable = [k for k in range(len(photos)) if k not in failed]
        skipped = [{"path": recorded_path(photos[k].path), "reason": failed[k]} for k in sorted(failed)]
        labels = np.array([photos[k].label for k in usable], dtype=np.int64)
        return self._album([recorded_path(photos[k].path) for k in usable], [names[k] for k in usable], labels), skipped

    def run(self, run: Run, label: int) -> Album:
        """Looks at the frames of a run's images."""
        rows = [row for row in run.images if row.status == "ok"]
        self._look((row.sha256, row.path, run.frame(row.id)) for row in rows if row.sha256 not in self._seen)
        return self._album(
            [row.path for row in rows], [row.sha256 for row in rows], np.full(len(rows), label, dtype=np.int64)
        )

    def crops(self, names: Sequence[str], crops: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors (N, D) of crops of the frame's size, each under a name of its own."""
        self._look((name, name, crop) for name, crop in zip(names, crops, strict=True) if name not in self._seen)
        return self._stacked(names, 1)

    def _album(self, names: list[str], sha256: list[str], labels: NDArray[np.int64]) -> Album:
        return Album(
            names,
            sha256,
            labels,
            self._stacked(sha256, 0).astype(np.bool_),
            self._stacked(sha256, 1),
            self._stacked(sha256, 2),
        )

    def _stacked(self, names: Sequence[str], what: int) -> NDArray[np.float32]:
        return np.stack([self._seen[name][what] for name in names]) if names else np.zeros((0, 1), np.float32)

    def _look(self, images: Iterable[Named]) -> None:
        waiting: dict[str, tuple[str, NDArray[np.uint8]]] = {}
        for name, shown, frame in images:
            waiting[name] = shown, frame
            if len(waiting) == BATCH:
                self._pass(waiting)
        if waiting:
            self._pass(waiting)

    def _pass(self, waiting: dict[str, tuple[str, NDArray[np.uint8]]]) -> None:
        seen = look(self.classifier, self.tap, [frame for _, frame in waiting.values()])
        for (name, (shown, frame)), vector, logits in zip(waiting.items(), seen.vectors, seen.logits, strict=True):
            if not (np.isfinite(vector).all() and np.isfinite(logits).all()):
                raise UserError(
                    f"{self.classifier.spec} gives values that are not finite for {shown}: check the weights, mean and "
                    "std of the network"
                )
            self._seen[name] = dhash(Image.fromarray(frame)), vector, logits
        waiting.clear()


def list_photos(root: Path, classifier: Classifier, *, what: str) -> list[Photo]:
    """The photographs of a root of class folders, or of a folder whose files name their class.

    What is passed over, as folders without pictures are, is told in a line (see `masks.inputs.folders.class_folders`).

    A folder is named as a class (see `masks.networks.classifier.find_class`); a file's name begins with the class's
    index, or holds its WordNet id, as in ``0065_n02085620_chihuahua.jpg``.

    Args:
        root: The folder.
        classifier: Knows the classes.
        what: The option that gave the folder, for messages.

    Raises:
        UserError: The folder holds none, or a class is unknown.
    """
    count = classifier.count_classes()
    if not root.is_dir():
        raise UserError(f"{what} {root} is not a folder: give class folders, or files named after their class")
    folders = class_folders(root)
    photos = []
    for folder in folders:
        label = find_class(folder.name, classifier.labels, count)
        if label is None:
            raise UserError(f"{what} {folder} is named after no class")
        photos += [Photo(file.path, label) for file in list_images(folder)]
    if not folders:
        files = [file.path for file in list_images(root)]
        others = [path.name for path in files if not is_image_name(path)]
        if others:
            _log.warning("passed over in %s, no pictures: %s", root, ", ".join(others))
        photos = [Photo(path, _class_of(path, classifier, count, what)) for path in files if is_image_name(path)]
    if not photos:
        raise UserError(f"{what} {root} holds no photographs")
    return photos


def _class_of(path: Path, classifier: Classifier, count: int, what: str) -> int:
    wordnet = re.search(r"n\d{8}", path.name)
    index = re.match(r"\d+", path.name)
    if wordnet and any(label.wordnet == wordnet[0] for label in classifier.labels):
        found = find_class(wordnet[0], classifier.labels, count)
    elif index and int(index[0]) < count:
        found = int(index[0])
    else:
        found = None
    if found is None:
        raise UserError(f"{what} {path} names no class: begin the name with its index, or put its WordNet id in it")
    return found
