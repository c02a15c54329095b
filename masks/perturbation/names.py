"""The names of perturbations, as the command line and the configuration take them.

What they mean is said in `masks.perturbation.perturb`.
"""

from __future__ import annotations

from typing import Literal

from visual_summaries.masks.errors import UserError

Kind = Literal["blur", "pyramid", "noise", "constant"]

FORMS = "blur:SIGMA, blur:SIGMA/KERNEL, pyramid:SIGMA, noise:DEVIATION, constant:mean or constant:grey"

NARROWEST, WIDEST = 0.01, 1000.0
"""Limits of sigmas, in pixels, and of standard deviations."""


def parse_name(name: str) -> tuple[Kind, float | str, int | None]:
    """Reads the name of a perturbation.

    Returns:
        The kind; its sigma or deviation, in [0.01, 1000], or the colour of a constant; the width of a blur's kernel in
        pixels, odd, None if it is not cut.

    Raises:
        UserError: If there is no such perturbation.

    Examples:
        >>> parse_name("blur:10/11"), parse_name("constant:mean")
        (('blur', 10.0, 11), ('constant', 'mean', None))
    """
    kind, _, value = name.partition(":")
    if kind == "constant" and value in ("mean", "grey"):
        return "constant", value, None
    try:
        if kind == "noise":
            return "noise", _width(value), None
        if kind == "pyramid":
            return "pyramid", _width(value), None
        if kind == "blur":
            sigma, cut, kernel = value.partition("/")
            return "blur", _width(sigma), _odd(kernel) if cut else None
    except ValueError:
        pass
    raise UserError(f"unknown perturbation {name!r}: use {FORMS}")


def _width(text: str) -> float:
    value = float(text)
    if not NARROWEST <= value <= WIDEST:
        raise ValueError(text)
    return value


def _odd(text: str) -> int:
    value = int(text)
    if value < 1 or value % 2 == 0:
        raise ValueError(text)
    return value
