"""A cache of features: every image goes through the network once, and its features are kept in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visual_summaries.masks.errors import UnusableImageError, UserError
from visual_summaries.masks.inputs.ids import recorded_path
from visual_summaries.masks.inputs.reading import file_sha256, read_image
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.specialize.feature_set import FeatureSet
from visual_summaries.specialize.features import Tap, extract
from visual_summaries.specialize.leakage import BITS, phash
from visual_summaries.specialize.photos import Photo
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import digest, write_npz
from visual_summaries.summaries.progress import Tick, say
from visual_summaries.summaries.store import Run

BATCH = 32
"""Images in one forward pass."""

VERSION = 3
"""Of the cached values; raised with every change of how frames, vectors, logits or hashes are computed."""

SCHEMA = {
    "key": Array("U", ()),
    "names": Array("U", ("images",)),
    "phash": Array("u", ("images", BITS // 8), 0, 255),
    "vectors": Array("f", ("images", "vector"), -1e30, 1e30),
    "logits": Array("f", ("images", "logits"), -1e30, 1e30),
}
"""Of the cache file."""

Keyed = tuple[str, str, NDArray[np.uint8]]
"""The cache key of an image, its name for messages, and its frame."""


class FeatureCache:
    """Extracts features of images, and keeps them in a file.

    Args:
        classifier: Inside its context.
        tap: Where features are read.
        file: Cache file; if it is deleted, the features are computed again.
        fingerprint: Of the classifier.
    """

    def __init__(self, classifier: Classifier, tap: Tap, file: Path, fingerprint: str) -> None:
        self.classifier = classifier
        self.tap = tap
        self.file = file
        self.key = digest([VERSION, fingerprint, classifier.device.type, asdict(tap)])
        self._known: dict[str, tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]] = {}
        if file.is_file():
            self._read()

    def _read(self) -> None:
        """Reads the file, if its features are of the same network and tap."""
        empty = np.zeros((*self.classifier.frame.size, 3), np.uint8)
        expected = extract(self.classifier, self.tap, [empty])
        try:
            if str(read_arrays(self.file, {"key": Array("U", ())})["key"]) != self.key:
                return
            stored = read_arrays(self.file, SCHEMA, vector=expected.vectors.shape[1], logits=expected.logits.shape[1])
        except UserError as error:
            say(f"{error}: the features are computed again")
            return
        hashes = np.unpackbits(stored["phash"].astype(np.uint8), axis=1)[:, :BITS].astype(np.bool_)
        vectors, logits = (stored[name].astype(np.float32) for name in ("vectors", "logits"))
        self._known = {
            str(name): (bits, vector, values)
            for name, bits, vector, values in zip(stored["names"], hashes, vectors, logits, strict=True)
        }

    def save(self) -> None:
        """Writes the file."""
        if not self._known:
            return
        names = sorted(self._known)
        hashes, vectors, logits = (np.stack([self._known[name][k] for name in names]) for k in range(3))
        try:
            write_npz(
                self.file,
                compress=False,
                key=np.array(self.key),
                names=np.array(names),
                phash=np.packbits(hashes.astype(np.bool_), axis=1),
                vectors=vectors,
                logits=logits,
            )
        except OSError as error:  # the features are still in memory
            say(f"{self.file} cannot be written ({error.strerror}): the features are computed again next time")

    def photographs(self, photos: Sequence[Photo], tick: Tick) -> tuple[FeatureSet, list[dict[str, str]]]:
        """Features of files.

        Returns:
            The features of those that can be read, and the path and reason of each other one.
        """
        names: list[str] = []
        failed: dict[int, str] = {}
        for k, photo in enumerate(photos):
            try:
                names.append(file_sha256(photo.path))
            except UnusableImageError as error:
                names.append("")
                failed[k] = str(error)

        def frames() -> Iterator[Keyed]:
            for k, (name, photo) in enumerate(zip(names, photos, strict=True)):
                if k not in failed and name not in self._known:
                    try:
                        read = read_image(photo.path)
                        yield name, recorded_path(photo.path), self.classifier.frame.cut(read.pixels, size=read.size)
                    except UnusableImageError as error:
                        failed[k] = str(error)
                tick(k + 1, len(photos))

        self._extract(frames())
        usable = [k for k in range(len(photos)) if k not in failed]
        skipped = [{"path": recorded_path(photos[k].path), "reason": failed[k]} for k in sorted(failed)]
        labels = np.array([photos[k].label for k in usable], dtype=np.int64)
        return self._set([recorded_path(photos[k].path) for k in usable], [names[k] for k in usable], labels), skipped

    def run(self, run: Run, label: int) -> FeatureSet:
        """Features of the frames of a run's images."""
        rows = [row for row in run.images if row.status == "ok"]
        self._extract((row.sha256, row.path, run.frame(row.id)) for row in rows if row.sha256 not in self._known)
        return self._set(
            [row.path for row in rows], [row.sha256 for row in rows], np.full(len(rows), label, dtype=np.int64)
        )

    def crops(self, names: Sequence[str], crops: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors (N, M) of crops of the frame's size, each with a cache key of its own."""
        self._extract((name, name, crop) for name, crop in zip(names, crops, strict=True) if name not in self._known)
        return self._stacked(names, 1)

    def _set(self, names: list[str], sha256: list[str], labels: NDArray[np.int64]) -> FeatureSet:
        return FeatureSet(
            names,
            sha256,
            labels,
            self._stacked(sha256, 0).astype(np.bool_),
            self._stacked(sha256, 1),
            self._stacked(sha256, 2),
        )

    def _stacked(self, names: Sequence[str], index: int) -> NDArray[np.float32]:
        return np.stack([self._known[name][index] for name in names]) if names else np.zeros((0, 1), np.float32)

    def _extract(self, images: Iterable[Keyed]) -> None:
        batch: dict[str, tuple[str, NDArray[np.uint8]]] = {}
        for name, shown, frame in images:
            batch[name] = shown, frame
            if len(batch) == BATCH:
                self._forward(batch)
        if batch:
            self._forward(batch)

    def _forward(self, batch: dict[str, tuple[str, NDArray[np.uint8]]]) -> None:
        extracted = extract(self.classifier, self.tap, [frame for _, frame in batch.values()])
        for (name, (shown, frame)), vector, logits in zip(
            batch.items(), extracted.vectors, extracted.logits, strict=True
        ):
            if not (np.isfinite(vector).all() and np.isfinite(logits).all()):
                raise UserError(
                    f"{self.classifier.spec} gives values that are not finite for {shown}: check the weights, mean and "
                    "std of the network"
                )
            self._known[name] = phash(Image.fromarray(frame)), vector, logits
        batch.clear()
