"""The run folder: what is in it, how it is read, and how it is written without ever being half written.

Only this module and :mod:`summaries.pipeline` touch a run folder. Each file is written under a temporary name
in the same folder and renamed, so that a killed process leaves either the old file or the new one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from masks.errors import UserError
from summaries.summary import Box, Summary

FORMAT = 1
"""Version of the layout of a run folder; a folder of another one is refused."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class ImageRow:
    """A row of ``images.csv``: a file of the class folder.

    Width and height are those of the photograph after its EXIF orientation is applied, in pixels; p0 is the
    probability of the target class in the frame; predicted is the index of the network's own class.
    """

    id: str
    path: str
    sha256: str
    width: int | None
    height: int | None
    status: str
    reason: str
    predicted: int | None
    p0: float | None


@dataclass(frozen=True)
class MaskRow:
    """A row of ``masks.csv``: what perturbing an image's masks does to the class.

    Probabilities p and drops (p0 - p) / p0 are under the blur of sigma 10; areas are shares of the frame.
    """

    id: str
    p0: float
    p_smooth: float
    p_crisp: float
    p_binary: float
    drop_smooth: float
    drop_crisp: float
    drop_binary: float
    area_smooth: float
    area_crisp: float
    area_binary: float
    iterations: int
    seconds: float


@dataclass(frozen=True)
class PartRow:
    """A row of ``parts.csv``: a kept proposal, its region and its cluster (-1 = none)."""

    part: int
    image: str
    region: int
    x0: float
    y0: float
    x1: float
    y1: float
    cluster: int
    exemplar: int
    similarity: float | None

    @property
    def box(self) -> Box:
        """The box as xyxy in pixels of the frame, half open."""
        return (self.x0, self.y0, self.x1, self.y1)


