"""The figure of an evaluation of matching: transferred keypoints of some pairs, and PCK curves of the methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from visual_summaries.summaries.evaluation.matching import CURVE, MatchingEvaluation, PckRow
from visual_summaries.summaries.evaluation.pf_willow import errors
from visual_summaries.summaries.pages.drawing import Picture

PAIRS = 6
"""Pairs that are drawn."""

_INK, _FAINT, _RULE = "#1c2024", "#68707a", "#d9dde1"
_POINTS = ("#e6194b", "#f58231", "#ffe119", "#bfef45", "#3cb44b", "#42d4f4", "#4363d8", "#911eb4", "#f032e6", "#ffffff")
_DPI = 150
_GAP = 0.03
"""Between the two images of a pair, by the height they are drawn at."""
_WIDE, _LINE, _TALLEST, _APART, _TITLE, _HEAD, _MARGIN = 16.0, 9.2, 2.6, 0.28, 0.32, 0.72, 0.22
"""Inches: the page, a line of pairs without the space between them, its height at most, that space, the line above a
pair, the page's head, the margin."""


def figure(found: MatchingEvaluation) -> Picture:
    """Pairs with their keypoints on the left, curves on the right.

    For each class the pair with the median fraction of correct keypoints is drawn. Returns uint8 RGB (H, W, 3).
    """
    chosen = _typical(found)
    lines = [chosen[start : start + 2] for start in range(0, len(chosen), 2)]
    heights = [min(_TALLEST, _LINE / sum(_width(found, index) for index in line)) for line in lines]
    tall = max(sum(heights) + _TITLE * len(lines), 4.2) + _HEAD + _MARGIN
    page = Figure(figsize=(_WIDE, tall), dpi=_DPI, facecolor="white")
    top = tall - _HEAD
    for line, height in zip(lines, heights, strict=True):
        start = _MARGIN
        top -= _TITLE + height
        for index in line:
            width = height * _width(found, index)
            axes = page.add_axes((start / _WIDE, top / tall, width / _WIDE, height / tall))
            _draw_pair(axes, found, index)
            start += width + _APART
    left = _MARGIN + _LINE + _APART + 1.0
    low, high = 0.75, tall - _HEAD - _TITLE
    _draw_curves(
        page.add_axes((left / _WIDE, low / tall, (_WIDE - _MARGIN - left) / _WIDE, (high - low) / tall)), found.rows
    )
    row = found.rows[0]
    heads = (
        (
            _MARGIN,
            "Keypoints transferred with the default setting",
            "Ring: annotated position. Dot: transferred position. Red: an error over 0.10.",
        ),
        (left, "Fraction of correct keypoints (PCK)", f"{row.classes} classes, {row.pairs} ordered pairs"),
    )
    for x, title, subtitle in heads:
        page.text(x / _WIDE, (tall - 0.32) / tall, title, size=15, weight="bold", color=_INK, va="center")
        page.text(x / _WIDE, (tall - 0.6) / tall, subtitle, size=10.5, color=_FAINT, va="center")
    return _pixels(page)


def _width(found: MatchingEvaluation, index: int) -> float:
    """Width of a drawn pair, by its height."""
    images = (found.pairs[index].a, found.pairs[index].b)
    return float(sum(image.pixels.shape[1] / image.pixels.shape[0] for image in images)) + _GAP


