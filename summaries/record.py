"""The content of ``run.json``, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import Count, Finite, check_json, read_json
from visual_summaries.summaries.folders import inside

FORMAT = 1
"""Version of the layout of a run folder; a folder of another one is refused."""

Three = Annotated[list[Finite], Meta(min_length=3, max_length=3)]
Size = Annotated[list[Annotated[int, Meta(ge=1, le=1 << 14)]], Meta(min_length=2, max_length=2)]


class InputRecord(TypedDict, total=False):
    """The options of a network's input (see ``masks.networks.models.InputFormat``)."""

    input_size: list[int] | None
    mean: Three | None
    std: Three | None
    classes: str | None


class SpecRecord(TypedDict, total=False):
    """How to load a network again; empty for one that came from Python."""

    spec: str
    weights: str | None
    input: InputRecord


class ConfigRecord(TypedDict, total=False):
    """The options of a run."""

    images: str
    target: str
    limit: Count | None
    keep_misclassified: bool
    masks: str | None
    preset: str
    model: SpecRecord
    settings: dict[str, Any]


class ModelRecord(TypedDict, total=False):
    """The network of a run."""

    spec: str
    fingerprint: str


class TargetRecord(TypedDict, total=False):
    """The class of a run; the index is None where each image has its own."""

    index: Count | None
    name: str
    wordnet: str


class FrameRecord(TypedDict, total=False):
    """The frame of a run's images."""

    size: Size
    resize: Annotated[int, Meta(ge=1)] | Size | None


class StageRecord(TypedDict, total=False):
    """A stage that was started or done.

    Attributes:
        status: started or done.
        inputs: What its result depends on.
        seconds: It took.
        counts: What it found.
        versions: Of the libraries that it ran with, a dictionary for each set of versions that made part of it.
        digests: Of files that it left and that nobody should change, by their path in the run.
    """

    status: Literal["started", "done"]
    inputs: dict[str, Any]
    seconds: Finite
    counts: dict[str, Any]
    versions: list[dict[str, str]]
    digests: dict[str, str]


class RunRecord(TypedDict, total=False):
    """The entries that are checked. A missing entry is an error of :class:`Record` when it is used."""

    format: Any
    stages: dict[str, StageRecord]
    config: ConfigRecord
    model: ModelRecord
    target: TargetRecord
    frame: FrameRecord
    seed: Count
    device: str
    threads: Annotated[int, Meta(ge=1, le=1 << 12)]


class Record(dict[str, Any]):
    """The record of a run; an entry that is missing, in it or in its tables, is an error that names the folder."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        tables = ("config", "model", "target", "frame")
        super().__init__({k: Record(path, v) if k in tables and isinstance(v, dict) else v for k, v in values.items()})
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise UserError(f"{self._path / 'run.json'} has no {name!r}: run the same command again")


def read_record(path: Path) -> Record:
    """Reads ``run.json``.

    Args:
        path: The run folder.

    Raises:
        UserError: If the folder is no run folder, is of another version of the layout, or is damaged.
    """
    if not (path / "run.json").is_file():
        raise UserError(f"{path} is not a run folder: it has no run.json")
    file = inside(path, "run.json")
    found = read_json(file, dict[str, Any])
    if found.get("format") != FORMAT:
        versions = found.get("versions")
        writer = versions.get("visual-summaries", "unknown") if isinstance(versions, dict) else "unknown"
        raise UserError(
            f"{path} was written in format {found.get('format')}, this program reads format {FORMAT}: give another "
            f"`out`, or use the version that wrote it ({writer})"
        )
    check_json(file, found, RunRecord)
    return Record(path, {"stages": {}} | found)
