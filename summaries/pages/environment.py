"""The template environment of the pages: shared filters, and a cache of compiled templates.

Compiling the templates takes longer than rendering a page. The compiled code is cached in the user's cache folder,
never in a run folder: code in a folder that was received from others is not executed.
"""

from __future__ import annotations

import importlib.metadata
import logging
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from visual_summaries.masks.cache_folder import cache_folder
from visual_summaries.summaries.pages import wording
from visual_summaries.summaries.pages.gallery_pictures import PICTURES, file_key, part_name, photo_name, sheet_name

VERSION = 1
"""Raised with every change of the environment's options, because the compiled code depends on them."""

_log = logging.getLogger(__name__)


def environment(*folders: Path) -> jinja2.Environment:
    """The template environment of the pages.

    Args:
        folders: Further folders of templates.

    Examples:
        >>> environment().from_string("{{ name }}").render(name="<b>")
        '&lt;b&gt;'
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).with_name("templates"), *folders]),
        undefined=jinja2.StrictUndefined,
        bytecode_cache=TemplateCache(cache_folder("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "title": wording.title,
        "number": wording.number,
        "percent": wording.percent,
        "points": wording.points,
        "dropped": wording.dropped,
        "mean_similarity": wording.mean_similarity,
        "anchor": lambda image: f"image-{file_key(image)}",
        "part_url": lambda part: f"{PICTURES}/{part_name(part)}",
        "photo_url": lambda image, kind: f"{PICTURES}/{photo_name(image, kind)}",
        "sheet_url": lambda summary: f"../{sheet_name(summary)}",
    }
    return environment


class TemplateCache(jinja2.FileSystemBytecodeCache):
    """A cache of compiled templates in a folder; if it cannot be written, templates are compiled every time.

    A file is valid for one source, one version of Jinja and one :data:`VERSION`.

    Args:
        folder: The folder; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), f"%s-{VERSION}-jinja{importlib.metadata.version('jinja2')}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Reads the compiled code of a template, if it is cached."""
        with suppress(OSError):  # the template is compiled; an unusable folder is logged when its code is written
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Writes the compiled code of a template."""
        try:
            Path(self.directory).mkdir(parents=True, exist_ok=True)
            super().dump_bytecode(bucket)
        except OSError as error:
            _log.info("templates are compiled each time: %s cannot be written: %s", self.directory, error)
