"""All options of a run, one dataclass a stage, and how they are read from a file.

Precedence: preset, then configuration file, then command line.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from clustering.affinity import AffinityOptions
from clustering.appearance import AppearanceOptions
from clustering.proposals import ProposalOptions
from clustering.prune import PruneOptions
from clustering.similarity import SimilarityOptions
from masks.binarize import BinaryOptions
from masks.errors import UserError
from masks.schedule import DEFAULT_PRESET, Schedule, preset

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """The options of every stage, in the order of the stages.

    Attributes:
        masks: Optimisation of masks.
        binary: Cleaning of the binary mask.
        proposals: Object proposals, and which of them are parts.
        appearance: What proposals are described by.
        similarity: Proposal flow between images.
        affinity: Clustering.
        prune: Which clusters are kept.
    """

    masks: Schedule = field(default_factory=lambda: preset(DEFAULT_PRESET))
    binary: BinaryOptions = field(default_factory=BinaryOptions)
    proposals: ProposalOptions = field(default_factory=ProposalOptions)
    appearance: AppearanceOptions = field(default_factory=AppearanceOptions)
    similarity: SimilarityOptions = field(default_factory=SimilarityOptions)
    affinity: AffinityOptions = field(default_factory=AffinityOptions)
    prune: PruneOptions = field(default_factory=PruneOptions)


def read_config(path: Path) -> dict[str, Any]:
    """The options in a TOML or JSON file, as nested dictionaries.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise UserError(f"--config {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"--config {path} is neither TOML nor, with suffix .json, JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"--config {path} holds no table of options")
    return data


def override(options: T, values: dict[str, Any], where: str = "") -> T:
    """A dataclass with the values of nested dictionaries in place of its own.

    Raises:
        UserError: If a name is no option, or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(options))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in hints:
            raise UserError(f"unknown option {path!r} in the configuration: known are {', '.join(hints)}")
        current = getattr(options, name)
        if dataclasses.is_dataclass(current) and not isinstance(current, type):
            if not isinstance(value, dict):
                raise UserError(f"option {path!r} in the configuration is a table of options, not {value!r}")
            changed[name] = override(current, value, f"{path}.")
        else:
            changed[name] = _checked(value, hints[name], path)
    return dataclasses.replace(options, **changed)  # type: ignore[type-var]


def _checked(value: Any, hint: Any, path: str) -> Any:
    if isinstance(hint, types.UnionType):
        kinds = typing.get_args(hint)
        if value is None and type(None) in kinds:
            return None
        hint = next(kind for kind in kinds if kind is not type(None))
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        kinds = typing.get_args(hint)
        if kinds[-1] is not Ellipsis and len(value) != len(kinds):
            raise UserError(f"option {path!r} in the configuration is a list of {len(kinds)}, not {value!r}")
        return tuple(_checked(item, kinds[0], path) for item in value)
    if typing.get_origin(hint) is typing.Literal:
        if value in typing.get_args(hint):
            return value
        raise UserError(f"option {path!r} in the configuration is one of {typing.get_args(hint)}, not {value!r}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UserError(f"option {path!r} in the configuration is {getattr(hint, '__name__', hint)}, not {value!r}")


def plain(options: Any) -> Any:
    """Options as they stand in JSON."""
    return json.loads(json.dumps(dataclasses.asdict(options)))
