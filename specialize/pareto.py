"""Gain against harm: a curve for each method over all weights, and a dot for the chosen weight."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from visual_summaries.specialize.boost_results import BoostResults, GainRow
from visual_summaries.specialize.bootstrap import Curve
from visual_summaries.summaries.pages.drawing import Picture

NAMES = {
    "summaries": "summaries",
    "summaries_no_siblings": "summaries, no siblings",
    "one_per_class": "one SVM a class",
    "one_per_class_all": "one SVM a class, all images",
    "kmeans": "k-means",
    "random": "random groups",
    "random_no_siblings": "random, no siblings",
    "logit_bonus": "bonus on the logits",
    "uniform": "uniform score",
}
"""Names of the methods on pages."""

LARGEST_HARM = 5.0
"""Largest end of the axis of harm, points."""

_INK, _FAINT, _RULE = "#1c2024", "#68707a", "#d9dde1"
_COLOURS = {
    "summaries": "#0072b2",
    "one_per_class": "#d55e00",
    "one_per_class_all": "#e69f00",
    "kmeans": "#009e73",
    "random": "#8b9299",
    "random_no_siblings": "#b9bec4",
    "logit_bonus": "#cc79a7",
    "uniform": "#44494f",
}
"""A palette for colour-blind readers (after Okabe and Ito)."""


def figure(results: BoostResults, harm_limit: float) -> Picture:
    """The curves.

    Args:
        results: With images of other classes.
        harm_limit: Of the tuning, points; a dashed line.

    Returns:
        uint8 RGB (H, W, 3).
    """
    page = Figure(figsize=(8.6, 5.4), dpi=150, facecolor="white", layout="constrained")
    axes = page.subplots()
    curves = [curve for curve in results.curves if curve.method in _COLOURS]
    rows = {row.method: row for row in (*results.rows, *results.further)}
    for curve in reversed(curves):
        _draw(axes, curve, rows[curve.method])
    largest = min(LARGEST_HARM, max((max(curve.harm) for curve in curves), default=1.0))
    axes.set_xlim(min(-0.1, *(row.harm or 0.0 for row in rows.values())) - 0.05, max(largest, 2 * harm_limit, 1.0))
    axes.set_ylim(min(0, *(row.gain or 0.0 for row in rows.values())) - 1, None)
    axes.axvline(harm_limit, color=_FAINT, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
    axes.set_xlabel("harm to other classes, points of top-1", color=_INK, size=11)
    axes.set_ylabel("gain on the specialised classes, points of top-1", color=_INK, size=11)
    axes.set_title(
        "Curves: largest gain of all weights up to each harm. Dots: the weight chosen on held-out training images.\n"
        "Dashed line: the harm limit on those images.",
        size=10.5,
        color=_FAINT,
        loc="left",
    )
    axes.grid(color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK, labelsize=10)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower right", frameon=False, fontsize=10)
    canvas = FigureCanvasAgg(page)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _draw(axes: Axes, curve: Curve, row: GainRow) -> None:
    """A method: its curve, and a dot for its chosen weight."""
    own = curve.method == "summaries"
    colour = _COLOURS[curve.method]
    axes.step(
        curve.harm,
        curve.gain,
        where="post",
        label=NAMES[curve.method],
        color=colour,
        linewidth=2.6 if own else 1.6,
        zorder=4 if own else 2,
    )
    axes.plot(
        row.harm or 0.0,
        row.gain or 0.0,
        "o",
        color=colour,
        markersize=8 if own else 6,
        markeredgecolor="white",
        zorder=5,
    )
