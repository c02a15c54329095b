"""The names of attributions, as the command line and the configuration take them; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """An attribution, in words.

    Attributes:
        title: What the literature calls it.
        gradients: Whether it needs gradients of the logits with respect to the inputs.
    """

    title: str
    gradients: bool = True


MASK = "mask"
"""The default: the crisp mask, which ``masks.perturbation`` optimises."""

METHODS = {
    MASK: Method("optimised mask"),
    "grad_cam": Method("Grad-CAM"),
    "rise": Method("RISE", gradients=False),
    "extremal": Method("extremal perturbation"),
}
"""By name. Each but the mask has options (:class:`masks.attribution.options.AttributionOptions`) and a function
(:data:`masks.attribution.registry.ATTRIBUTIONS`) of the same name."""

FORMS = f"one of {', '.join(METHODS)}"


def check_name(name: str) -> None:
    """Refuses what is no name of an attribution.

    Raises:
        ValueError: If there is no such attribution.

    Examples:
        >>> check_name("rise")
    """
    if name not in METHODS:
        raise ValueError(f"unknown attribution {name!r}: give {FORMS}")
