"""Photographs of known classes, found in a folder: class folders, or files whose names say their class."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.folders import class_folders, list_images
from visual_summaries.masks.inputs.reading import is_image_name
from visual_summaries.masks.networks.classifier import Classifier, find_class

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photo:
    """A photograph of a known class.

    Attributes:
        path: The file.
        label: Index of its class.
    """

    path: Path
    label: int


def list_photos(root: Path, classifier: Classifier, *, what: str) -> list[Photo]:
    """The photographs of a folder of class folders, or of a folder whose files name their class.

    A folder is named after its class (see `masks.networks.classifier.find_class`). A file name begins with the index of
    the class, or contains its WordNet id, as in ``0065_n02085620_chihuahua.jpg``. Folders and files that are ignored,
    such as folders without images, are logged in one line (see `masks.inputs.folders.class_folders`).

    Args:
        root: The folder.
        classifier: Its labels are the known classes.
        what: The option that named the folder, for messages.

    Raises:
        UserError: The folder contains no photograph, or a class is unknown.
    """
    count = classifier.count_classes()
    if not root.is_dir():
        raise UserError(f"{what} {root} is not a folder: give class folders, or files named after their class")
    folders = class_folders(root)
    photos = []
    for folder in folders:
        label = find_class(folder.name, classifier.labels, count)
        if label is None:
            raise UserError(
                f"{what} {folder} is named after no class: name it after its class, WordNet id or class index"
            )
        photos += [Photo(file.path, label) for file in list_images(folder)]
    if not folders:
        files = [file.path for file in list_images(root)]
        others = [path.name for path in files if not is_image_name(path)]
        if others:
            _log.warning("ignored in %s, not images: %s", root, ", ".join(others))
        photos = [Photo(path, _class_of(path, classifier, count, what)) for path in files if is_image_name(path)]
    if not photos:
        raise UserError(f"{what} {root} contains no photographs")
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
