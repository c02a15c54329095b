"""The network that a folder was made with, loaded again from its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from masks.classifier import Classifier
from masks.errors import UserError
from masks.models import InputFormat, choose_device, load_classifier


def load_recorded(model: Mapping[str, Any], fingerprint: str, path: Path, device: str) -> Classifier:
    """Loads a network from the record of a folder.

    Args:
        model: ``spec``, ``weights`` and ``input``, as a run records them.
        fingerprint: Of the network that the folder was made with.
        path: The folder, for messages.
        device: auto, cpu or cuda.

    Raises:
        UserError: What the name gives now is another network, or cannot be had.
    """
    values = dict(model["input"])
    for name in ("input_size", "mean", "std"):
        values[name] = None if values[name] is None else tuple(values[name])
    values["classes"] = None if values["classes"] is None else Path(values["classes"])
    classifier = load_classifier(
        model["spec"], weights=model["weights"], input_format=InputFormat(**values), device=choose_device(device)
    )
    if classifier.fingerprint() != fingerprint:
        raise UserError(f"{model['spec']} is not the network any more that {path} was made with: give another --out")
    return classifier
