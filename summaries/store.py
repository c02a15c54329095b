"""The run folder: its files, and how they are read.

Everything is checked, because a run may be received from somebody or be changed by hand. Ids are plain file names,
links are not followed, tables and arrays are checked, and the files of an interrupted stage are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta
from typing_extensions import TypedDict

from visual_summaries.masks.attribution.names import MASK, METHODS
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.ids import check_id
from visual_summaries.masks.options import shown
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.files import Count, Finite, Share, hash_file, read_csv, read_json, read_png
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.names import read_names
from visual_summaries.summaries.record import read_record
from visual_summaries.summaries.summary import Box, Summary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas


@dataclass(frozen=True)
class ImageRow:
    """A row of ``images.csv``: a file of the class folder.

    Width and height are those of the photograph after its EXIF orientation is applied, in pixels; p0 is the
    probability of the target class in the frame; predicted is the index of the network's own class.
    """

    id: str
    path: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]*$")]
    width: Count | None
    height: Count | None
    status: str
    reason: str
    predicted: Count | None
    p0: Share | None

    def __post_init__(self) -> None:
        check_id(self.id)


@dataclass(frozen=True)
class MaskRow:
    """A row of ``masks.csv``: what perturbing an image's masks does to the class.

    Probabilities p and drops (p0 - p) / p0 are under the blur of sigma 10; areas are shares of the frame.
    """

    id: str
    p0: Share
    p_smooth: Share
    p_crisp: Share
    p_binary: Share
    drop_smooth: Finite
    drop_crisp: Finite
    drop_binary: Finite
    area_smooth: Share
    area_crisp: Share
    area_binary: Share
    iterations: Count
    seconds: Finite

    def __post_init__(self) -> None:
        check_id(self.id)


@dataclass(frozen=True)
class PartRow:
    """A row of ``parts.csv``: a kept proposal, its region and its cluster (-1 = none)."""

    part: Count
    image: str
    region: Count
    x0: Finite
    y0: Finite
    x1: Finite
    y1: Finite
    cluster: Annotated[int, Meta(ge=-1)]
    exemplar: Annotated[int, Meta(ge=0, le=1)]
    similarity: Share | None

    def __post_init__(self) -> None:
        check_id(self.image)

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


Completeness = dict[str, Finite | None]
"""Mean losses of the class's probability, by what is taken out."""


class ImportanceRecord(TypedDict):
    """What is read of ``evaluation/importance.json``."""

    level: Share
    completeness: Completeness