def _typical(found: MatchingEvaluation) -> list[int]:
    """For each class, the pair with the median fraction of correct keypoints; the first classes of the benchmark."""
    fractions: dict[str, list[tuple[float, int]]] = {}
    for index, (pair, moved) in enumerate(zip(found.pairs, found.moved, strict=True)):
        fraction = float(np.mean(errors(moved, pair.b.keypoints) < 0.10))
        fractions.setdefault(pair.of, []).append((fraction, index))
    return [sorted(ranked)[len(ranked) // 2][1] for ranked in list(fractions.values())[:PAIRS]]


def _draw_pair(axes: Axes, found: MatchingEvaluation, index: int) -> None:
    """Both images side by side at one height, with the keypoints of A and their transferred positions in B."""
    pair, moved = found.pairs[index], found.moved[index]
    correct = errors(moved, pair.b.keypoints) < 0.10
    start = 0.0
    for image in (pair.a, pair.b):
        height, width = image.pixels.shape[:2]
        side = width / height
        axes.imshow(image.pixels, extent=(start, start + side, 1, 0), interpolation="antialiased")
        points = image.keypoints / height + [start, 0]
        if image is pair.a:
            axes.scatter(
                points[:, 0], points[:, 1], s=58, c=_colours(len(points)), edgecolors=_INK, linewidths=0.9, zorder=3
            )
        else:
            went = moved / height + [start, 0]
            for truth, position, right in zip(points, went, correct, strict=True):
                if not right:
                    axes.plot(
                        [truth[0], position[0]],
                        [truth[1], position[1]],
                        color="white",
                        lw=3.2,
                        zorder=3,
                        solid_capstyle="round",
                    )
                    axes.plot([truth[0], position[0]], [truth[1], position[1]], color="#d7191c", lw=1.7, zorder=3)
            axes.scatter(
                points[:, 0], points[:, 1], s=110, facecolors="none", edgecolors=_INK, linewidths=3.2, zorder=4
            )
            axes.scatter(
                points[:, 0],
                points[:, 1],
                s=110,
                facecolors="none",
                edgecolors=_colours(len(points)),
                linewidths=1.8,
                zorder=4,
            )
            axes.scatter(
                went[:, 0], went[:, 1], s=40, c=_colours(len(points)), edgecolors=_INK, linewidths=0.9, zorder=5
            )
        start += side + _GAP
    axes.set_xlim(0, start - _GAP)
    axes.set_ylim(1, 0)
    axes.set_aspect("auto")
    axes.set_axis_off()
    axes.set_title(f"{pair.of}   {correct.sum()} of {len(correct)} correct", size=11, color=_INK, loc="left", pad=3.5)


def _colours(count: int) -> list[str]:
    return [_POINTS[index % len(_POINTS)] for index in range(count)]


def _draw_curves(axes: Axes, rows: Sequence[PckRow]) -> None:
    """PCK by threshold, of selected rows."""
    styles = {
        ("default",): ("#0072b2", 3.0, "-"),
        ("deep",): ("#56b4e9", 2.0, "-"),
        ("hog",): ("#d55e00", 2.4, "-"),
        ("paper",): ("#e69f00", 2.4, "-"),
        ("nearest",): ("#009e73", 1.8, "--"),
        ("unmoved",): ("#8a9199", 1.8, ":"),
    }
    for (kind,), (colour, width, line) in styles.items():
        row = _picked(rows, kind)
        if row is None:
            continue
        axes.plot(CURVE, row.curve, color=colour, lw=width, ls=line, label=_label(row), solid_capstyle="round")
    axes.axvline(0.10, color=_RULE, lw=1.2, zorder=0)
    axes.set_xlim(0, CURVE[-1])
    axes.set_ylim(0, 1)
    axes.set_xticks([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    axes.set_xlabel("threshold, relative to the longer side of the object's box", color=_FAINT, size=11)
    axes.grid(axis="y", color=_RULE, lw=0.8)
    axes.tick_params(colors=_FAINT, length=0, labelsize=10.5)
    axes.spines[:].set_visible(False)
    axes.legend(loc="lower right", edgecolor="white", framealpha=0.9, fontsize=10.5, labelcolor=_INK, handlelength=1.8)


def _picked(rows: Sequence[PckRow], kind: str) -> PckRow | None:
    """The row of a curve: of a setting, of a rule, or the best row of a descriptor with the rule "mode"."""
    if kind in ("default", "paper"):
        found = [row for row in rows if row.setting == kind]
    elif kind in ("nearest", "unmoved"):
        found = [row for row in rows if row.transfer == kind]
    else:
        found = [row for row in rows if row.descriptor == kind and row.transfer == "mode"]
    return max(found, key=lambda row: row.pck["0.10"], default=None)


def _label(row: PckRow) -> str:
    boxes = {"hog": "whitened HOG", "deep": "deep", "none": ""}[row.descriptor]
    name = ", ".join(part for part in (boxes, row.method if row.method != "none" else "", row.transfer) if part)
    setting = f" ({row.setting})" if row.setting else ""
    return f"{row.pck['0.10']:.3f}  {name}{setting}"


def _pixels(page: Figure) -> Picture:
    canvas = FigureCanvasAgg(page)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
