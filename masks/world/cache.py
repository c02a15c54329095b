"""Trained networks, kept in the user's cache and trained when they are not there."""

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
"""To be raised with every change of the pictures or of the networks, so that they are trained anew."""
_UNREADABLE = (OSError, EOFError, RuntimeError, TypeError, ValueError, LookupError, AttributeError, UnpicklingError)
"""What torch and pickle raise on files that are cut off, damaged or of something else."""
_log = logging.getLogger(__name__)


def network(name: str = "demo", *, progress: Progress | None = None) -> WorldNetwork:
    """A trained network of the embedded world, from the cache or, once, trained on the spot.

    Args:
        name: ``"demo"``, the good one, or ``"demo:1"`` .. ``"demo:4"``, weaker ones of growing capacity.
        progress: Told how the training goes: what is done, steps done, steps in all.

    Returns:
        The network in evaluation mode. It gives logits for normalised pictures; its attributes ``input_size``,
        ``mean``, ``std`` and ``classes`` say how to feed it.

    Raises:
        ValueError: If there is no such network.
    """
    return load_or_train(name, Training(), progress)


def load_or_train(name: str, training: Training, progress: Progress | None = None) -> WorldNetwork:
    """As :func:`network`, with hyperparameters of your own. A file that cannot be read is made anew."""
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
    """Where the weights are kept: the name holds a digest of all that they depend on."""
    depends = {"world": WORLD_VERSION, "width": WIDTHS[name], "training": asdict(training)}
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder("networks") / f"{name.replace(':', '-')}-{digest}.pt"
