"""Size, mean and standard deviation of a network's input, from its attributes or from the user's options."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor, nn

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import INTERPOLATIONS, Frame
from visual_summaries.masks.networks.classifier import Normalisation
from visual_summaries.masks.networks.input_options import InputFormat

LARGEST = 10_000
"""Largest side of an input, pixels."""


def own_format(network: nn.Module, spec: str, override: InputFormat) -> tuple[Frame, Normalisation]:
    """The frame and the normalisation of a user's network, from its attributes or from the options that override them.

    Args:
        network: Has the attributes ``input_size``, ``mean``, ``std`` and optionally ``interpolation``.
        spec: Its name in messages.
        override: Takes precedence over the attributes.

    Raises:
        UserError: If something is missing, is not a valid size or colour, or is part of what the network computes.
    """
    given: dict[str, Any] = {}
    for name in ("input_size", "mean", "std"):
        value = getattr(override, name)
        given[name] = said_of(network, name, spec) if value is None else value
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise UserError(
            f"the network of {spec} lacks {', '.join(missing)}: give them as its attributes, or "
            + ", ".join(f"`{name}`" for name in missing)
        )
    inside = [name for name in ("mean", "std") if getattr(override, name) is None and _computes_with(network, name)]
    if inside:
        raise UserError(
            f"the network of {spec} keeps {' and '.join(inside)} in buffers or parameters, so it may normalise by "
            "itself: give `mean` 0 0 0 and `std` 1 1 1 if it does, else the mean and std of its input"
        )
    size = size_of(given["input_size"], f"input_size of {spec}")
    interpolation = said_of(network, "interpolation", spec) or "bilinear"
    interpolation = str(getattr(interpolation, "value", interpolation))  # torchvision has an enumeration
    if interpolation not in INTERPOLATIONS:
        raise UserError(f"{spec}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    frame = Frame(size, min(size), interpolation)
    return frame, normalisation(given["mean"], given["std"], spec)


def said_of(network: nn.Module, name: str, spec: str) -> Any:
    """An attribute of a user's network; None if it has none of that name.

    Raises:
        UserError: If it is a property that fails.
    """
    try:
        return getattr(network, name, None)
    except Exception as error:  # a property may raise anything
        line = (str(error).splitlines() or ["no reason"])[0]
        raise UserError(f"{name} of the network of {spec} fails: {type(error).__name__}: {line}") from error


def _computes_with(network: nn.Module, name: str) -> bool:
    """Whether an attribute is a buffer or a parameter: then the network computes with it itself."""
    return name in network._buffers or name in network._parameters


def overridden(frame: Frame, colours: Normalisation, override: InputFormat) -> tuple[Frame, Normalisation]:
    """The frame and the normalisation with the user's options in place of the network's own values.

    Raises:
        UserError: If an option is not a valid size or colour.
    """
    if override.input_size is not None:
        size = size_of(override.input_size, "input_size")
        frame = Frame(size, _resize(frame, size), frame.interpolation)
    if override.mean is not None or override.std is not None:
        mean = colours.mean if override.mean is None else override.mean
        std = colours.std if override.std is None else override.std
        colours = normalisation(mean, std, "the input")
    return frame, colours


def _resize(frame: Frame, size: tuple[int, int]) -> int | tuple[int, int] | None:
    """The resize that keeps the same part of a photograph in a frame of another size."""
    if isinstance(frame.resize, int):
        return math.floor(min(size) * (frame.resize / min(frame.size)))
    if frame.resize is None:
        return None
    height, width = (new * side // old for new, side, old in zip(size, frame.resize, frame.size, strict=True))
    return height, width


def size_of(value: object, what: str) -> tuple[int, int]:
    """(H, W) from a side, (H, W), (C, H, W) or (H, W, C).

    Raises:
        UserError: If it is none of them.

    Examples:
        >>> size_of(224, "my network"), size_of((3, 224, 192), "my network")
        ((224, 224), (224, 192))
    """
    numbers = _numbers(value)
    if len(numbers) == 3:
        numbers = numbers[1:] if numbers[0] in (1, 3, 4) else numbers[:2] if numbers[2] in (1, 3, 4) else []
    if not 1 <= len(numbers) <= 2 or any(n != int(n) or not 1 <= n <= LARGEST for n in numbers):
        raise UserError(f"{what}: {_shown(value)} is no size: give a side or H W in pixels")
    return int(numbers[0]), int(numbers[-1])


def normalisation(mean: object, std: object, what: str) -> Normalisation:
    """Mean and standard deviation, each three numbers or one for all three colours, for images in [0, 1].

    Raises:
        UserError: If they are not such numbers, or are on the scale 0 to 255.

    Examples:
        >>> normalisation(0.5, (0.2, 0.2, 0.3), "my network")
        Normalisation(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.3))
    """
    found = []
    for name, value in (("mean", mean), ("std", std)):
        numbers = _numbers(value)
        if len(numbers) not in (1, 3):
            raise UserError(f"{name} of {what}: {_shown(value)} is not three numbers, red, green, blue")
        found.append((numbers * 3)[:3] if len(numbers) == 1 else numbers)
    if max(map(abs, found[0])) > 1 or max(found[1]) > 1:
        raise UserError(
            f"mean {_shown(found[0])} and std {_shown(found[1])} of {what} are too large for images in [0, 1]: "
            "where they are on the scale 0 to 255, divide them by 255"
        )
    if min(found[1]) <= 0:
        raise UserError(f"std of {what}: {_shown(found[1])} is not above 0")
    (red, green, blue), (red_std, green_std, blue_std) = found
    return Normalisation((red, green, blue), (red_std, green_std, blue_std))


def _numbers(value: object) -> list[float]:
    """The finite numbers in a number, a list, an array or a tensor; none where it is something else."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy() if not value.is_complex() and not value.is_meta else None
    entries = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(entry, bool | str | bytes) for entry in entries):
        return []
    try:
        numbers = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        return []
    return [] if numbers.size > 4 or not np.isfinite(numbers).all() else [float(number) for number in numbers]


def _shown(value: object) -> str:
    if callable(value):
        return f"a {type(value).__name__}"
    numbers = _numbers(value)
    return " ".join(f"{number:g}" for number in numbers) if numbers else " ".join(str(value).split())[:60]
