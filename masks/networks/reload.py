"""Loads the network of a run folder again, from the folder's record.

A record may come from another person. A network of a library (``lite0``, ``demo``, ``torchvision:NAME``, ``timm:NAME``)
is loaded by its name. A Python file is run only if the user names it (``--model``) or trusts the folder (``--trust``).
Files of weights and of class names are data and are never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.libraries import is_of_library
from visual_summaries.masks.networks.models import choose_device, load_classifier


@dataclass(frozen=True)
class RecordedModel:
    """How a network was loaded, as a run records it.

    Attributes:
        spec: See `masks.networks.models`.
        weights: File of a state dict, "none" for random weights, None for the specification's own.
        input: The options on its input.
    """

    spec: str
    weights: str | None
    input: InputFormat


def load_recorded(
    model: Mapping[str, Any],
    fingerprint: str,
    path: Path,
    device: str,
    *,
    given: str | None = None,
    trust: bool = False,
) -> Classifier:
    """Loads a network from the record of a folder.

    Args:
        model: ``spec``, ``weights`` and ``input``, as a run records them.
        fingerprint: Of the network that made the folder.
        path: The folder, for messages.
        device: auto, cpu or cuda.
        given: The user's specification in place of the record's: the same network, whose file may have moved.
        trust: Whether a Python file that the record names may be run.

    Raises:
        UserError: The record is damaged or names a Python file that may not be run, the network cannot be loaded, or it
            is not the one that made the folder.
    """
    record = _checked(model, path)
    if given is None and not trust and not is_of_library(record.spec):
        raise UserError(
            f"{path} names the Python file {record.spec!r}, which is not run unasked: give `model` with the same "
            "specification, or `trust` (in Python trust=True) if you know where the folder is from"
        )
    for what, file in (("weights", record.weights), ("class names", record.input.classes)):
        if file not in (None, "none") and not _is_file(file):
            raise UserError(f"the {what} that {path} was made with, {str(file)!r}, are not there: put the file back")
    classifier = load_classifier(
        given or record.spec,
        weights=record.weights,
        input_format=record.input,
        device=choose_device(device),
    )
    if classifier.fingerprint() != fingerprint:
        if given is not None:
            raise UserError(f"{given} is not the network that {path} was made with, which was {record.spec!r}")
        raise UserError(f"{record.spec} is not the network any more that {path} was made with: give another `out`")
    return classifier


def _is_file(name: str | Path) -> bool:
    """Whether a path leads to a plain file; False for a device, a pipe, or a text that cannot be a path."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _checked(model: Mapping[str, Any], path: Path) -> RecordedModel:
    try:
        return msgspec.convert(dict(model), RecordedModel, dec_hook=lambda kind, value: kind(value))  # of paths
    except ValueError as error:
        raise UserError(f"{path} does not say which network it was made with ({error})") from None