@dataclass(frozen=True)
class MaskArrays:
    """The masks of one image in its frame: smooth and crisp float32 (H, W) in [0, 1], binary bool (H, W)."""

    smooth: npt.NDArray[np.float32]
    crisp: npt.NDArray[np.float32]
    binary: npt.NDArray[np.bool_]


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Path, data: Any) -> None:
    """Writes JSON with sorted structure left as given, two spaces deep, one line break at the end."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def write_npz(path: Path, *, compress: bool = True, **arrays: npt.ArrayLike) -> None:
    """Writes arrays, compressed unless they are short-lived; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    save(buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    write_bytes(path, buffer.getvalue())


def write_png(path: Path, image: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> None:
    """Writes (H, W, 3) or (H, W) uint8, or a bool mask as 0 and 255."""
    pixels = image.astype(np.uint8) * 255 if image.dtype == np.bool_ else image
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    write_bytes(path, buffer.getvalue())


def write_csv(path: Path, row_type: type, rows: Iterable[Any]) -> None:
    """Writes a table of dataclass rows; None is an empty cell, floats in their shortest exact form."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([field.name for field in fields(row_type)])
    for row in rows:
        writer.writerow(["" if value is None else value for value in asdict(row).values()])
    write_bytes(path, buffer.getvalue().encode())


def read_csv(path: Path, row_type: type[Row]) -> list[Row]:
    """Reads a table written by :func:`write_csv`.

    Raises:
        UserError: If the file is missing or its columns or values are not those of ``row_type``.
    """
    types = {field.name: str(field.type) for field in fields(row_type)}  # type: ignore[arg-type]
    convert = {"str": str, "int": int, "float": float}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = []
            for record in csv.DictReader(stream):
                values: dict[str, Any] = {}
                for name, kind in types.items():
                    text = record[name]
                    empty = text == "" and kind.endswith("| None")
                    values[name] = None if empty else convert[kind.split(" |")[0]](text)
                rows.append(row_type(**values))
            return rows
    except FileNotFoundError:
        raise UserError(f"{path} is not there: run `visual-summaries status` on the folder") from None
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run the same command again") from None


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        UserError: If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error})") from None


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads arrays; never unpickles.

    Raises:
        UserError: If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run the same command again") from None


class Run:
    """A run folder, read. Tables are read when they are first asked for."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise UserError(f"{self.path} is not a run folder: it has no run.json")
        self.info: dict[str, Any] = read_json(self.path / "run.json")
        check_format(self.path, self.info)

    @cached_property
    def images(self) -> list[ImageRow]:
        """All files of the class folder that were looked at, in sorted order."""
        return read_csv(self.path / "images.csv", ImageRow)

    @property
    def ids(self) -> list[str]:
        """Ids of the images that were not skipped, in sorted order."""
        return [row.id for row in self.images if row.status == "ok"]

    @cached_property
    def masks(self) -> dict[str, MaskRow]:
        """Rows of ``masks.csv`` by image id."""
        return {row.id: row for row in read_csv(self.path / "masks.csv", MaskRow)}

    @cached_property
    def parts(self) -> list[PartRow]:
        """Rows of ``parts.csv``; a part's number is its place."""
        return read_csv(self.path / "parts.csv", PartRow)

    @property
    def clustered(self) -> int:
        """How many rows of ``parts.csv``, the first ones, were clustered; further ones complete summaries."""
        counts = self.info.get("stages", {}).get("matching", {}).get("counts", {})
        return int(counts.get("parts", len(self.parts)))

    @cached_property
    def names(self) -> dict[int, str]:
        """Names that were given to summaries, from ``names.csv``."""
        return read_names(self.path)

    @cached_property
    def summaries(self) -> list[Summary]:
        """All clusters, kept and pruned, with the names given to them."""
        found = [Summary.from_json(data) for data in read_json(self.path / "summaries.json")]
        return [replace(s, name=self.names.get(s.summary, s.name)) for s in found]

    def frame(self, image: str) -> npt.NDArray[np.uint8]:
        """The frame of an image, uint8 (H, W, 3)."""
        return np.asarray(Image.open(frame_path(self.path, image)).convert("RGB"))

    def mask(self, image: str) -> MaskArrays:
        """The masks of an image."""
        arrays = read_npz(self.path / "masks" / f"{image}.npz")
        binary = np.asarray(Image.open(self.path / "masks" / f"{image}.png")) > 127
        return MaskArrays(arrays["smooth"].astype(np.float32), arrays["crisp"].astype(np.float32), binary)


@dataclass(frozen=True)
class NameRow:
    """A row of ``names.csv``."""

    summary: int
    name: str


def read_names(run: Path) -> dict[int, str]:
    """Names by summary; empty when nobody named any."""
    path = run / "names.csv"
    return {row.summary: row.name for row in read_csv(path, NameRow)} if path.exists() else {}


def write_names(run: Path, names: Mapping[int, str]) -> None:
    """Writes ``names.csv`` in the order of the summaries."""
    write_csv(run / "names.csv", NameRow, [NameRow(s, names[s]) for s in sorted(names)])


def frame_path(run: Path, image: str) -> Path:
    """Where the frame of an image is kept, losslessly."""
    return run / "frames" / f"{image}.png"


def check_format(path: Path, info: Mapping[str, Any]) -> None:
    """Refuses a run folder of another version of the layout.

    Raises:
        UserError: If the layout is not :data:`FORMAT`.
    """
    found = info.get("format")
    if found != FORMAT:
        raise UserError(
            f"{path} was written in format {found}, this program reads format {FORMAT}: give another --out, or use "
            f"the version that wrote it ({info.get('versions', {}).get('visual-summaries', 'unknown')})"
        )


def find_runs(root: Path) -> Sequence[Path]:
    """The run folders directly in a folder, or the folder itself if it is one, sorted by name."""
    if (root / "run.json").is_file():
        return [root]
    return sorted(child.parent for child in root.glob("*/run.json"))


def digest(data: Any) -> str:
    """A short hash of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def remove_others(folder: Path, wanted: set[str]) -> None:
    """Deletes the files of a folder that have none of the wanted names."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name not in wanted:
            file.unlink()
