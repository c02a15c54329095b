"""The names that a person gave to summaries: ``names.json``, the truth, and ``names.csv``, a table to read and edit.

Clusters that are made again are numbered anew, so that a number is no lasting handle. ``names.json`` holds each name by
the exemplar it was given to, and the hash of the table as it stands. A table with this hash was written by this
program, and the names are those of ``names.json``. A table with another hash was edited by a person: its rows count,
by their numbers, for the summaries of now, and it is put aside before the name of the file is used again. So a kill
between any two of these files and ``summaries.json`` gives no name to another summary, and a name whose exemplar is in
no summary any more comes back with it.

A spreadsheet may have saved the table: a byte-order mark, semicolons or tabs, CRLF and legacy encodings are read. What
a person typed is never deleted, and no message advises to.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import check_plain, csv_bytes, hash_bytes, read_json, write_bytes, write_json
from visual_summaries.summaries.folders import inside, put_aside
from visual_summaries.summaries.summary import Summary


@dataclass(frozen=True)
class NameRow:
    """A row of ``names.csv``."""

    summary: int
    name: str


@dataclass(frozen=True)
class NameRecord:
    """``names.json``.

    Attributes:
        names: Names by exemplar, see :func:`exemplar_of`.
        tables: Hash of ``names.csv`` as this program wrote it; of the one before as well while a new one is written.
    """

    names: dict[str, str] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)


def exemplar_of(summary: Summary) -> str:
    """Identifies a summary when summaries are numbered anew: ``IMAGE x0 y0 x1 y1`` of its exemplar.

    Empty for a summary without members.

    Examples:
        >>> from visual_summaries.summaries.summary import Member
        >>> member = Member(7, "cat", (0.0, 0.0, 20.0, 30.5), 1.0, None)
        >>> exemplar_of(Summary(0, "", 7, (member,), None, True, ""))
        'cat 0 0 20 30.5'
    """
    members = sorted(summary.members, key=lambda one: one.part != summary.exemplar)
    return " ".join([members[0].image, *(f"{side:g}" for side in members[0].box)]) if members else ""


def read_names(run: Path, summaries: Sequence[Summary]) -> dict[int, str]:
    """Names by number.

    Args:
        run: The run folder.
        summaries: As they stand in its ``summaries.json``.

    Raises:
        UserError: If one of the files is there and cannot be read.
    """
    table, record = inside(run, "names.csv"), _read_record(run)
    if _was_edited(table, record):
        known = {one.summary for one in summaries}
        return {row.summary: row.name for row in read_rows(table) if row.summary in known and row.name}
    exemplars = {one.summary: exemplar_of(one) for one in summaries}
    return {number: record.names[exemplar] for number, exemplar in exemplars.items() if exemplar in record.names}


def carry_names(run: Path, old: Sequence[Summary], new: Sequence[Summary]) -> dict[int, str]:
    """Finds the names of new summaries, and notes them before ``summaries.json`` is written; those of now stay as well.

    A name goes to the summary with the same exemplar, else to the one that shares most of the members.

    Args:
        run: The run folder, claimed.
        old: As they stand in its ``summaries.json``.
        new: As they will stand there.

    Returns:
        Names by new number.
    """
    names = read_names(run, old)
    exemplars = {exemplar_of(one): one.summary for one in new}
    members = {one.summary: {(m.image, m.box) for m in one.members} for one in new}
    record, table = _read_record(run), inside(run, "names.csv")
    carried = {number: record.names[exemplar] for exemplar, number in exemplars.items() if exemplar in record.names}
    noted = {}
    for one in (one for one in old if one.summary in names):
        exemplar, before = exemplar_of(one), {(m.image, m.box) for m in one.members}
        noted[exemplar] = names[one.summary]
        alike = [number for number, now in members.items() if 2 * len(now & before) > len(now | before)]
        for number in [exemplars[exemplar]] if exemplar in exemplars else alike:
            carried[number] = names[one.summary]
    noted = record.names | noted | {exemplar: carried[n] for exemplar, n in exemplars.items() if n in carried}
    if noted != record.names:
        write_json(run / "names.json", {"names": noted, "tables": record.tables})
    if _was_edited(table, record):
        put_aside(table)  # its names are noted now, and its numbers are of no more use
    return carried


def write_names(run: Path, names: Mapping[int, str], summaries: Sequence[Summary]) -> None:
    """Writes the names of summaries; names of exemplars that are in none of them stay in ``names.json``.

    Args:
        run: The run folder, claimed.
        names: By number; those that are not there are taken away.
        summaries: As they stand in its ``summaries.json``.
    """
    table, record = inside(run, "names.csv"), _read_record(run)
    exemplars = {one.summary: exemplar_of(one) for one in summaries}
    gone = {exemplar: name for exemplar, name in record.names.items() if exemplar not in exemplars.values()}
    noted = gone | {exemplars[number]: names[number] for number in sorted(names)}
    data = csv_bytes(NameRow, [NameRow(number, names[number]) for number in sorted(names)])
    now = [hash_bytes(data)]
    before = [_hash_of(table)] if table.exists() else []
    write_json(run / "names.json", {"names": noted, "tables": [*before, *now]})
    if before and not set(before) <= {*record.tables, *now}:
        put_aside(table)  # a person edited it, and may have noted more than names in it
    write_bytes(table, data)
    write_json(run / "names.json", {"names": noted, "tables": now})


def read_rows(file: Path) -> list[NameRow]:
    """The rows of a table of names, however a person saved it.

    Raises:
        UserError: If no table of names can be made of it.
    """
    text = _text(file).replace("\r\n", "\n").replace("\r", "\n")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        table = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    except csv.Error as error:
        raise UserError(f"{file} cannot be read ({error}): save it as CSV with the columns summary, name") from None
    table = [row for row in table if any(row)]
    header = [cell.casefold() for cell in table[0]] if table else []
    columns = {"summary": 0, "name": 1}
    if columns.keys() <= set(header):
        columns, table = {name: header.index(name) for name in columns}, table[1:]
    rows = []
    for row in table:
        number, name = (row[place] if place < len(row) else "" for place in columns.values())
        try:
            rows.append(NameRow(_whole(number), name))
        except ValueError:
            raise UserError(
                f"{file} cannot be read: {number!r} is no number of a summary: correct that row; the columns are "
                "summary, name"
            ) from None
    return rows


def _whole(text: str) -> int:
    """A whole number as a person or a spreadsheet writes it: 3, 03 or 3.0.

    Raises:
        ValueError: It is none.
    """
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _read_record(run: Path) -> NameRecord:
    file = inside(run, "names.json")
    return read_json(file, NameRecord) if file.exists() else NameRecord()


def _was_edited(table: Path, record: NameRecord) -> bool:
    """Whether the table is there and is none that this program wrote."""
    return table.exists() and _hash_of(table) not in record.tables


def _hash_of(table: Path) -> str:
    check_plain(table)
    return hash_bytes(table.read_bytes())


def _text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte-order mark, else in Windows' encoding of Western Europe."""
    data = file.read_bytes()
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
