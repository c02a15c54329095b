"""Which folders and files are the program's own: nothing of a user's is overwritten, deleted or reached through a link.

A folder is claimed before anything is written into it (:func:`claimed`). A folder that holds files and is none of
ours is refused. While it is claimed, each file that is written into it is named in its record, ``.written``: a line
that says what kind of folder it is, then a line for each file, ``+ PATH`` before it is first written and ``- PATH``
when it is removed. Only files that the record names are ever removed or overwritten, and neither follows a link inside
the folder.

:func:`inside` does the same for reading: a folder that somebody sent cannot lead out of itself.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from visual_summaries.masks.errors import UserError

RECORD = ".written"
LOCK = ".lock"
MARKS = {
    "run": ("run.json", ({"format", "stages"}, {"format", "versions"})),
    "model": ("model.json", ({"format", "methods", "tap"},)),
    "world": ("world.json", ({"classes", "pairs", "mark"},)),
}
"""Kinds of folders that a JSON file marks where there is no record: its name, and keys of which one set is there."""

KINDS = (*MARKS, "evaluation", "runs")
"""All kinds; a folder of runs may hold anything besides."""

_WORDS = {
    "run": "a run folder",
    "model": "a model folder",
    "world": "a folder of the embedded world",
    "evaluation": "a folder of an evaluation",
    "runs": "a folder of runs",
}

_log = logging.getLogger(__name__)
_PROGRAM = "visual-summaries"
_LONGEST = 1024  # characters of a path in a record
_STRAY = {".ds_store", "thumbs.db", "desktop.ini"}  # what file managers leave in any folder
_claims: dict[Path, Claim] = {}  # by absolute path, as it was given and without links


class Claim:
    """A folder that is being written, and the files in it that are ours.

    A folder of ours without a record comes from an earlier version, or lost its hidden files on the way: its files may
    be overwritten, and none is removed.

    Args:
        folder: The folder.
        kind: One of :data:`KINDS`.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.thread = threading.get_ident()
        self._lock = threading.Lock()
        record = _read_record(folder)
        if record is None:
            record = [_PROGRAM, kind, *(["adopted"] if kind_of(folder) == kind else [])], []
            self._append(" ".join(record[0]))
        self._adopted = "adopted" in record[0]
        self._files = {Path(name) for name in record[1]}
        self._clear()

    def _clear(self) -> None:
        """Deletes the temporary files that a killed process left of our files."""
        for folder in {name.parent for name in self._files}:
            path = self.folder / folder
            if _link_in(self.folder, folder) is not None or not path.is_dir():
                continue
            for file in path.glob(".*.*.tmp"):
                if folder / file.name[1:].rsplit(".", 2)[0] in self._files and not file.is_symlink():
                    file.unlink()

    def add(self, name: Path) -> None:
        """Names a file in the record, before it is written; a file there that is not ours is put aside.

        Args:
            name: Relative to the folder.

        Raises:
            UserError: If a folder on its way is a link.
        """
        path = inside(self.folder, name.parent) / name.name
        with self._lock:
            if name in self._files:
                return
            if not self._adopted and (path.exists() or path.is_symlink()):
                put_aside(path)
            self._append(f"+ {name.as_posix()}")
            self._files.add(name)

    def remove(self, names: Iterable[Path]) -> None:
        """Deletes files that the record names, and folders that are left empty.

        Args:
            names: Relative to the folder; those that the record does not name stay.
        """
        for name in sorted(set(names) & self._files):
            if _link_in(self.folder, name) is None and (self.folder / name).is_file():
                (self.folder / name).unlink()
                for parent in name.parents[:-1]:
                    with suppress(OSError):  # it holds something else
                        (self.folder / parent).rmdir()
            with self._lock:
                self._append(f"- {name.as_posix()}")
                self._files.discard(name)

    def within(self, folder: Path) -> list[Path]:
        """The files that the record names in a folder and in those in it, relative like the folder."""
        return [name for name in self._files if folder in name.parents]

    def _append(self, line: str) -> None:
        with (self.folder / RECORD).open("a", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            stream.write(f"{line}\n")


@contextmanager
def claimed(folder: Path, kind: str, *, option: str = "`out`") -> Iterator[None]:
    """Makes a folder ours to write, or continues in one of ours; nobody else writes it meanwhile.

    Args:
        folder: It may be missing, be empty, or be of this kind. A folder of runs may hold anything.
        kind: One of :data:`KINDS`.
        option: What names the folder, for messages.

    Raises:
        UserError: If it is something else, cannot be written, or is in use by another process.
    """
    check_free(folder, kind, option=option)
    keys = {Path(os.path.abspath(folder)), folder.resolve()}
    known = next((_claims[key] for key in keys if key in _claims), None)
    if known is not None and known.thread == threading.get_ident():  # claimed by a caller
        yield
        return
    busy = UserError(f"{folder} is in use by another process or thread: wait for it, or give another {option}")
    if known is not None:
        raise busy
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.stat(folder).st_mode & 0o222 or not os.access(folder, os.W_OK):
            raise PermissionError(13, "it is read-only")
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise busy from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write to {folder}: {reason}: give another {option} or change its permissions"
        ) from None
    try:
        claim = Claim(folder, kind)
        _claims.update(dict.fromkeys(keys, claim))
        yield
    finally:
        for key in keys:
            _claims.pop(key, None)
        lock.release()


