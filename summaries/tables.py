"""The tables of a run as DataFrames, where pandas is installed."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.store import ImageRow, MaskRow, PartRow

if TYPE_CHECKING:
    import pandas

    from visual_summaries.summaries.store import Run

NAMES = ("images", "masks", "parts", "summaries")


def table(run: Run, name: str) -> pandas.DataFrame:
    """One table of a run.

    Args:
        run: The run.
        name: images, masks or parts for the file of this name, or summaries: a row for each cluster, with the size of
            it and a column for each score.

    Returns:
        A row for each row of the file. Missing values are pandas' own.

    Raises:
        UserError: If there is no such table, pandas is not installed, or a file is missing or damaged.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("tables need pandas: pip install pandas") from None
    if name == "images":
        return _of_rows(ImageRow, run.images)
    if name == "masks":
        return _of_rows(MaskRow, run.masks.values())
    if name == "parts":
        return _of_rows(PartRow, run.parts)
    if name == "summaries":
        return pandas.DataFrame(_summaries(run), columns=_summary_columns(run)).astype({"median_ssim": "float64"})
    raise UserError(f"no table {name!r}: use {', '.join(NAMES)}")


def _of_rows(kind: type, rows: Iterable[Any]) -> pandas.DataFrame:
    """A column for each field of a dataclass; of whole numbers that may be missing, with pandas' own type."""
    import pandas

    found = pandas.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(kind)])
    hints = typing.get_type_hints(kind)
    kinds = {name: "Int64" if hint == int | None else "float64" for name, hint in hints.items() if _may_miss(hint)}
    return found.astype({name: kind for name, kind in kinds.items() if name in found})


def _may_miss(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _summaries(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "summary": one.summary,
            "name": one.name,
            "kept": one.kept,
            "reason": one.reason,
            "members": len(one.members),
            "exemplar": one.exemplar,
            "median_ssim": one.median_ssim,
            **one.scores,
        }
        for one in run.summaries
    ]


def _summary_columns(run: Run) -> list[str]:
    """The columns of the summaries' table, scores last, in the order in which they first occur."""
    own = ("summary", "name", "kept", "reason", "members", "exemplar", "median_ssim")
    return list(dict.fromkeys([*own, *(score for one in run.summaries for score in one.scores)]))
