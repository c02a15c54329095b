"""The class folders of a root, the files of a class folder, and the id of each file.

Hidden folders, folders that other programs create beside photographs, and folders without pictures are skipped with a
message. A class whose pictures are one folder deeper is found. Every other file is listed, including broken links, so
that the run records why it cannot be read.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import safe_id

MADE_BY_PROGRAMS = frozenset(
    ("@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found")
)
"""Folders that file servers, archives and file systems create beside photographs; some hold previews of them."""

NESTED = "images"
"""The subfolder of a class folder in which some collections keep its pictures."""

RECORD = "run.json"
"""A file in every folder that this program writes: pictures there are results, not photographs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFile:
    """A file of the class folder, before it is read.

    Attributes:
        id: The file's name without its suffix; with the suffix if two files would share an id; with unsafe characters
            replaced and a part of its hash added (see `masks.inputs.ids`).
        path: The file.
    """

    id: str
    path: Path


def _is_picture(path: Path) -> bool:
    """Whether a file has the suffix of a supported format."""
    from visual_summaries.masks.inputs.reading import is_image_name  # here, because decoders are slow to import

    return is_image_name(path)


def class_folders(folder: Path) -> list[Path]:
    """The class folders of a root, which is a folder without pictures directly in it.

    Skipped folders are logged.

    Returns:
        The folders with pictures in sorted order, or an empty list if the folder itself is a class folder.

    Raises:
        UserError: If the folder does not exist or is a file, holds both pictures and class folders, or has its class
            folders in a subfolder ``images``.
    """
    files, folders = _look_into(folder)
    pictures = [file for file in files if _is_picture(file)]
    holding = [child for child in folders if _holds_pictures(child, deeper=True)]
    names = _list([child.name for child in holding])
    if pictures:
        if len(holding) > 1 or any(_count_pictures(child) > len(pictures) for child in holding):
            raise UserError(
                f"{folder} holds pictures ({_list([file.name for file in pictures])}) beside folders of pictures "
                f"({names}): move the pictures away to run each folder as a class, or the folders to run the pictures"
            )
        if holding:
            _log.warning("passed over, inside of the class folder %s: %s", folder, names)
        return []
    if [child.name.casefold() for child in holding] == [NESTED]:
        deeper = _look_into(holding[0])
        if not any(map(_is_picture, deeper[0])):
            classes = _list([child.name for child in deeper[1] if _holds_pictures(child, deeper=True)])
            raise UserError(f"{folder} holds no pictures, but class folders lie deeper ({classes}): give {holding[0]}")
        return []
    passed = sorted(child.name for child in folder.iterdir() if child.is_dir() and child not in holding)
    if holding and passed:
        _log.warning("passed over in %s, without pictures of a class: %s", folder, _list(passed))
    return holding


def list_images(folder: Path) -> list[ImageFile]:
    """All visible files of a class folder, sorted by name, each with a unique id.

    If the folder has no pictures directly in it, but one of its subfolders has, as in ``CLASS/images``, the files of
    the subfolder are included.

    Raises:
        UserError: If the folder does not exist, is empty, or has several subfolders with pictures.
    """
    files, folders = _look_into(folder)
    if not any(map(_is_picture, files)):
        holding = [child for child in folders if _holds_pictures(child, deeper=False)]
        if len(holding) > 1:
            names = _list([child.name for child in holding])
            raise UserError(f"{folder} holds no pictures, but folders in it do ({names}): give one class of them")
        for child in holding:
            files += _look_into(child)[0]
    if not files:
        raise UserError(f"{folder} is empty: give a folder of images of one class")
    taken: set[str] = set()
    found = []
    for path in files:
        name = safe_id(path.stem)
        if _key(name) in taken:
            name = safe_id(path.name)
        while _key(name) in taken:
            name = safe_id(name + "_")
        taken.add(_key(name))
        found.append(ImageFile(name, path))
    return found


def _key(name: str) -> str:
    """The same text for names that some file systems do not distinguish."""
    return unicodedata.normalize("NFC", name).casefold()


def _look_into(folder: Path) -> tuple[list[Path], list[Path]]:
    """The visible files of a folder, of any kind, and its subfolders, each sorted by name."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give a folder of images of one class")
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else files).append(folder / entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror or error}): see to its permissions") from None
    return sorted(files), sorted(child for child in folders if child.name not in MADE_BY_PROGRAMS)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # listed as a file, which cannot be read; the reason is recorded then


def _holds_pictures(folder: Path, *, deeper: bool) -> bool:
    """Whether a folder has a picture directly in it, or one folder deeper; True for a folder that cannot be read.

    A class that cannot be read is then reported when it is run, instead of being skipped as empty.
    """
    try:
        files, folders = _look_into(folder)
    except UserError:
        return True
    if folder / RECORD in files:
        return False
    return any(map(_is_picture, files)) or (deeper and any(_holds_pictures(f, deeper=False) for f in folders))


def _count_pictures(folder: Path) -> int:
    files, folders = _look_into(folder)
    return sum(map(_is_picture, files)) + sum(sum(map(_is_picture, _look_into(f)[0])) for f in folders)


def _list(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
