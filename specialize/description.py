"""The schema of ``model.json``, and the hashes that link it to the other files of a model folder.

``model.json`` is written last. It contains the hashes of ``model.npz`` and ``images.csv``, and one of itself: files of
different models, of an interrupted `specialize`, or damaged ones are thus refused. Its own hash does not cover
``model``, which says how to load the network, because the loaded network is checked by its fingerprint.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from visual_summaries.masks.errors import UserError
from visual_summaries.specialize.blend import LARGEST_BONUS
from visual_summaries.specialize.features import Tap
from visual_summaries.specialize.options import NORMALISATIONS
from visual_summaries.specialize.windows import WindowPooling
from visual_summaries.summaries.arrays import Array
from visual_summaries.summaries.files import Count, Finite, digest, hash_file

FORMAT = 5
"""Version of the layout of a model folder."""

BOUND = ("model.npz", "images.csv")
"""Files whose hashes ``model.json`` contains."""

LARGEST = 1e30
"""Weights, slopes and offsets are smaller; larger ones would overflow."""


@dataclass(frozen=True)
class SummaryRow:
    """The summary of an SVM.

    Attributes:
        run: Name of the run folder.
        summary: Number of the summary in it.
        name: The summary's name; empty if it has none.
        owner: Position of its class among the specialised ones.
        members: Number of its images.
    """

    run: str
    summary: Count
    name: str
    owner: Count
    members: Count


@dataclass(frozen=True)
class MethodRow:
    """A method without its arrays (see `specialize.tuning.Method` and `specialize.blend.Blend`).

    ``windows``: whether its SVMs are of windows.
    """

    name: str
    normalisation: Literal["raw", "clipped", "softmax", "platt", "platt_filled", "uniform", "bonus"]
    weight: Annotated[float, msgspec.Meta(ge=0, le=LARGEST_BONUS)]
    cost: Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)] | None
    windows: bool

    @property
    def trained(self) -> bool:
        """Whether it has SVMs."""
        return self.normalisation in NORMALISATIONS


@dataclass(frozen=True)
class NetworkRow:
    """The network that was specialised; ``config`` is as in ``run.json``, empty for a network given in Python."""

    spec: str
    fingerprint: str
    config: dict[str, Any]


@dataclass(frozen=True)
class ClassRow:
    """A specialised class."""

    index: Count
    name: str
    wordnet: str


@dataclass(frozen=True)
class TunedRow:
    """The chosen hyperparameters of the summaries' method, and its gain and harm on the tuning images."""

    cost: float | None
    normalisation: str
    weight: Finite
    gain: Finite
    harm: Finite | None
    images: Count
    others: Count


@dataclass(frozen=True)
class TuningRow:
    """The options of tuning that pages show."""

    harm_limit: Finite


@dataclass(frozen=True)
class OptionsRow:
    """The options that pages show."""

    tuning: TuningRow


@dataclass(frozen=True)
class Description:
    """The keys of ``model.json`` that are read; it may contain more."""

    format: int
    tap: Tap
    windows: WindowPooling | None
    methods: Annotated[list[MethodRow], msgspec.Meta(min_length=1)]
    summaries: list[SummaryRow]
    model: NetworkRow
    classes: list[ClassRow]
    options: OptionsRow
    seed: Count
    tuned: TunedRow
    digests: dict[str, str]

    def check(self, file: Path) -> None:
        """Refuses inconsistent descriptions.

        Raises:
            UserError: Names the first fault.
        """
        wrong = self._fault()
        if wrong:
            raise UserError(f"{file} is damaged ({wrong}): specialise again")

    def _fault(self) -> str:
        names = [one.name for one in self.methods]
        if len(set(names)) < len(names):
            return "two methods have the same name"
        if not self.methods[0].trained:
            return f"the first method, {names[0]}, has no SVMs"
        over = [one.name for one in self.methods if one.normalisation != "bonus" and one.weight > 1]
        if over:
            return f"the weight of {over[0]} lies outside [0, 1]"
        pooling = self.windows
        if (pooling is None) != (not self.tap.maps) or any(one.windows for one in self.methods if not pooling):
            return "feature maps and windows do not belong together"
        if pooling is not None:
            if len(pooling.shapes) != len(self.tap.maps):
                return f"{len(self.tap.maps)} feature maps have {len(pooling.shapes)} shapes"
            if any(x0 >= x1 or y0 >= y1 for x0, y0, x1, y1 in pooling.windows):
                return "a window is empty"
        return ""

    def schema(self) -> dict[str, Array]:
        """The arrays of ``model.npz``."""
        arrays = {"classes": Array("iu", ("classes",), 0)}
        for one in self.methods:
            if one.trained:
                width = "window" if one.windows else "image"
                arrays |= {
                    f"{one.name}.owner": Array("iu", (one.name,), 0, "classes"),
                    f"{one.name}.weights": Array("f", (one.name, width), -LARGEST, LARGEST),
                    **{
                        f"{one.name}.{part}": Array("f", (one.name,), -LARGEST, LARGEST)
                        for part in ("intercepts", "slope", "offset")
                    },
                }
        return arrays

    def dimensions(self) -> dict[str, int]:
        """The known lengths of the dimensions of these arrays."""
        known = {"classes": len(self.classes), self.methods[0].name: len(self.summaries)}
        if self.windows is not None:
            known |= {"image": self.windows.start, "window": self.windows.width}
        return known

    def check_arrays(self, arrays: Mapping[str, NDArray[Any]], file: Path) -> None:
        """Refuses arrays of the right shapes that do not belong to this description.

        Raises:
            UserError: Names the first fault.
        """
        classes = arrays["classes"].tolist()
        if classes != sorted(set(classes)) or classes != [one.index for one in self.classes]:
            raise UserError(f"{file} is damaged: its classes are not those of model.json: specialise again")
        for one in self.methods:
            if one.trained and len(np.unique(arrays[f"{one.name}.owner"])) != len(classes):
                raise UserError(f"{file} is damaged: {one.name} has no SVM of one of the classes: specialise again")
        if arrays[f"{self.methods[0].name}.owner"].tolist() != [row.owner for row in self.summaries]:
            raise UserError(f"{file} is damaged: its summaries are not those of model.json: specialise again")


def digests_of(folder: Path, info: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of the description, without its hashes, and of the other files that exist."""
    described = {name: value for name, value in info.items() if name not in ("digests", "model")}
    files = {name: hash_file(folder / name) for name in BOUND}
    return {"model.json": digest(described), **{name: value for name, value in files.items() if value}}


def check_digests(folder: Path, info: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Refuses files that do not belong together.

    Raises:
        UserError: Names the first fault.
    """
    found = digests_of(folder, info)
    for name in {"model.json": "", "model.npz": "", **digests}:
        if name not in found:
            raise UserError(f"{folder / name} is missing: specialise again")
        if found[name] != digests.get(name):
            raise UserError(
                f"{folder / name} is damaged, or belongs to another model than model.json: run the same "
                "`visual-summaries specialize` again"
            )
