"""The figures of an evaluation of masks: a comparison of methods, and examples as in the paper's figure 3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from visual_summaries.summaries.evaluation.mask_methods import OWN
from visual_summaries.summaries.evaluation.mask_metrics import MaskEvaluation, MaskMetricsRow
from visual_summaries.summaries.evaluation.mask_tables import NAMES
from visual_summaries.summaries.pages.drawing import Picture, crisp_picture, heat_picture, photograph
from visual_summaries.summaries.store import Run

EXAMPLES = 6
"""Images that are shown."""

_INK, _FAINT, _RULE = "#1c2024", "#68707a", "#d9dde1"
_COLOURS = ("#0072b2", "#009e73", "#56b4e9", "#d55e00", "#cc79a7", "#e69f00", "#7a6a00", "#44494f")
"""Of perturbations; a palette for colour-blind readers (after Okabe and Ito)."""
_DPI = 150
_FLOOR = 1e-7
"""Smallest remaining probability that is drawn."""


def figure(evaluation: MaskEvaluation) -> Picture:
    """Remaining class probability, deletion and insertion, and shape; a line for each method.

    Returns:
        uint8 RGB (H, W, 3).
    """
    methods = list(dict.fromkeys(row.method for row in evaluation.rows))
    names = evaluation.perturbations
    height = 0.62 * len(methods) + 1.9
    page = Figure(figsize=(14, height), dpi=_DPI, facecolor="white", layout="constrained")
    left, right = page.subplots(1, 2, sharey=True, width_ratios=(1.7, 1))
    for place, method in enumerate(methods):
        rows = {row.perturbation: row for row in evaluation.rows if row.method == method}
        for axes in (left, right):
            axes.axhspan(place - 0.5, place + 0.5, color="#f4f6f8" if place % 2 == 0 else "white", zorder=0, lw=0)
        for number, name in enumerate(names):
            y = place + 0.62 * ((number + 0.5) / len(names) - 0.5)
            style = _style(evaluation, names, name)
            left.plot(max(1 - rows[name].drop_mean, _FLOOR), y, **style)
        right.plot(rows[names[0]].deletion_auc, place, "o", color=_INK, markersize=6, zorder=4)
        right.plot(rows[names[0]].insertion_auc, place, "D", color=_INK, markersize=6, zorder=4)
        right.text(1.02, place, _shape(rows[names[0]]), transform=right.get_yaxis_transform(), va="center", size=10.5)
    _dress(left, "Remaining class probability, mean p / p0 (lower is better)")
    _dress(right, "Deletion (dots, lower is better), insertion (diamonds, higher)")
    left.set_xscale("log")
    left.set_ylim(len(methods) - 0.5, -0.5)
    left.set_yticks(range(len(methods)), [NAMES[method] for method in methods], size=12)
    for label, method in zip(left.get_yticklabels(), methods, strict=True):
        label.set_fontweight("bold" if method in OWN else "normal")
    right.set_xlim(0, None)
    right.text(
        1.02, -0.62, "area · regions", transform=right.get_yaxis_transform(), va="bottom", color=_FAINT, size=10.5
    )
    for name in names:
        left.plot([], [], label=name, **_style(evaluation, names, name))
    page.legend(
        *left.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4 if len(names) > 7 else len(names),
        title="perturbations: filled, the masks were optimised against it; hollow, they were not",
        title_fontsize=11,
        frameon=False,
        fontsize=11,
        handletextpad=0.1,
        columnspacing=1.6,
    )
    return _pixels(page)


def examples(runs: Sequence[Run], count: int = EXAMPLES) -> Picture:
    """Photograph, smooth mask, crisp mask and outlined binary mask; a line for each image (paper figure 3).

    Args:
        runs: Runs with masks; the first image of each is shown, then the second, and so on.
        count: Number of images, at most.

    Returns:
        uint8 RGB (H, W, 3).
    """
    longest = max(len(run.ids) for run in runs)
    chosen = [(run, run.ids[k]) for k in range(longest) for run in runs if k < len(run.ids)][:count]
    heads = ("photograph", "smooth", "crisp", "binary")
    close = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)  # inches
    page = Figure(figsize=(10.6, 2.62 * len(chosen) + 0.35), dpi=_DPI, facecolor="white", layout=close)
    grid = page.subplots(len(chosen), len(heads), squeeze=False)
    for line, (run, image) in zip(grid, chosen, strict=True):
        frame, masks, row = run.frame(image), run.mask(image), run.masks[image]
        pictures = (
            photograph(frame),
            heat_picture(frame, masks.smooth),
            heat_picture(frame, masks.crisp),
            crisp_picture(frame, masks.binary),
        )
        drops = ("", row.drop_smooth, row.drop_crisp, row.drop_binary)
        for axes, picture, drop in zip(line, pictures, drops, strict=True):
            axes.imshow(picture, interpolation="antialiased")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.set_xlabel(f"drop {drop:.5f}" if drop != "" else "", size=9.5, color=_FAINT, labelpad=3)
        name = str(run.info["target"]["name"]).split(",")[0]
        line[0].set_ylabel(name, size=11.5, color=_INK)
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, size=13, color=_INK, pad=6)
    return _pixels(page)


def _style(evaluation: MaskEvaluation, names: Sequence[str], name: str) -> dict[str, object]:
    colour = _COLOURS[names.index(name) % len(_COLOURS)]
    face = colour if name in evaluation.optimised else "white"
    return {
        "marker": "o",
        "markersize": 7,
        "linestyle": "none",
        "markeredgecolor": colour,
        "markerfacecolor": face,
        "markeredgewidth": 1.8,
        "zorder": 3,
    }


def _shape(row: MaskMetricsRow) -> str:
    return f"{row.area:.2f} · {row.regions:g}"


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, size=12.5, color=_INK, loc="left", pad=22)
    axes.grid(axis="x", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK, labelsize=11)


def _pixels(page: Figure) -> Picture:
    canvas = FigureCanvasAgg(page)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
