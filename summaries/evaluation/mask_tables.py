"""The tables of an evaluation of masks, as aligned Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from visual_summaries.masks.attribution.names import MASK, METHODS
from visual_summaries.summaries.evaluation.mask_methods import OWN
from visual_summaries.summaries.evaluation.mask_metrics import MaskEvaluation, MaskMetricsRow

TABLE_2 = "blur:10"
"""The perturbation of the paper's table 2."""

PUBLISHED = {
    "smooth": ("0.99738", "8.1e-04"),
    "smooth_thresholded": ("0.97704", "5.8e-03"),
    "crisp": ("0.99964", "< 1e-05"),
}
"""Mean and variance of the drop in the paper's table 2, on another network and other images."""

NAMES = {
    "smooth": "smooth",
    "smooth_thresholded": "smooth, thresholded",
    "crisp": "crisp",
    "binary": "binary",
    "gradcam": "Grad-CAM",
    "rise": "RISE",
    "extremal": "extremal perturbation",
    "random": "random shift",
    "disc": "centred disc",
}
"""Names of the methods in tables and figures."""


def tables(evaluation: MaskEvaluation) -> list[str]:
    """All tables of an evaluation, with remarks."""
    return [
        f"Relative drop of the class probability, (p0 - p) / p0, under {TABLE_2}, {evaluation.images} images:",
        "",
        *_table_2(evaluation),
        "",
        "Mean drop under each perturbation; the masks were not optimised against those with a star:",
        "",
        *_drops(evaluation),
        "",
        "Shape, and areas under the curves of deletion (lower is better) and insertion (higher is better):",
        "",
        *_shapes(evaluation),
        *_remarks(evaluation),
    ]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first row is the header, the first column is aligned to the left, others to the right.

    Examples:
        >>> for line in aligned([["mask", "mean"], ["crisp", "0.99"]]):
        ...     print(line)
        | mask  | mean |
        |-------|-----:|
        | crisp | 0.99 |
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"

    rule = f"|{'|'.join(['-' * (widths[0] + 2), *('-' * (width + 1) + ':' for width in widths[1:])])}|"
    return [line(rows[0]), rule, *(line(row) for row in rows[1:])]


def _of(evaluation: MaskEvaluation, perturbation: str) -> list[MaskMetricsRow]:
    return [row for row in evaluation.rows if row.perturbation == perturbation]


def _table_2(evaluation: MaskEvaluation) -> list[str]:
    rows = [["mask", "mean", "variance", "paper: mean", "variance"]]
    for row in _of(evaluation, TABLE_2):
        if row.method in OWN:
            published = PUBLISHED.get(row.method, ("", "")) if evaluation.attribution == MASK else ("", "")
            rows.append([NAMES[row.method], f"{row.drop_mean:.5f}", f"{row.drop_var:.1e}", *published])
    return aligned(rows)


def _drops(evaluation: MaskEvaluation) -> list[str]:
    names = evaluation.perturbations
    rows = [["method", *(name if name in evaluation.optimised else f"{name} *" for name in names)]]
    for method in dict.fromkeys(row.method for row in evaluation.rows):
        drops = {row.perturbation: row.drop_mean for row in evaluation.rows if row.method == method}
        rows.append([NAMES[method], *(f"{drops[name]:.5f}" for name in names)])
    return aligned(rows)


def _shapes(evaluation: MaskEvaluation) -> list[str]:
    rows = [["method", "area", "regions", "in the five largest", "deletion", "insertion"]]
    for row in _of(evaluation, TABLE_2):
        fraction = "-" if row.top5_share is None else f"{row.top5_share:.3f}"
        areas = [f"{row.deletion_auc:.3f}", f"{row.insertion_auc:.3f}"]
        rows.append([NAMES[row.method], f"{row.area:.3f}", f"{row.regions:g}", fraction, *areas])
    return aligned(rows)


def _remarks(evaluation: MaskEvaluation) -> list[str]:
    lines = []
    if evaluation.attribution != MASK:
        lines.append(
            f"The masks of these runs are not optimised: smooth and crisp are the relevance according to "
            f"{METHODS[evaluation.attribution].title}, binary is its most relevant pixels."
        )
    if evaluation.sanity is not None:
        found = evaluation.sanity
        lines.append(
            f"Random weights: the intersection over union of these masks and masks of the network with random weights "
            f"is {found['mean_iou']:.3f}; that of these masks and their randomly shifted copies is "
            f"{found['random_iou']:.3f}."
        )
    for method, reason in evaluation.skipped.items():
        lines.append(f"{NAMES[method]} was skipped: {reason}.")
    names = [f"{one['run']}/{one['image']} ({one['mask']})" for one in evaluation.collapsed]
    lines.append(f"Collapsed binary masks: {len(names)}{': ' if names else ''}{', '.join(names)}.")
    return [text for line in lines for text in ("", line)]
