"""All options of a run, one dataclass per stage, and how they are read from a file.

Precedence: preset, then configuration file, then command line.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from visual_summaries.clustering.options import (
    AffinityOptions,
    AppearanceOptions,
    ProposalOptions,
    PruneOptions,
    SimilarityOptions,
)
from visual_summaries.masks.attribution.options import AttributionOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import OptionError, Options, hints, shown
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET, BinaryOptions, Schedule, preset
from visual_summaries.summaries.semantics.options import ImportanceOptions

T = TypeVar("T", bound=Options)


@dataclass(frozen=True)
class Settings(Options):
    """The options of every stage, in the order of the stages.

    Attributes:
        masks: Optimisation of masks.
        attribution: What the binary masks are made from: the optimised masks, or another attribution.
        binary: Cleaning of the binary mask.
        proposals: Object proposals, and which of them are parts.
        appearance: What proposals are described by.
        similarity: Proposal flow between images.
        affinity: Clustering.
        prune: Which clusters are kept.
        importance: How the importance of summaries is measured.
    """

    masks: Schedule = field(default_factory=lambda: preset(DEFAULT_PRESET))
    attribution: AttributionOptions = field(default_factory=AttributionOptions)
    binary: BinaryOptions = field(default_factory=BinaryOptions)
    proposals: ProposalOptions = field(default_factory=ProposalOptions)
    appearance: AppearanceOptions = field(default_factory=AppearanceOptions)
    similarity: SimilarityOptions = field(default_factory=SimilarityOptions)
    affinity: AffinityOptions = field(default_factory=AffinityOptions)
    prune: PruneOptions = field(default_factory=PruneOptions)
    importance: ImportanceOptions = field(default_factory=ImportanceOptions)


def read_config(path: Path) -> dict[str, Any]:
    """The options in a TOML or JSON file, as nested dictionaries.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UserError(f"--config {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"--config {path} is neither TOML nor, with suffix .json, JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"--config {path} holds no table of options")
    return data


def override(options: T, values: Mapping[str, Any], where: str = "") -> T:
    """Options with the values of nested dictionaries in place of their own.

    Args:
        options: The options.
        values: As they come from a file.
        where: Put before the names in errors.

    Raises:
        UserError: If a name is no option, or a value has the wrong type or is out of its range; it names the option
            by its dotted path.

    Examples:
        >>> override(Settings(), {"affinity": {"damping": 0.7}}).affinity.damping
        0.7
        >>> override(Settings(), {"affinity": {"damping": 3}})
        Traceback (most recent call last):
        visual_summaries.masks.options.OptionError: affinity.damping is 3: give a value in [0.5, 1)
    """
    known = hints(type(options))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in known:
            raise UserError(f"unknown option {shown(path)} in the configuration: known are {', '.join(known)}")
        current = getattr(options, name)
        if isinstance(current, Options):
            if not isinstance(value, Mapping):
                raise OptionError(path, value, "give a table of options")
            value = override(current, value, f"{path}.")
        changed[name] = value
    try:
        return dataclasses.replace(options, **changed)
    except OptionError as error:
        raise error.called(f"{where}{error.field}") from None


RENAMED = {"wobble": "area_jitter"}
"""Names of options in the records of earlier versions, with the present ones."""


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded options, nested, with the present names of those in :data:`RENAMED`.

    Examples:
        >>> renamed({"masks": {"crisp": {"wobble": 0.15, "area": 0.3}}})
        {'masks': {'crisp': {'area_jitter': 0.15, 'area': 0.3}}}
    """
    return {
        RENAMED.get(name, name): renamed(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
    }


def plain(options: Any) -> Any:
    """Options as they stand in JSON."""
    return json.loads(json.dumps(dataclasses.asdict(options)))
