"""What the stages of the image chain get: the options of one run on a folder of images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visual_summaries.summaries.backend import cores
from visual_summaries.summaries.files import digest
from visual_summaries.summaries.store import read_images

if TYPE_CHECKING:
    from visual_summaries.masks.networks.classifier import Classifier
    from visual_summaries.summaries.record import Record
    from visual_summaries.summaries.settings import Settings


@dataclass(frozen=True)
class ImageContext:
    """What the stages of a run need.

    Attributes:
        out: The run folder.
        info: Its record; class, frame and network stand in it.
        settings: Options of every stage.
        folder: Images of one class.
        limit: At most so many images that are not skipped; None for all.
        keep_misclassified: Whether images that the network gives to another class stay.
        masks: Folder of masks made elsewhere, which take the place of the mask stage; None for none.
        seed: Of every random choice.
        jobs: Processes, >= 1; None for one a core.
        device: Name of the device: cpu, cuda or cuda:0 and so on.
        network: Gives the network, to be used inside its context.
        again: Name of a stage that is done from scratch; empty for none.
    """

    out: Path
    info: Record
    settings: Settings
    folder: Path
    limit: int | None
    keep_misclassified: bool
    masks: Path | None
    seed: int
    jobs: int | None
    device: str
    network: Callable[[], AbstractContextManager[Classifier]]
    again: str = ""

    @property
    def target(self) -> int | None:
        """The class; None where each image has its own."""
        index: int | None = self.info["target"]["index"]
        return index

    @property
    def processes(self) -> int:
        """How many processes a stage may start."""
        return self.jobs or cores()

    @property
    def fingerprint(self) -> str:
        """Of the network."""
        return str(self.info["model"]["fingerprint"])

    @property
    def frames(self) -> str:
        """A hash of the images that are used and of how frames are cut of them."""
        used = digest([(row.id, row.sha256) for row in read_images(self.out) if row.status == "ok"])
        return digest([used, self.info["frame"]])

    def options(self, *stages: str) -> dict[str, Any]:
        """The options of some stages, as plain data."""
        from visual_summaries.summaries.settings import plain

        values = plain(self.settings)
        return {name: values[name] for name in stages}
