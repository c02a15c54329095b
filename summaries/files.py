"""Reading and writing single files: whole or not at all, and never trusted.

Each file is written under a temporary name in the same folder and renamed, so that a killed process leaves either the
old file or the new one. In a claimed folder (see :mod:`summaries.folders`) its name is put on record first. What is
read is checked against a type: of a table's rows, or of the JSON. Arrays have a reader of their own,
:mod:`summaries.arrays`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.folders import record_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

T = TypeVar("T")


Share = Annotated[float, msgspec.Meta(ge=0, le=1.001)]
"""A number in [0, 1], up to rounding."""

Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""Any number but infinity and NaN."""

Count = Annotated[int, msgspec.Meta(ge=0)]
"""A whole number from 0 on."""

MAX_CELL = 1 << 20
"""Characters a cell of a table may have."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all.

    Raises:
        UserError: If a folder on its way, inside a claimed folder, is a link.
    """
    record_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Path, data: Any) -> None:
    """Writes JSON with sorted structure left as given, two spaces deep, one line break at the end.

    Raises:
        UserError: If a text in it is no UTF-8.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        data = (text + "\n").encode()
    except UnicodeEncodeError:
        raise UserError(f"{path} would hold text that is no UTF-8: use other characters") from None
    write_bytes(path, data)


def write_npz(path: Path, *, compress: bool = True, **arrays: npt.ArrayLike) -> None:
    """Writes arrays, compressed unless they are short-lived; the same arrays give the same bytes."""
    import numpy as np

    buffer = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    save(buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    write_bytes(path, buffer.getvalue())


def write_png(
    path: Path, image: npt.NDArray[np.uint8] | npt.NDArray[np.bool_] | Image.Image, *, level: int = 6
) -> None:
    """Writes (H, W, 3) or (H, W) uint8, a bool mask as 0 and 255, or a picture of Pillow's, compressed to a level."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        image = Image.fromarray(image.astype("uint8") * 255 if image.dtype == "bool" else image)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=level)
    write_bytes(path, buffer.getvalue())


def write_csv(path: Path, row_type: type, rows: Iterable[Any]) -> None:
    """Writes a table of dataclass rows, see :func:`csv_bytes`."""
    write_bytes(path, csv_bytes(row_type, rows))


def csv_bytes(row_type: type, rows: Iterable[Any]) -> bytes:
    """A table of dataclass rows; None is an empty cell, floats in their shortest exact form."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([field.name for field in fields(row_type)])
    for row in rows:
        writer.writerow(["" if value is None else value for value in asdict(row).values()])
    return buffer.getvalue().encode(errors="surrogateescape")


AGAIN = "delete it, then the same `visual-summaries run` makes it again"
"""What to do about a damaged file of a run that nobody typed."""


def read_csv(path: Path, row_type: type[T]) -> list[T]:
    """Reads a table written by :func:`write_csv`.

    Raises:
        UserError: If the file is missing, or its columns or values are not those of ``row_type``.
    """
    empty = {field.name for field in fields(row_type) if str(field.type).endswith("| None")}  # type: ignore[arg-type]
    csv.field_size_limit(MAX_CELL)
    try:
        check_plain(path)
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            records = [
                {name: None if text == "" and name in empty else text for name, text in record.items()}
                for record in csv.DictReader(stream)
            ]
        return msgspec.convert(records, list[row_type], strict=False)  # type: ignore[valid-type]
    except FileNotFoundError:
        raise UserError(f"{path} is not there: run `visual-summaries status` on the folder") from None
    except UserError:
        raise
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}): {AGAIN}") from None


def read_json(path: Path, kind: type[T]) -> T:
    """Reads JSON.

    Args:
        path: The file.
        kind: What it holds: a type that msgspec checks, for instance a dataclass, a TypedDict or ``dict[str, Any]``.

    Raises:
        UserError: If the file is missing, is not JSON, or holds something else.
    """
    try:
        check_plain(path)
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error})") from None


def check_json(path: Path, data: Any, kind: type[T]) -> T:
    """Checks what was read of a JSON file against a type, as :func:`read_json` does.

    Args:
        path: The file, for messages.
        data: What was read of it.
        kind: What it should hold.

    Raises:
        UserError: If it holds something else.
    """
    try:
        return msgspec.convert(data, kind)
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error})") from None


def check_plain(path: Path) -> None:
    """Refuses what is no plain file: a folder, a device, or a pipe, which never ends.

    Raises:
        FileNotFoundError: If nothing is there.
        UserError: If something else is.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    if not path.is_file():
        raise UserError(f"{path} is no plain file: put the file itself there")


def read_png(path: Path, mode: str, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Reads a picture that this program wrote, uint8; see :func:`open_png`."""
    import numpy as np

    return np.asarray(open_png(path, mode, size))


def open_png(path: Path, mode: str, size: tuple[int, int] | None = None) -> Image.Image:
    """Reads a picture that this program wrote, as one of Pillow's.

    Args:
        path: The file.
        mode: RGB for (H, W, 3), L for (H, W).
        size: (H, W) that it has to have; None for any.

    Raises:
        UserError: If the file is missing, is no PNG, or has another size.
    """
    from PIL import Image

    try:
        check_plain(path)
        with Image.open(path, formats=("PNG",)) as image:
            if size is not None and image.size != (size[1], size[0]):
                raise ValueError(f"it has {image.width}x{image.height} pixels, not {size[1]}x{size[0]}")
            return image.convert(mode)
    except FileNotFoundError:
        raise UserError(f"{path} is not there: the same `visual-summaries run` makes it again") from None
    except UserError:
        raise
    except Exception as error:  # decoders raise whatever they stumble over
        raise UserError(f"{path} is damaged ({error}): {AGAIN}") from None


def digest(data: Any) -> str:
    """A short hash of plain data.

    Examples:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def hash_bytes(data: bytes) -> str:
    """A short hash of bytes.

    Examples:
        >>> hash_bytes(b"")
        'e3b0c44298fc1c14'
    """
    return hashlib.sha256(data).hexdigest()[:16]


def hash_file(path: Path) -> str:
    """A short hash of a file's bytes; empty where it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
