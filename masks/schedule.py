r"""The stages of mask optimisation and their presets.

======================  =======================  =====================  ======================================
\                       ``paper``                ``reference``          ``compact`` (default)
======================  =======================  =====================  ======================================
smooth: passes          300                      300                    50
smooth: l1, tv          0.01, 1e-4               0.5, 1e-2              0.5, 1e-2
smooth: mask            full resolution          /8, blur 5             /8, blur 4
core: passes            0                        0                      90
crisp: passes           150                      150                    45
crisp: l1, tv           0.01, 1                  0.01, 1                no weights, the area is given
crisp: sparsity         2                        2                      nearly binary by construction
crisp: mask             full resolution          full resolution        /8, blur 4, cut at a quantile
perturbation            blur 10                  blur 10, 11 px kernel  blur 10, blur 5, mean colour in turn
======================  =======================  =====================  ======================================

``compact`` departs from the paper after its smooth stage. Masks are smooth fields on a coarse grid, cut ever more
sharply, so that what is optimised is nearly the binary mask that becomes regions; they hold under three perturbations,
not one. The core stage looks for the smallest area that loses the class. It cuts parts into pieces, on which no
object proposal lies, so the crisp stage starts from the core and what is within a margin of it, and moves the outline
of a mask of that area until the class is lost as surely as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from masks.errors import UserError


@dataclass(frozen=True)
class Stage:
    """One stage of the optimisation of masks.

    Attributes:
        iterations: Passes forward and backward, >= 0.
        rate: Step of Adam, > 0 (reference: 0.1).
        resolution: The mask has the frame's sides divided by this, >= 1 (reference: 8 smooth, 1 crisp).
        smoothing: Sigma, in pixels of a frame of 224, of the Gaussian that follows the bilinear upsampling, >= 0.
        smoothing_gradient: Whether the gradient passes through that Gaussian (reference: no).
        perturbations: What replaces perturbed pixels, each pass the next one, see ``masks/perturb.py``.
        jitter: Largest random shift of the perturbed image in a pass, in pixels of a frame of 224, >= 0.
        l1: Weight of the mean of the mask, >= 0 (paper: 0.01).
        tv: Weight of the total variation, >= 0 (paper: 1e-4 smooth, 1 crisp).
        beta: Exponent of the total variation, > 0 (paper: 3).
        sparsity: Weight of mean m (1 - m), >= 0 (paper: 0 smooth, 2 crisp).
        area: What decides the mask's area. "weighed": the loss, by l1 (paper). "least": the smallest area that gives
            the asked-for drop under every perturbation. "start": that of the mask that the stage starts from. In the
            last two the mask is a field cut at a quantile, and l1 is not used.
        drop: Asked-for drop (p0 - p) / p0 of a stage of least area, in (0, 1).
        max_area: Largest share of the frame that a mask cut at a quantile may take, in (0, 1].
        sharpness: Of that cut, at the first and at the last pass, in 1 / standard deviation of the field, > 0.
        margin: The mask that the stage starts from is cut, cleaned and grown by so many pixels of a frame of 224
            before, >= 0.
    """

    iterations: int = 300
    rate: float = 0.1
    resolution: int = 1
    smoothing: float = 0.0
    smoothing_gradient: bool = True
    perturbations: tuple[str, ...] = ("blur:10",)
    jitter: int = 0
    l1: float = 0.01
    tv: float = 1e-4
    beta: float = 3.0
    sparsity: float = 0.0
    area: Literal["weighed", "least", "start"] = "weighed"
    drop: float = 0.9996
    max_area: float = 0.34
    sharpness: tuple[float, float] = (8.0, 24.0)
    margin: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """The stages of the optimisation (paper section 3.1), each from the mask of the one before.

    Attributes:
        smooth: First stage, its mask is a float mask.
        core: The evidence without which the class is lost; not in the paper.
        crisp: Last stage, its mask is (nearly) binary.
        batch: Images optimised at once; the unit in which a killed run continues.
    """

    smooth: Stage = field(default_factory=Stage)
    core: Stage = field(default_factory=lambda: Stage(iterations=0))
    crisp: Stage = field(default_factory=lambda: Stage(iterations=150, tv=1.0, sparsity=2.0))
    batch: int = 8


_REFERENCE_BLUR = ("blur:10/11",)

PRESETS: dict[str, Schedule] = {
    "paper": Schedule(),
    "reference": Schedule(
        smooth=Stage(
            resolution=8,
            smoothing=5,
            smoothing_gradient=False,
            l1=0.5,
            tv=1e-2,
            perturbations=_REFERENCE_BLUR,
        ),
        crisp=Stage(iterations=150, tv=1.0, sparsity=2.0, perturbations=_REFERENCE_BLUR),
    ),
}
_COMPACT = Stage(
    rate=0.05,
    resolution=8,
    smoothing=4,
    perturbations=("blur:10", "blur:5", "constant:mean"),
    jitter=4,
    tv=0.0,
)
PRESETS["compact"] = Schedule(
    smooth=replace(PRESETS["reference"].smooth, iterations=50, smoothing=4, smoothing_gradient=True),
    core=replace(_COMPACT, iterations=90, area="least"),
    crisp=replace(_COMPACT, iterations=45, area="start", margin=12, sharpness=(16.0, 32.0)),
)
DEFAULT_PRESET = "compact"


def preset(name: str) -> Schedule:
    """The schedule of a preset.

    Raises:
        UserError: If there is no such preset.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}: use {', '.join(PRESETS)}")
    return PRESETS[name]
