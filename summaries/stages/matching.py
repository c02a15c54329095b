"""The stage of matching: parts are chosen, images are matched, and the similarities of the parts are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.matching.pairs import all_pairs, encode, nearest_pairs
from visual_summaries.clustering.matching.similarity import ON_DEVICE, Similarity, similarity
from visual_summaries.clustering.options import ProposalOptions, count_neighbours
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.clustering.parts.proposals import Proposals, choose, not_redundant
from visual_summaries.summaries.arrays import read_arrays
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.files import digest
from visual_summaries.summaries.folders import inside, remove_files
from visual_summaries.summaries.progress import Tick
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.similarity_file import write_matched
from visual_summaries.summaries.stages.descriptors import Network, describe_all
from visual_summaries.summaries.stages.proposals import PROPOSALS, proposals_path
from visual_summaries.summaries.stages.work_files import FeatureFolder, TileFolder
from visual_summaries.summaries.store import Run


def run_matching(
    path: Path, settings: Settings, network: Network, *, device: str, jobs: int, key: str, tick: Tick
) -> dict[str, Any]:
    """Chooses the parts, matches pairs of images and removes redundant parts: writes ``work/similarity.npz``.

    Intermediate results with the same key are kept and not computed again, also if they were computed on another
    device: a GPU matches several pairs at once, and its sums differ from those of a CPU by rounding errors.

    Args:
        path: The run folder, claimed.
        settings: Options of proposals, descriptors and matching.
        network: Used for deep descriptors and for the nearest images.
        device: cpu, or the name of a GPU.
        jobs: Workers at most, >= 1.
        key: A hash of all that the result depends on.
        tick: Takes (pairs done, pairs in all).

    Returns:
        Counts for the record.
    """
    run = Run(path)
    pairs = _pairs(run, settings.similarity.pairs, network)
    work = inside(path, "work", "matching", digest([key, pairs.tolist()]))
    for other in sorted(work.parent.iterdir()) if work.parent.is_dir() else ():
        if other != work:
            remove_files(other)
    chosen = [
        choose(read_arrays(proposals_path(path, image), PROPOSALS)["boxes"], run.mask(image).binary, settings.proposals)
        for image in run.ids
    ]
    features = FeatureFolder((work / "images").absolute())
    deep = describe_all(run, [one.boxes for one in chosen], features, settings, network, jobs)
    options = settings.similarity
    if deep:
        options = replace(options, matching=replace(options.matching, power=settings.appearance.power))
    on_gpu = device.startswith("cuda")
    tiles = TileFolder(work / "tiles")
    found = similarity(
        features,
        [one.kept for one in chosen],
        options,
        pairs=pairs,
        store=tiles,
        each=partial(make_calls, jobs=min(jobs, ON_DEVICE) if on_gpu else jobs, native=True),
        device=torch.device(device) if on_gpu else None,
        progress=tick,
    )
    matched = _without_redundant(found, chosen, settings.proposals)
    every = len(pairs) == len(all_pairs(len(run.ids)))
    write_matched(path / "work" / "similarity.npz", matched if every else replace(matched, pairs=pairs))
    remove_files(work.parent)
    per_image = np.bincount(matched.part_owner, minlength=len(run.ids))
    return {
        "descriptor": "deep" if deep else "hog",
        "pairs": len(pairs),
        "pairs kept": len(pairs) - sum(len(found.tiles[number]) for number in tiles.new),
        "proposals": sum(len(one.boxes) for one in chosen),
        "on the mask": len(found.image),
        "parts": len(matched.parts),
        "parts an image, mean": round(float(per_image.mean()), 1),
        "parts an image, least": int(per_image.min()),
        "parts an image, most": int(per_image.max()),
    }


def _pairs(run: Run, wanted: str, network: Network) -> NDArray[np.int64]:
    """The pairs of images to match, as indices of the run's images."""
    neighbours = count_neighbours(wanted)
    if neighbours is None or neighbours >= len(run.ids) - 1:
        return all_pairs(len(run.ids))
    with network() as classifier:
        return nearest_pairs(encode(classifier, map(run.frame, run.ids)), neighbours)


def _without_redundant(found: Similarity, chosen: Sequence[Proposals], options: ProposalOptions) -> Matched[PartBoxes]:
    """The parts that are not redundant, with the best boxes of each image as further candidates."""
    stays, candidates_of = [], []
    for index, proposals in enumerate(chosen):
        of_image = np.flatnonzero(found.image == index)
        quality = found.quality[of_image]
        alone = of_image[not_redundant(proposals.boxes[found.proposal[of_image]], quality, options)]
        best = of_image[np.argsort(-quality, kind="stable")[: options.max_candidates]]
        stays.append(alone)
        candidates_of.append(np.union1d(alone, best))
    parts, candidates = (
        np.concatenate(indices) if indices else np.zeros(0, np.int64) for indices in (stays, candidates_of)
    )
    of = list(zip(found.image[candidates], found.proposal[candidates], strict=True))
    return Matched(
        similarity=found.between(candidates, parts),
        owner=found.image[candidates],
        parts=np.searchsorted(candidates, parts),
        where=PartBoxes(
            corners=np.array([chosen[i].boxes[j] for i, j in of], np.float32).reshape(-1, 4),
            region=np.array([chosen[i].region[j] for i, j in of], np.int32),
        ),
    )