class Run:
    """A run folder. Its tables are read when they are first used.

    Args:
        path: The folder.

    Raises:
        UserError: If the folder is not a run; later, if a file that is used is missing or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.info = read_record(self.path)

    def __repr__(self) -> str:
        """The folder, the class, and how many images and summaries there are, from the record alone."""
        stages, known = self.info["stages"], [str((self.info.get("target") or {}).get("name", "class unknown"))]
        for stage, count, text in (("images", "ok", "images"), ("clusters", "kept", "summaries kept")):
            entry = stages.get(stage, {})
            done = entry.get("status") == "done"
            known.append(f"{entry.get('counts', {}).get(count, '?') if done else 'no'} {text}{'' if done else ' yet'}")
        return f"<Run {self.path}: {', '.join(known)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: crops of the kept summaries."""
        from visual_summaries.summaries.pages.notebook import html

        return html(self)

    def table(self, name: str) -> pandas.DataFrame:
        """A table of the run as a DataFrame.

        Args:
            name: images, masks, parts or summaries.

        Raises:
            UserError: If there is no such table, pandas is not installed, or a file is missing or damaged.

        Examples:
            >>> Run("runs/church").table("parts").groupby("cluster").size()  # doctest: +SKIP
        """
        from visual_summaries.summaries.tables import table

        return table(self, name)

    @cached_property
    def images(self) -> list[ImageRow]:
        """All files of the class folder that were examined, in sorted order."""
        self._check_whole("images")
        return read_images(self.path)

    @property
    def ids(self) -> list[str]:
        """Ids of the images that were not skipped, in sorted order."""
        return [row.id for row in self.images if row.status == "ok"]

    @property
    def attribution(self) -> str:
        """Name of the attribution that masks are made from, see `masks.attribution.names`; mask if none is recorded.

        Masks made elsewhere are recorded apart from it (``masks`` in the configuration).
        """
        settings = self.info.get("config", {}).get("settings", {}).get("attribution", {})
        name = settings.get("method", MASK) if isinstance(settings, dict) else None
        if name not in METHODS:
            raise UserError(f"{self.path / 'run.json'} is damaged: it names the attribution {shown(name)}")
        return str(name)

    @cached_property
    def masks(self) -> dict[str, MaskRow]:
        """Rows of ``masks.csv`` by image id."""
        self._check_whole("masks")
        return {row.id: row for row in read_csv(inside(self.path, "masks.csv"), MaskRow)}

    @cached_property
    def parts(self) -> list[PartRow]:
        """Rows of ``parts.csv``; a part's number is its place."""
        self._check_whole("clusters")
        file = inside(self.path, "parts.csv")
        rows, known = read_csv(file, PartRow), set(self.ids)
        for place, row in enumerate(rows):
            if row.part != place or row.image not in known:
                raise UserError(f"{file} is damaged (row {place}): run `visual-summaries cluster` on the folder")
        return rows

    @property
    def clustered(self) -> int:
        """Number of clustered parts: the first rows of ``parts.csv``. The others were added to complete summaries."""
        counts = self.info["stages"].get("matching", {}).get("counts", {})
        number = counts.get("parts", len(self.parts))
        if not isinstance(number, int) or not 0 <= number <= len(self.parts):
            raise UserError(f"{self.path / 'run.json'} is damaged: it says that {number} parts were clustered")
        return number

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of summaries."""
        return {one.summary: one.name for one in self.summaries if one.name}

    @cached_property
    def summaries(self) -> list[Summary]:
        """All clusters, kept and pruned, with the names given to them."""
        self._check_whole("clusters")
        found, file, known = read_summaries(self.path), self.path / "summaries.json", set(self.ids)
        for place, one in enumerate(found):
            if one.summary != place or not all(member.image in known for member in one.members):
                raise UserError(f"{file} is damaged (cluster {place}): run `visual-summaries cluster` on the folder")
        names = read_names(self.path, found)
        return [replace(one, name=names.get(one.summary, "")) for one in found]

    @property
    def completeness(self) -> Completeness:
        """What the class loses without all kept summaries together, and without the mask; empty if not measured."""
        return {} if self._importance is None else self._importance["completeness"]

    @property
    def level(self) -> float | None:
        """The level of the intervals of importance, in (0, 1); None if it was not measured."""
        return None if self._importance is None else self._importance["level"]

    @cached_property
    def _importance(self) -> ImportanceRecord | None:
        """What was measured of these clusters; None also where they were made again and not measured since."""
        stage = self.info["stages"].get("importance", {})
        measured = stage.get("digests", {}).get("summaries.json")
        if stage.get("status") != "done" or measured != hash_file(self.path / "summaries.json"):
            return None
        file = inside(self.path, "evaluation", "importance.json")
        if not file.exists():
            raise UserError(f"{file} is not there: run `visual-summaries importance` on the folder")
        return read_json(file, ImportanceRecord)

    def frame(self, image: str) -> npt.NDArray[np.uint8]:
        """The frame of an image, uint8 (H, W, 3)."""
        return read_png(inside(self.path, "frames", f"{image}.png"), "RGB", self.size)

    def mask(self, image: str) -> MaskArrays:
        """The masks of an image."""
        import numpy as np

        binary = read_png(inside(self.path, "masks", f"{image}.png"), "L", self.size) > 127
        schema = {name: Array("f", binary.shape, 0, 1) for name in ("smooth", "crisp")}
        arrays = read_arrays(inside(self.path, "masks", f"{image}.npz"), schema)
        return MaskArrays(arrays["smooth"].astype(np.float32), arrays["crisp"].astype(np.float32), binary)

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the frame; None where the record does not tell it."""
        frame = self.info.get("frame")
        return None if frame is None else (frame["size"][0], frame["size"][1])

    def _check_whole(self, stage: str) -> None:
        if self.info["stages"].get(stage, {}).get("status") == "started":
            raise UserError(
                f"{self.path}: the stage {stage} was interrupted, and its files do not belong together: the same "
                "`visual-summaries run` continues it"
            )


def read_images(run: Path) -> list[ImageRow]:
    """Rows of ``images.csv``, also of a stage that was interrupted.

    Raises:
        UserError: If the file is missing or damaged, or two images have one id.
    """
    file = inside(run, "images.csv")
    rows = read_csv(file, ImageRow)
    if len({row.id.casefold() for row in rows}) < len(rows):
        raise UserError(f"{file} is damaged (an id stands there twice): delete it and run the same command again")
    return rows


def read_summaries(run: Path) -> list[Summary]:
    """``summaries.json`` without the names of people, also of a stage that was interrupted.

    Raises:
        UserError: If the file is missing or damaged.
    """
    return read_json(inside(run, "summaries.json"), list[Summary])


def frame_path(run: Path, image: str) -> Path:
    """Where the frame of an image is kept, losslessly."""
    return run / "frames" / f"{image}.png"


def find_runs(root: Path) -> Sequence[Path]:
    """The run folders directly in a folder, or the folder itself if it is one, sorted by name."""
    if (root / "run.json").is_file():
        return [root]
    return sorted(child.parent for child in root.glob("*/run.json"))
