"""How a run, its summaries and their figures are put into words on pages and sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from visual_summaries.summaries.summary import Summary


def target(info: Mapping[str, Any]) -> str:
    """The class of a run."""
    known = info.get("target") or {}
    name = str(known.get("name") or known.get("wordnet") or known.get("index", "unknown class"))
    return "Each image’s predicted class" if name == "predicted" else name


def model(info: Mapping[str, Any]) -> str:
    """The network of a run."""
    known = info.get("model") or {}
    return str(known.get("name") or known.get("spec") or "unknown network")


def title(summary: Summary) -> str:
    """What a summary is called: its name, or else its number."""
    return summary.name or f"{'Summary' if summary.kept else 'Cluster'} {summary.summary}"


def mean_similarity(summary: Summary) -> float | None:
    """Mean similarity to the exemplar, from the scores or else over the other members."""
    if "mean_similarity" in summary.scores:
        return summary.scores["mean_similarity"]
    others = [m.similarity for m in summary.members if m.part != summary.exemplar]
    return fmean(others) if others else None


def number(value: float | None) -> str:
    """Two decimals with a true minus; a dash where there is no figure."""
    return "–" if value is None or not math.isfinite(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in per cent, with decimals where they tell something: below 10 % and close to 100 %."""
    if value is None or not math.isfinite(value):
        return "–"
    decimals = 1 if abs(value) < 0.0995 else 2 if 0.985 <= value < 1 else 0
    return f"{100 * value:.{decimals}f}%".replace("-", "−")


def dropped(part: Mapping[str, Any]) -> str:
    """A part that left its cluster, in words."""
    return f"{part.get('image', 'part ' + str(part.get('part', '?')))}: {part.get('reason', 'no reason is on record')}"
