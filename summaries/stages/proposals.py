"""The stage of proposals: the object proposals of every frame, in ``work/proposals/``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from visual_summaries.clustering.options import ProposalOptions
from visual_summaries.clustering.parts.proposals import selective_search
from visual_summaries.summaries.arrays import Array
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.files import digest, write_npz
from visual_summaries.summaries.folders import inside
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.stages.work_files import read_again
from visual_summaries.summaries.store import Run

PROPOSALS = {"boxes": Array("f", ("boxes", 4)), "key": Array("U", ())}
"""Schema of a file of proposals."""


def run_proposals(
    path: Path, options: ProposalOptions, *, seed: int, jobs: int, key: str, tick: Tick
) -> dict[str, int]:
    """Finds the object proposals of all frames, except of those that have theirs already.

    Args:
        path: The run folder, claimed.
        options: `min_side` and `border` are used.
        seed: Of the random ranks.
        jobs: Processes at most, >= 1.
        key: A hash of what proposals depend on besides their image.
        tick: Takes (images done, images in all).

    Returns:
        How many images there are, and how many kept their proposals.
    """
    run = Run(path)
    hashes = {row.id: row.sha256 for row in run.images if row.status == "ok"}
    missing = []
    for image in run.ids:
        found = read_again(proposals_path(path, image), PROPOSALS)
        if found is None or str(found["key"]) != digest([key, hashes[image]]):
            missing.append(image)
    searches = (partial(selective_search, run.frame(image), options, seed) for image in missing)
    results = make_calls(searches, count=len(missing), jobs=jobs, native=False)
    for done, (image, boxes) in enumerate(zip(missing, results, strict=True)):
        write_npz(proposals_path(path, image), boxes=boxes, key=np.array(digest([key, hashes[image]])))
        tick(done + 1, len(missing))
    return {"images": len(run.ids), "images kept": len(run.ids) - len(missing)}


def proposals_path(path: Path, image: str) -> Path:
    """The file of an image's proposals in a run folder."""
    return inside(path, "work", "proposals", f"{image}.npz")
