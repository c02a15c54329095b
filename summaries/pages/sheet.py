"""A sheet: one picture of a summary for a paper or slides, with a title, a line of values and a grid of members."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from visual_summaries.summaries.pages.drawing import Picture

MEMBERS = 10
"""Members on a sheet, at most; as in the paper's reference code."""

_CELL, _GAP, _MARGIN, _CAPTION = 360, 28, 56, 44
_SUBTITLE = _MARGIN + 48  # its top, and the bottom of the title
_INK, _FAINT, _PAPER = (28, 32, 36), (104, 112, 120), (255, 255, 255)


def sheet(title: str, subtitle: str, pictures: Sequence[Picture], captions: Sequence[str]) -> Image.Image:
    """A sheet of a summary.

    Args:
        title: The name of the summary, or its number.
        subtitle: Class, number of images and scores, in one line.
        pictures: 1 to :data:`MEMBERS` uint8 (H, W, 3), the exemplar first; it is marked as such.
        captions: One line for each picture; long ones are shortened in the middle.

    Returns:
        RGB: one row for up to five pictures, two for more.

    Raises:
        ValueError: There are no pictures, too many, or another number of captions.
    """
    if not 1 <= len(pictures) <= MEMBERS or len(captions) != len(pictures):
        raise ValueError(
            f"a sheet takes 1 to {MEMBERS} pictures, each with a caption: got {len(pictures)} pictures and "
            f"{len(captions)} captions"
        )
    rows = 1 if len(pictures) <= 5 else 2
    columns = -(-len(pictures) // rows)
    cell = max(round(_CELL * p.shape[0] / max(p.shape[:2])) for p in pictures)  # height of a row's pictures
    width = 2 * _MARGIN + max(columns, 3) * (_CELL + _GAP) - _GAP
    top = _MARGIN + 104
    height = top + rows * (cell + _CAPTION + _GAP) - _GAP + 44 + _MARGIN
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    plain, small = _font(22), _font(18)
    _title(draw, title, width)
    draw.text((_MARGIN, _SUBTITLE), _fit(subtitle, plain, width - 2 * _MARGIN), _FAINT, plain)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(place, columns)
        x, y = _MARGIN + column * (_CELL + _GAP), top + row * (cell + _CAPTION + _GAP)
        _member(draw, page, picture, (x, y), cell)
        mark = "Exemplar  " if place == 0 else ""
        marked = _font(18, bold=True)
        draw.text((x, y + cell + 10), mark, _INK, marked)
        shift = marked.getlength(mark)
        draw.text((x + shift, y + cell + 10), _fit(caption, small, _CELL - shift), _FAINT, small)
    _legend(draw, (_MARGIN, height - _MARGIN - 22))
    return page


def retitle(page: Image.Image, title: str) -> None:
    """Changes the title of a sheet; the result is equal to that of :func:`sheet` with the new title.

    Args:
        page: A sheet; changed in place.
        title: The name of the summary, or its number.
    """
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, page.width, _SUBTITLE - 1), _PAPER)
    _title(draw, title, page.width)


def _title(draw: ImageDraw.ImageDraw, title: str, width: int) -> None:
    """Draws the title of a sheet."""
    bold = _font(38, bold=True)
    draw.text((_MARGIN, _MARGIN - 8), _fit(title, bold, width - 2 * _MARGIN), _INK, bold)


def _member(draw: ImageDraw.ImageDraw, page: Image.Image, picture: Picture, corner: tuple[int, int], cell: int) -> None:
    """Draws a picture centred in the cell at a corner; the aspect ratio is kept."""
    scale = min(_CELL / picture.shape[1], cell / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    drawn = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    page.paste(drawn, (corner[0] + (_CELL - size[0]) // 2, corner[1] + (cell - size[1]) // 2))


def _legend(draw: ImageDraw.ImageDraw, corner: tuple[int, int]) -> None:
    """The legend of the two colours, from a corner to the right."""
    from visual_summaries.summaries.pages.drawing import CYAN, RED

    x, y = corner
    font = _font(18)
    for colour, text in ((CYAN, "salient regions"), (RED, "matching part")):
        draw.line((x, y + 12, x + 34, y + 12), colour, 5)
        draw.text((x + 46, y), text, _FAINT, font)
        x += 46 + round(font.getlength(text)) + 44


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib's files; matplotlib is not imported, because that is slow."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    found = find_spec("matplotlib")
    path = Path(found.origin if found and found.origin else "").with_name("mpl-data") / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _fit(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text on one line, shortened in the middle to fit a width in pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= room:
        return text
    for length in range(len(text) - 1, 0, -1):
        short = f"{text[: (length + 1) // 2]}…{text[len(text) - length // 2 :]}"
        if font.getlength(short) <= room:
            return short
    return "…"
