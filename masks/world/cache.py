"""Trained networks, kept in the user's cache and trained if they are missing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError

import torch

from visual_summaries.masks.cache_folder import cache_folder
from visual_summaries.masks.world.architecture import WIDTHS, WorldNetwork, untrained
from visual_summaries.masks.world.training import Progress, Training, train

WORLD_VERSION = 1
"""Increase it with every change of the pictures or the networks, so that they are trained again."""
_UNREADABLE = (OSError, EOFError, RuntimeError, TypeError, ValueError, LookupError, AttributeError, UnpicklingError)
"""Errors of torch and pickle on files that are truncated, damaged or of another kind."""
_log = logging.getLogger(__name__)


def network(name: str = "demo", *, progress: Progress | None = None) -> WorldNetwork:
    """A trained network of the embedded world, from the cache; trained the first time.

    Args:
        name: ``"demo"``, the best one, or ``"demo:1"`` .. ``"demo:4"``, weaker ones of growing capacity.
        progress: Called during training with (what, steps done, steps in all).

    Returns:
        The network in evaluation mode. It maps normalised pictures to logits; its input is described by its attributes
        ``input_size``, ``mean`` and ``std``, its classes by ``classes``.

    Raises:
        ValueError: If there is no such network.
    """
    return load_or_train(name, Training(), progress)


def load_or_train(name: str, training: Training, progress: Progress | None = None) -> WorldNetwork:
    """As :func:`network`, with any hyperparameters. A file that cannot be read is made again."""
    result = untrained(name, training.seed)
    path = cache_path(name, training)
    if path.exists():
        try:
            result.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            return result
        except _UNREADABLE as error:
            _log.warning("%s cannot be read and is made anew: %s", path, error)
    _log.info("training %s once; it is kept as %s", name, path)
    result = train(name, training, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    torch.save(result.state_dict(), temporary)
    os.replace(temporary, path)
    return result


def cache_path(name: str, training: Training) -> Path:
    """The file of the weights; its name contains a hash of everything they depend on."""
    depends = {"world": WORLD_VERSION, "width": WIDTHS[name], "training": asdict(training)}
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder("networks") / f"{name.replace(':', '-')}-{digest}.pt"
