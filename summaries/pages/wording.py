"""Texts and number formats of pages and sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from visual_summaries.summaries.summary import Summary


def target(info: Mapping[str, Any]) -> str:
    """The class of a run, for pages.

    Examples:
        >>> target({"target": {"name": "steamer"}})
        'steamer'
    """
    known = info.get("target") or {}
    name = str(known.get("name") or known.get("wordnet") or known.get("index", "unknown class"))
    return "Each image’s predicted class" if name == "predicted" else name


def model(info: Mapping[str, Any]) -> str:
    """The network of a run, for pages.

    Examples:
        >>> model({"model": {"spec": "lite0"}})
        'lite0'
    """
    known = info.get("model") or {}
    return str(known.get("name") or known.get("spec") or "unknown network")


def title(summary: Summary) -> str:
    """The name of a summary; without one, its number."""
    return summary.name or f"{'Summary' if summary.kept else 'Cluster'} {summary.summary}"


def mean_similarity(summary: Summary) -> float | None:
    """Mean similarity to the exemplar, from the scores, or computed over the other members."""
    if "mean_similarity" in summary.scores:
        return summary.scores["mean_similarity"]
    others = [m.similarity for m in summary.members if m.part != summary.exemplar]
    return fmean(others) if others else None


def number(value: float | None) -> str:
    """Two decimals with a typographic minus; a dash without a value.

    Examples:
        >>> number(-0.125), number(None)
        ('−0.12', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A fraction in per cent; with one decimal below 10 %, with two close to 100 %.

    Examples:
        >>> percent(0.0312), percent(0.5), percent(0.9931)
        ('3.1%', '50%', '99.31%')
    """
    if value is None or not math.isfinite(value):
        return "–"
    decimals = 1 if abs(value) < 0.0995 else 2 if 0.985 <= value < 1 else 0
    return f"{100 * value:.{decimals}f}%".replace("-", "−")


def points(value: float | None) -> str:
    """A difference of probabilities in percentage points.

    Examples:
        >>> points(0.314), points(0.0042), points(-0.02), points(0.01)
        ('31 points', '0.4 points', '−2.0 points', '1.0 points')
    """
    if value is None or not math.isfinite(value):
        return "–"
    figure = 100 * value
    text = f"{figure:.0f}" if abs(figure) >= 9.95 else f"{round(figure, 1) + 0.0:.1f}"
    return f"{text} points".replace("-", "−")


def dropped(part: Mapping[str, Any]) -> str:
    """A part that was removed from its cluster, with the reason.

    Examples:
        >>> dropped({"image": "07", "reason": "similarity below 0.2"})
        '07: similarity below 0.2'
    """
    return f"{part.get('image', 'part ' + str(part.get('part', '?')))}: {part.get('reason', 'no reason recorded')}"
