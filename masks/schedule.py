r"""The stages of mask optimisation and their presets.

======================  =======================  =====================  ======================
\                       ``paper``                ``reference``          ``compact`` (default)
======================  =======================  =====================  ======================
smooth: passes          300                      300                    50
smooth: l1, tv          0.01, 1e-4               0.5, 1e-2              0.5, 1e-2
smooth: mask            full resolution          /8, blur 5             /8, blur 4
crisp: passes           150                      150                    160
crisp: l1, tv           0.01, 1                  0.01, 1                2, 0
crisp: sparsity         2                        2                      binary by construction
crisp: mask             full resolution          full resolution        /8, blur 4, threshold
perturbation            blur 10                  blur 10, 11 px kernel  blur 10, blur 5, mean colour
======================  =======================  =====================  ======================

``compact`` departs from the paper in its crisp stage: the mask is thresholded in every pass (the gradient goes
straight through), so that the mask which is optimised is the binary mask that becomes regions; its basis is
smooth, so that regions are few and large enough to hold proposals; and the drop is a constraint, not a term.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
        threshold: Whether the mask is cut at 0.5 in every pass, the gradient going straight through.
        perturbations: What replaces perturbed pixels, each pass the next one, see ``masks/perturb.py``.
        jitter: Largest random shift of the perturbed image in a pass, in pixels of a frame of 224, >= 0.
        l1: Weight of the mean of the mask, >= 0 (paper: 0.01).
        tv: Weight of the total variation, >= 0 (paper: 1e-4 smooth, 1 crisp).
        beta: Exponent of the total variation, > 0 (paper: 3).
        sparsity: Weight of mean m (1 - m), >= 0 (paper: 0 smooth, 2 crisp).
        drop: Asked-for drop (p0 - p) / p0 in (0, 1) as a constraint with a multiplier an image; None minimises
            the probability itself (paper).
    """

    iterations: int = 300
    rate: float = 0.1
    resolution: int = 1
    smoothing: float = 0.0
    smoothing_gradient: bool = True
    threshold: bool = False
    perturbations: tuple[str, ...] = ("blur:10",)
    jitter: int = 0
    l1: float = 0.01
    tv: float = 1e-4
    beta: float = 3.0
    sparsity: float = 0.0
    drop: float | None = None


@dataclass(frozen=True)
class Schedule:
    """The two stages of the optimisation (paper section 3.1).

    Attributes:
        smooth: First stage, its mask is a float mask.
        crisp: Second stage, starts from the smooth mask; its mask is (nearly) binary.
        batch: Images optimised at once; the unit in which a killed run continues.
    """

    smooth: Stage = field(default_factory=Stage)
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
PRESETS["compact"] = Schedule(
    smooth=replace(PRESETS["reference"].smooth, iterations=50, smoothing=4, smoothing_gradient=True),
    crisp=Stage(
        iterations=160,
        rate=0.05,
        resolution=8,
        smoothing=4,
        threshold=True,
        perturbations=("blur:10", "blur:5", "constant:mean"),
        jitter=4,
        l1=2.0,
        tv=0.0,
        drop=0.9999,
    ),
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
