"""What ``model.json`` says of a specialised network, checked where it is read, and what binds it to its arrays.

``model.json`` is written last and is the truth: it holds the hashes of ``model.npz`` and ``images.csv``, and one of
itself, so that files of two models, of a `specialize` that was killed, or with a changed letter, are not taken for one
model. Its hash leaves out ``model``, how to load the network, whose result has a fingerprint of its own.
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
from visual_summaries.specialize.windows import Places
from visual_summaries.summaries.arrays import Array
from visual_summaries.summaries.files import Count, Finite, digest, hash_file

FORMAT = 3
"""Version of the layout of a model folder."""

BOUND = ("model.npz", "images.csv")
"""Files that belong to one ``model.json``."""

LARGEST = 1e30
"""Weights, slopes and offsets are smaller, or decisions overflow."""


@dataclass(frozen=True)
class SummaryRow:
    """Where an SVM is from.

    Attributes:
        run: Name of the run folder.
        summary: Number of the summary in it.
        name: The summary's name; empty where it has none.
        owner: Place of its class among the specialised ones.
        members: Its images.
    """

    run: str
    summary: Count
    name: str
    owner: Count
    members: Count


@dataclass(frozen=True)
class MethodRow:
    """A method, without its arrays; see `specialize.tuning.Method` and `specialize.blend.Blend`."""

    name: str
    normalisation: Literal["raw", "clipped", "softmax", "platt", "platt_filled", "uniform", "bonus"]
    weight: Annotated[float, msgspec.Meta(ge=0, le=LARGEST_BONUS)]
    cost: Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max)] | None
    places: bool

    @property
    def trained(self) -> bool:
        """Whether it has SVMs."""
        return self.normalisation in NORMALISATIONS


@dataclass(frozen=True)
class NetworkRow:
    """The network that was specialised; ``config`` is how a run records it, empty for one from Python."""

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
    """What was chosen for the summaries' method, and what it does on the images it was chosen on."""

    cost: float | None
    normalisation: str
    weight: Finite
    gain: Finite
    harm: Finite | None
    images: Count
    others: Count


@dataclass(frozen=True)
class TuningRow:
    """Of the options of tuning, what pages show."""

    harm_limit: Finite


@dataclass(frozen=True)
class SettingsRow:
    """Of the options, what pages show."""

    tuning: TuningRow


@dataclass(frozen=True)
class Description:
    """All that is read of ``model.json``; it may say more."""

    format: int
    tap: Tap
    places: Places | None
    methods: Annotated[list[MethodRow], msgspec.Meta(min_length=1)]
    summaries: list[SummaryRow]
    model: NetworkRow
    classes: list[ClassRow]
    settings: SettingsRow
    seed: Count
    tuned: TunedRow
    digests: dict[str, str]

    def check(self, file: Path) -> None:
        """Refuses what no model says.

        Raises:
            UserError: Names the first thing that is wrong.
        """
        wrong = self._fault()
        if wrong:
            raise UserError(f"{file} is damaged ({wrong}): specialise again")

    def _fault(self) -> str:
        names = [one.name for one in self.methods]
        if len(set(names)) < len(names):
            return "two methods have one name"
        if not self.methods[0].trained:
            return f"the first method, {names[0]}, has no SVMs"
        over = [one.name for one in self.methods if one.normalisation != "bonus" and one.weight > 1]
        if over:
            return f"the weight of {over[0]} lies outside [0, 1]"
        if (self.places is None) != (not self.tap.maps) or any(one.places for one in self.methods if not self.places):
            return "feature maps and places do not belong together"
        if self.places is not None:
            if len(self.places.shapes) != len(self.tap.maps):
                return f"{len(self.tap.maps)} feature maps have {len(self.places.shapes)} shapes"
            if any(x0 >= x1 or y0 >= y1 for x0, y0, x1, y1 in self.places.windows):
                return "a window is empty"
        return ""

    def schema(self) -> dict[str, Array]:
        """What ``model.npz`` has to hold."""
        arrays = {"classes": Array("iu", ("classes",), 0)}
        for one in self.methods:
            if one.trained:
                width = "placed" if one.places else "plain"
                arrays |= {
                    f"{one.name}.owner": Array("iu", (one.name,), 0, "classes"),
                    f"{one.name}.weights": Array("f", (one.name, width), -LARGEST, LARGEST),
                    **{
                        f"{one.name}.{part}": Array("f", (one.name,), -LARGEST, LARGEST)
                        for part in ("intercepts", "slope", "offset")
                    },
                }
        return arrays

    def sides(self) -> dict[str, int]:
        """What is known of the arrays' sides."""
        sides = {"classes": len(self.classes), self.methods[0].name: len(self.summaries)}
        if self.places is not None:
            sides |= {"plain": self.places.start, "placed": self.places.width}
        return sides

    def check_arrays(self, arrays: Mapping[str, NDArray[Any]], file: Path) -> None:
        """Refuses arrays of the right shape that belong to no model, or to another one.

        Raises:
            UserError: Names the first thing that is wrong.
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
    """Hashes of ``model.json``, as plain data without its hashes, and of the files beside it that are there."""
    told = {name: value for name, value in info.items() if name not in ("digests", "model")}
    files = {name: hash_file(folder / name) for name in BOUND}
    return {"model.json": digest(told), **{name: value for name, value in files.items() if value}}


def check_digests(folder: Path, info: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Refuses files that do not belong together.

    Raises:
        UserError: Names the first one.
    """
    found = digests_of(folder, info)
    for name in {"model.json": "", "model.npz": "", **digests}:
        if name not in found:
            raise UserError(f"{folder / name} is not there: specialise again")
        if found[name] != digests.get(name):
            raise UserError(
                f"{folder / name} is damaged, or belongs to another model than model.json: run the same "
                "`visual-summaries specialize` again"
            )
