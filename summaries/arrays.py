"""Reading arrays from files that anybody may have changed: each file has a schema, and one reader checks it.

A schema names the arrays of a file with their kind, shape and range. The header of each is checked before its data is
read, so that a damaged or a hostile file costs no memory. Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import check_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE = 1 << 28
"""Bytes from which on an array that is compressed more than :data:`DENSEST` times is refused."""

DENSEST = 200
"""Times; masks and similarities are compressed 3 to 30 times."""


@dataclass(frozen=True)
class Array:
    """What an array of a file has to be.

    Attributes:
        kinds: Its numpy dtype kinds: "f" floats, "iu" integers, "b" truth values, "U" text.
        shape: Its sides: a number, or a name that stands for the same number in all arrays of the file; None for any.
        low: Smallest value, where values have a limit.
        high: Largest value, or the name of a side that values stay under (indices).
        optional: Whether it may be missing.
    """

    kinds: str
    shape: tuple[int | str, ...] | None
    low: float | None = None
    high: float | str | None = None
    optional: bool = False


ANYTHING = {"*": Array("fiubU", None)}
"""The schema of a file of any arrays."""


def read_arrays(path: Path, schema: Mapping[str, Array], **sides: int) -> dict[str, NDArray[Any]]:
    """Reads the arrays of an NPZ file that its schema names.

    Args:
        path: The file.
        schema: What the arrays have to be, by name; ``*`` stands for all that have no entry of their own.
        sides: Sides of the schema that are known.

    Returns:
        The arrays that are there; floats are finite.

    Raises:
        UserError: If the file is missing, damaged, or holds something else; the message says what.
    """
    try:
        check_plain(path)
        with zipfile.ZipFile(path) as archive:
            there = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
            schema = _by_name(schema, there)
            found = {name: _read(archive, name, schema[name], sides) for name in schema if name in there}
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except UserError:
        raise
    except (
        *(ValueError, OSError, EOFError, KeyError, TypeError, SyntaxError, MemoryError, OverflowError, RecursionError),
        *(NotImplementedError, RuntimeError, TokenError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error),
    ) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise UserError(f"{path} is damaged: {reason}") from None
    for name, array in found.items():
        _check_values(path, name, array, schema[name], sides)
    return found


def _by_name(schema: Mapping[str, Array], there: Sequence[str]) -> dict[str, Array]:
    """The schema of each array of a file.

    Raises:
        ValueError: If one is missing.
    """
    named = {name: array for name, array in schema.items() if name != "*"}
    missing = [name for name, array in named.items() if name not in there and not array.optional]
    if missing:
        raise ValueError(f"it has no array {missing[0]!r}")
    others = {name: schema["*"] for name in there if name not in named} if "*" in schema else {}
    return named | others


def _read(archive: zipfile.ZipFile, name: str, wanted: Array, sides: dict[str, int]) -> NDArray[Any]:
    """One array; its header is checked first, and the sides it tells are noted.

    Raises:
        ValueError: If it is not what is wanted.
    """
    import numpy as np

    member = f"{name}.npy"
    info = archive.getinfo(member)
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject or dtype.kind not in wanted.kinds:
            raise ValueError(f"array {name!r} holds {dtype}")
        expected_shape = shape if wanted.shape is None else wanted.shape
        if len(shape) != len(expected_shape):
            raise ValueError(f"array {name!r} has shape {shape}")
        for side, expected in zip(shape, expected_shape, strict=True):
            if side != (sides.setdefault(expected, side) if isinstance(expected, str) else expected):
                raise ValueError(f"array {name!r} has shape {shape}, wanted is {_shown(expected_shape, sides)}")
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        if size > info.file_size or (size > LARGE and size > DENSEST * info.compress_size):
            raise ValueError(f"array {name!r} declares {size} bytes, of {info.compress_size} in the file")
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _shown(shape: Sequence[int | str], sides: Mapping[str, int]) -> tuple[int | str, ...]:
    return tuple(sides.get(side, side) if isinstance(side, str) else side for side in shape)


def _check_values(path: Path, name: str, array: NDArray[Any], wanted: Array, sides: Mapping[str, int]) -> None:
    import numpy as np

    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path} is damaged: array {name!r} holds values that are not finite")
    if not array.size:
        return
    low = wanted.low
    high = sides[wanted.high] - 1 if isinstance(wanted.high, str) else wanted.high
    # as Python's numbers: a limit may lie outside of the array's type
    if (low is not None and array.min().item() < low) or (high is not None and array.max().item() > high):
        raise UserError(f"{path} is damaged: array {name!r} has values outside {low} to {high}")
