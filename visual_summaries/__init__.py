"""Visual summaries: which object parts an image classifier relies on for a class.

Data flows through four packages, and imports go the other way:

* :mod:`visual_summaries.masks`: from an image to the region that the network relies on.
* :mod:`visual_summaries.clustering`: from masks to clusters of matching parts.
* :mod:`visual_summaries.summaries`: from clusters to summaries, pages and evaluations; the run folder.
* :mod:`visual_summaries.specialize`: from summaries to a classifier with higher accuracy.

In a checkout the packages are folders at the top level, and this folder holds links to them.

Examples:
    >>> from visual_summaries import load_classifier, summarize
    >>> run = summarize("church", load_classifier("lite0"), "church", "runs/church", limit=24)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from visual_summaries.masks import load_classifier as load_classifier
    from visual_summaries.summaries import load as load
    from visual_summaries.summaries import summarize as summarize
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach(
        __name__, submod_attrs={"masks": ["load_classifier"], "summaries": ["load", "summarize"]}
    )