def check_free(folder: Path, kind: str, *, option: str = "`out`") -> None:
    """Refuses a folder that holds anything and is not of a kind.

    Raises:
        UserError: If it is; nothing was written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"cannot write to {folder}: it is a file: give another {option}")
    if not folder.is_dir():
        return
    for name in (RECORD, LOCK):
        if (folder / name).is_symlink():
            raise UserError(f"{folder / name} is a link: give another {option}")
    found = kind_of(folder)
    if found not in (None, kind):
        raise UserError(f"{option} {folder} is {_WORDS[found]}, not {_WORDS[kind]}: give another {option}")
    if found is None and (folder / RECORD).exists() and (folder / RECORD).stat().st_size > 0:
        raise UserError(f"{folder / RECORD} was not written by this program: give another {option}")
    if found is None and kind != "runs" and not _is_empty(folder):
        marks = [name for name, _ in MARKS.values() if (folder / name).exists()]
        why = f": its {marks[0]} is not JSON of this program" if marks else ""
        raise UserError(
            f"{option} {folder} is not empty and was not made by this program{why}: give a new or an empty folder"
        )


def kind_of(folder: Path) -> str | None:
    """The kind of a folder of ours; None for any other."""
    record = _read_record(folder)
    if record is not None:
        return record[0][1]
    for kind, (name, keys) in MARKS.items():
        try:
            data = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        ours = isinstance(data, dict) and isinstance(data.get("format", 0), int)
        if ours and any(some <= data.keys() for some in keys):
            return kind
    return None


def record_file(path: Path) -> None:
    """Names a file that is about to be written in the record of the claimed folder that holds it, if any.

    Raises:
        UserError: If a folder between the two is a link.
    """
    claim, name = _claim_of(path)
    if claim is not None:
        claim.add(name)


def put_aside(path: Path) -> None:
    """Renames a file that a person changed, before its name is used again, and says so."""
    aside = _free_name(path)
    path.rename(aside)
    _log.warning("%s was not written by this program: it is now %s", path, aside.name)


def remove_files(folder: Path, keep: Collection[str] = ()) -> None:
    """Deletes files in a folder that this program wrote there; whatever else is in it stays.

    Args:
        folder: In a claimed folder, or one itself.
        keep: Names of files directly in it that stay.
    """
    claim, name = _claim_of(folder / "any")
    if claim is not None:
        stay = {name.parent / one for one in keep}
        claim.remove(one for one in claim.within(name.parent) if one not in stay)


def remove_file(path: Path) -> None:
    """Deletes a file if this program wrote it; otherwise it stays."""
    claim, name = _claim_of(path)
    if claim is not None:
        claim.remove([name])


def inside(folder: Path, *parts: Path | str) -> Path:
    """A path inside a folder.

    Args:
        folder: The folder; it may be a link itself.
        parts: The rest of the path.

    Raises:
        UserError: If the path leaves the folder, or something on it is a link.
    """
    relative = Path(*parts)
    if relative.is_absolute() or ".." in relative.parts:
        raise UserError(f"{relative} lies outside {folder}")
    link = _link_in(folder, relative)
    if link is not None:
        raise UserError(f"{link} is a link, which is not followed: put the files themselves there")
    return folder / relative


def _claim_of(path: Path) -> tuple[Claim | None, Path]:
    """The innermost claimed folder that holds a path, and the path in it."""
    path = Path(os.path.abspath(path))
    for parent in path.parents:
        if parent in _claims:
            return _claims[parent], path.relative_to(parent)
    return None, path


def _link_in(folder: Path, relative: Path) -> Path | None:
    """The first link on a path inside a folder."""
    path = folder
    for part in relative.parts:
        path = path / part
        if path.is_symlink():
            return path
    return None


def _free_name(path: Path) -> Path:
    """Where a file is put aside."""
    names = (f"{path.name}.before{number or ''}" for number in itertools.count())
    return next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed run or a file manager leaves."""
    return all(
        path.name in (LOCK, RECORD)
        or path.name.casefold() in _STRAY
        or (path.name.startswith(".") and path.name.endswith(".tmp") and path.is_file())
        for path in folder.iterdir()
    )


def _read_record(folder: Path) -> tuple[list[str], list[str]] | None:
    """The words of a record's first line, and the files that it names; None where there is no record.

    Lines that lead out of the folder are not taken.
    """
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    header, *lines = text.split("\n")
    words = header.split()
    if len(words) < 2 or words[0] != _PROGRAM or words[1] not in KINDS:
        return None
    files: dict[str, None] = {}
    for line in lines:
        sign, _, name = line.partition(" ")
        if sign == "-":
            files.pop(name, None)
        elif sign == "+" and _is_inside(name):
            files[name] = None
    return words, list(files)


def _is_inside(name: str) -> bool:
    """Whether a line of a record names a file of the folder."""
    odd = not name or name.startswith("/") or "\0" in name or len(name) > _LONGEST
    return not odd and ".." not in Path(name).parts
