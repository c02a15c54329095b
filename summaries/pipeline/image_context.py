"""The context of the image chain: the options of one run on a folder of images."""

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
    """The options of a run, for its stages.

    Attributes:
        out: The run folder.
        info: Its record, with class, frame and network.
        settings: Options of every stage.
        folder: Images of one class.
        limit: Most images that are used; None for all.
        keep_misclassified: Whether to use images that the network assigns to another class.
        masks: Folder of masks made elsewhere, used in place of masks made here; None for none.
        seed: Of every random choice.
        jobs: Workers (processes or threads), >= 1; None for one per core.
        device: Name of the device: cpu, cuda or cuda:0 and so on.
        network: Returns the network; used in a ``with`` block.
        again: Name of the stage that a command repeats without a changed option. It keeps none of its intermediate
            results. Empty for none.
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
        """Index of the class; None if each image has its own."""
        index: int | None = self.info["target"]["index"]
        return index

    @property
    def processes(self) -> int:
        """The largest number of workers of a stage."""
        return self.jobs or cores()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the network."""
        return str(self.info["model"]["fingerprint"])

    @property
    def frames(self) -> str:
        """A hash of the images that are used and of how frames are cut from them."""
        used = digest([(row.id, row.sha256) for row in read_images(self.out) if row.status == "ok"])
        return digest([used, self.info["frame"]])

    def options(self, *stages: str) -> dict[str, Any]:
        """The options of some stages, as plain data."""
        from visual_summaries.summaries.settings import plain

        values = plain(self.settings)
        return {name: values[name] for name in stages}
