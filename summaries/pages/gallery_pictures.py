"""The pictures of a gallery and its sheets, drawn once: those that show the same as before are kept.

Every picture has a key, a hash of what it shows: frame, masks, boxes, figures. ``work/gallery.json`` holds the keys of
the pictures that are there. A picture is taken off the record before it is drawn, and put on it when all are, so that
after a kill none is kept that shows something else. The title of a sheet is apart from its key: naming a summary
writes the title anew, and draws nothing.
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
"""Their folder, beside the page."""

LEVEL = 1
"""Compression of sheets: a third of the time of the usual 6, which is most of what naming takes, for a fifth more."""

VERSION = 1
"""Raised by whoever changes what pictures or sheets look like."""


@dataclass(frozen=True)
class Drawn:
    """``work/gallery.json``.

    Attributes:
        keys: Key of each picture and sheet that is there, by its path in the run folder.
        titles: Title of each sheet, likewise.
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
    """Draws what is not there yet, and removes pictures and sheets of a previous gallery that are no longer used.

    Args:
        run: A run whose masks and clustering are done.
        images: Ids of the images that are shown.
        sheets: Summaries that have a sheet.
        fresh: Whether all is drawn anew.
        progress: Called with the number of images and sheets done and of all.
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
    """Those pictures that are there and show what they should."""
    try:
        drawn = read_json(inside(run.path, "work", "gallery.json"), Drawn)
    except UserError:  # there is none, or it is damaged: all is drawn
        return Drawn()
    same = {name: key for name, key in drawn.keys.items() if keys.get(name) == key and (run.path / name).is_file()}
    return Drawn(same, {name: title for name, title in drawn.titles.items() if name in same})


def _write(run: Run, drawn: Drawn) -> None:
    write_json(run.path / "work" / "gallery.json", asdict(drawn))


def _content(run: Run, image: str) -> str:
    """A hash of what pictures of an image are drawn from."""
    masks = [run.path / "masks" / f"{image}{suffix}" for suffix in (".npz", ".png")]
    return digest([VERSION, *(hash_file(path) for path in (frame_path(run.path, image), *masks))])


def _picture_keys(image: str, content: str, members: Sequence[Member]) -> dict[str, str]:
    """Keys of the pictures of an image."""
    folder = f"gallery/{PICTURES}"
    keys = {f"{folder}/{photo_name(image, kind)}": content for kind in ("photo", "smooth", "crisp")}
    return keys | {f"{folder}/{part_name(member.part)}": digest([content, member.box]) for member in members}


def _pictures(run: Run, image: str, members: Sequence[Member]) -> dict[str, Callable[[], Picture]]:
    """What draws the pictures of an image, by path: photograph, masks, and the parts that clusters hold."""
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
    """The key of a sheet, whatever its title."""
    members = summary.members[:MEMBERS]
    return digest([_facts(run, summary), [(one.image, contents[one.image], one.box) for one in members]])


def _sheet(run: Run, summary: Summary, known: bool) -> Image.Image:
    """The sheet of a summary; where it is known but for its title, this alone is written anew."""
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
    """The line of figures on a sheet."""
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
    """What is safe of an id, in file names and URLs alike, with a digest that keeps keys apart."""
    safe = re.sub(r"[^A-Za-z0-9]+", "-", image)[:40].strip("-")
    return f"{safe or 'image'}-{hashlib.sha256(image.encode()).hexdigest()[:8]}"


def photo_name(image: str, kind: str) -> str:
    """File of a picture of an image: photo, smooth or crisp."""
    return f"{file_key(image)}-{kind}.jpg"


def part_name(part: int) -> str:
    """File of the picture of a part."""
    return f"part-{part:05d}.jpg"


def sheet_name(summary: Summary) -> str:
    """File of the sheet of a summary."""
    return f"summary-{summary.summary:02d}.png"


def jpeg(picture: Picture) -> bytes:
    """A picture as it stands in a page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88, optimize=True)
    return buffer.getvalue()
