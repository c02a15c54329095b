"""A run as a notebook shows it: a row for each kept summary, with crops of its first members.

The pictures are part of the text, so that the notebook can be sent without the run.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

from PIL import Image

from visual_summaries.masks.errors import UserError
from visual_summaries.summaries.pages.environment import environment
from visual_summaries.summaries.pages.gallery_pictures import jpeg

if TYPE_CHECKING:
    from visual_summaries.summaries.pages.drawing import Picture
    from visual_summaries.summaries.store import Run
    from visual_summaries.summaries.summary import Box

CROPS = 4
"""Members of a summary that are shown, the exemplar first."""

SIDE = 72
"""Long side of a crop in pixels."""


def html(run: Run) -> str:
    """A run as HTML, self-contained and escaped.

    Args:
        run: The run. If it has no clusters yet, or is damaged, its description stands there alone.
    """
    try:
        kept = [summary for summary in run.summaries if summary.kept]
        crops = {
            summary.summary: [
                (member.image, _data_uri(crop(run.frame(member.image), member.box)))
                for member in summary.members[:CROPS]
            ]
            for summary in kept
        }
    except UserError as error:
        return environment().get_template("notebook.html").render(run=repr(run), why=str(error), kept=[], crops={})
    return environment().get_template("notebook.html").render(run=repr(run), why="", kept=kept, crops=crops)


def crop(frame: Picture, box: Box) -> Picture:
    """A box cut out of a frame, with a long side of :data:`SIDE` pixels.

    Args:
        frame: uint8 (H, W, 3).
        box: xyxy in pixels of the frame, half open; cut to whole pixels of the frame, to one at least.

    Returns:
        uint8 (h, w, 3), max(h, w) = :data:`SIDE`.
    """
    x0, x1 = _inside(box[0], box[2], frame.shape[1])
    y0, y1 = _inside(box[1], box[3], frame.shape[0])
    cut = Image.fromarray(frame[y0:y1, x0:x1])
    scale = SIDE / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    return _array(cut.resize(size, Image.Resampling.LANCZOS))


def _inside(low: float, high: float, side: int) -> tuple[int, int]:
    """An interval in whole pixels, in [0, side], of one pixel at least."""
    first = min(max(math.floor(low), 0), side - 1)
    return first, min(max(math.ceil(high), first + 1), side)


def _array(picture: Image.Image) -> Picture:
    import numpy as np

    return np.asarray(picture)


def _data_uri(picture: Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture)).decode()}"
