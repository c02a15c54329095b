"""The pictures of a gallery and its sheets; pictures whose content has not changed are not drawn again.

Every picture has a key, a hash of its content: frame, masks, boxes, values. ``work/gallery.json`` lists the keys of the
existing pictures. An entry is removed before its picture is drawn and added after all are drawn, so an interrupted
gallery never keeps an outdated picture. The title of a sheet is not part of its key: when a summary is named, only the
title is redrawn.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.files import digest, hash_file, open_png, read_json, write_bytes, write_json, write_png
from visual_summaries.summaries.folders import inside, remove_file, remove_files
from visual_summaries.summaries.pages import wording
from visual_summaries.summaries.pages.sheet import MEMBERS, retitle, sheet
from visual_summaries.summaries.store import Run, frame_path
from visual_summaries.summaries.summary import Member, Summary

if TYPE_CHECKING:
    from visual_summaries.summaries.pages.drawing import Picture

Progress = Callable[[int, int], None]

PICTURES = "pictures"
"""Folder of the pictures, next to the page."""

LEVEL = 1
"""PNG compression level of sheets: a third of the time of the default 6, for files a fifth larger. Most of the time of
`name` is compression."""

VERSION = 2
"""Raised with every change of how pictures or sheets look."""


@dataclass(frozen=True)
class Drawn:
    """``work/gallery.json``.

    Attributes:
        keys: Key of each existing picture and sheet, by its path in the run folder.
        titles: Title of each sheet, by its path.
    """

    keys: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)


def draw(
    run: Run,
    images: Sequence[str],
    sheets: Sequence[Summary],
    *,
    fresh: bool = False,
    progress: Progress | None = None,
) -> None:
    """Draws missing and changed pictures, and removes those that are no longer used.

    Args:
        run: A run whose masks and clustering are done.
        images: Ids of the images that are shown.
        sheets: Summaries that have a sheet.
        fresh: Whether everything is drawn again.
        progress: Called with the number of images and sheets done, and of all.
    """
    told, total = progress or (lambda done, total: None), len(images) + len(sheets)
    shown: dict[str, list[Member]] = {image: [] for image in images}
    for summary in run.summaries:
        for member in summary.members:
            shown.setdefault(member.image, []).append(member)
    contents = {image: _content(run, image) for image in shown}
    keys = {
        name: key for image in images for name, key in _picture_keys(image, contents[image], shown[image]).items()
    } | {sheet_name(one): _sheet_key(run, one, contents) for one in sheets}
    titles = {sheet_name(one): wording.title(one) for one in sheets}

    there = Drawn() if fresh else _there(run, keys)
    there = Drawn(there.keys, {name: title for name, title in there.titles.items() if titles.get(name) == title})
    if there != Drawn(keys, titles):
        _write(run, there)
    for done, image in enumerate(images, 1):
        wanted = [name for name in _picture_keys(image, contents[image], shown[image]) if name not in there.keys]
        pictures = _pictures(run, image, shown[image]) if wanted else {}
        for name in wanted:
            write_bytes(run.path / name, jpeg(pictures[name]()))
        told(done, total)
    for done, summary in enumerate(sheets, len(images) + 1):
        name = sheet_name(summary)
        if name not in there.titles:
            write_png(run.path / name, _sheet(run, summary, known=name in there.keys), level=LEVEL)
        told(done, total)
    if there != Drawn(keys, titles):
        _write(run, Drawn(keys, titles))
    remove_files(run.path / "gallery" / PICTURES, {name.rpartition("/")[2] for name in keys})
    for path in run.path.glob("summary-*.png"):
        if path.name not in titles:
            remove_file(path)


def _there(run: Run, keys: Mapping[str, str]) -> Drawn:
    """The existing pictures whose content has not changed."""
    try:
        drawn = read_json(inside(run.path, "work", "gallery.json"), Drawn)
    except UserError:  # missing or damaged: everything is drawn
        return Drawn()
    same = {name: key for name, key in drawn.keys.items() if keys.get(name) == key and (run.path / name).is_file()}
    return Drawn(same, {name: title for name, title in drawn.titles.items() if name in same})


def _write(run: Run, drawn: Drawn) -> None:
    write_json(run.path / "work" / "gallery.json", asdict(drawn))


def _content(run: Run, image: str) -> str:
    """A hash of the files that pictures of an image are drawn from."""
    masks = [run.path / "masks" / f"{image}{suffix}" for suffix in (".npz", ".png")]
    return digest([VERSION, *(hash_file(path) for path in (frame_path(run.path, image), *masks))])


def _picture_keys(image: str, content: str, members: Sequence[Member]) -> dict[str, str]:
    """Keys of the pictures of an image."""
    folder = f"gallery/{PICTURES}"
    keys = {f"{folder}/{photo_name(image, kind)}": content for kind in ("photo", "smooth", "crisp")}
    return keys | {f"{folder}/{part_name(member.part)}": digest([content, member.box]) for member in members}


def _pictures(run: Run, image: str, members: Sequence[Member]) -> dict[str, Callable[[], Picture]]:
    """Functions that draw the pictures of an image, by path: photograph, masks, and parts of clusters."""
    from visual_summaries.summaries.pages.drawing import crisp_picture, heat_picture, member_picture, photograph

    folder, frame, masks = f"gallery/{PICTURES}", run.frame(image), run.mask(image)
    pictures: dict[str, Callable[[], Picture]] = {
        f"{folder}/{photo_name(image, 'photo')}": partial(photograph, frame),
        f"{folder}/{photo_name(image, 'smooth')}": partial(heat_picture, frame, masks.smooth),
        f"{folder}/{photo_name(image, 'crisp')}": partial(crisp_picture, frame, masks.binary),
    }
    for member in members:
        pictures[f"{folder}/{part_name(member.part)}"] = partial(member_picture, frame, masks.binary, member.box)
    return pictures


def _sheet_key(run: Run, summary: Summary, contents: Mapping[str, str]) -> str:
    """The key of a sheet; it does not depend on the title."""
    members = summary.members[:MEMBERS]
    return digest([_facts(run, summary), [(one.image, contents[one.image], one.box) for one in members]])


def _sheet(run: Run, summary: Summary, known: bool) -> Image.Image:
    """The sheet of a summary; if only its title has changed, only the title is redrawn."""
    if known:
        try:
            page = open_png(inside(run.path, sheet_name(summary)), "RGB")
        except UserError:  # it is damaged
            pass
        else:
            retitle(page, wording.title(summary))
            return page
    from visual_summaries.summaries.pages.drawing import member_picture

    members = summary.members[:MEMBERS]
    pictures = [member_picture(run.frame(m.image), run.mask(m.image).binary, m.box) for m in members]
    return sheet(wording.title(summary), _facts(run, summary), pictures, [m.image for m in members])


def _facts(run: Run, summary: Summary) -> str:
    """The line of values on a sheet."""
    count = len(summary.members)
    shown = f", {MEMBERS} shown" if count > MEMBERS else ""
    facts = (
        wording.target(run.info),
        f"{count} image{'s' if count != 1 else ''}{shown}",
        f"mean similarity {wording.number(wording.mean_similarity(summary))}",
        f"median SSIM {wording.number(summary.median_ssim)}",
    )
    return "  ·  ".join(facts)


def file_key(image: str) -> str:
    """An image id with only characters that are safe in file names and URLs, and a digest that keeps it unique.

    Examples:
        >>> file_key("a/b c")
        'a-b-c-0af99a60'
    """
    safe = re.sub(r"[^A-Za-z0-9]+", "-", image)[:40].strip("-")
    return f"{safe or 'image'}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"


def photo_name(image: str, kind: str) -> str:
    """File name of a picture of an image: photo, smooth or crisp."""
    return f"{file_key(image)}-{kind}.jpg"


def part_name(part: int) -> str:
    """File name of the picture of a part.

    Examples:
        >>> part_name(7)
        'part-00007.jpg'
    """
    return f"part-{part:05d}.jpg"


def sheet_name(summary: Summary) -> str:
    """File name of the sheet of a summary."""
    return f"summary-{summary.summary:02d}.png"


def jpeg(picture: Picture) -> bytes:
    """A picture as JPEG bytes, for pages."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88, optimize=True)
    return buffer.getvalue()
