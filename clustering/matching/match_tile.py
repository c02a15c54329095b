"""Matching the pairs of images of one tile: scores of all boxes, of which the similarities of the parts are kept.

`match_tile` depends on its arguments alone. If `load` reads features from files, all arguments are small and can be
pickled, so that a tile can be matched in this process, in another one, or on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from visual_summaries.clustering.matching import proposal_flow_torch as batched
from visual_summaries.clustering.matching.proposal_flow import Features, match, match_both
from visual_summaries.clustering.matching.tiles import Tile
from visual_summaries.clustering.options import SimilarityOptions


def match_tile(
    load: Callable[[int], Features],
    kept: Mapping[int, NDArray[np.bool_]],
    tile: Sequence[tuple[int, int]],
    options: SimilarityOptions,
    device: torch.device | None = None,
) -> Tile:
    """Matches the pairs of images of a tile.

    Args:
        load: Reads the features of an image by its index; picklable, if the call is to be pickled.
        kept: For each image of the tile bool (M,), True = a part.
        tile: The pairs, in the order of `clustering.matching.tiles.in_tiles`.
        options: Hyperparameters; `pairs` and `top` are not used.
        device: Where all pairs are matched at once; one after the other, in numpy, without it, and if the method is
            not implemented there.

    Returns:
        The similarities of the kept proposals of each pair.

    Raises:
        ValueError: If an image's `kept` has another length than its boxes.
    """

    def checked(index: int) -> Features:
        features = load(index)
        if len(kept[index]) != len(features.boxes):
            raise ValueError(f"kept: image {index} has {len(features.boxes)} boxes, but {len(kept[index])} flags")
        return features

    wanted = [(one, other) for one, other in tile if kept[one].any() and kept[other].any()]
    if device is not None and options.matching.method in batched.METHODS:
        scores = _score_together(checked, wanted, options, device)
    else:
        scores = _score_each(checked, wanted, options)
    found = {
        (one, other): block[np.ix_(kept[one], kept[other])] for (one, other), block in zip(wanted, scores, strict=True)
    }
    return Tile.pack(
        [
            found.get((one, other), np.zeros((np.count_nonzero(kept[one]), np.count_nonzero(kept[other])), np.float32))
            for one, other in tile
        ]
    )


def _score_each(
    load: Callable[[int], Features], tile: Sequence[tuple[int, int]], options: SimilarityOptions
) -> Iterator[NDArray[np.float32]]:
    """Scores of all boxes of each pair of images, one pair after the other."""
    firsts = {one: load(one) for one in sorted({one for one, _ in tile})}
    for other, pairs in groupby(tile, key=lambda pair: pair[1]):
        second = firsts.get(other) or load(other)
        for one, _ in pairs:
            yield _pair_scores(firsts[one], second, options)


def _score_together(
    load: Callable[[int], Features], tile: Sequence[tuple[int, int]], options: SimilarityOptions, device: torch.device
) -> Iterator[NDArray[np.float32]]:
    """As `_score_each`, all pairs at once on a device, or half of them if they do not fit into its memory."""
    if not tile:
        return
    try:
        scores = _score_at_once(load, tile, options, device)
    except torch.cuda.OutOfMemoryError:
        if len(tile) == 1:
            raise
        torch.cuda.empty_cache()
        middle = len(tile) // 2
        yield from _score_together(load, tile[:middle], options, device)
        yield from _score_together(load, tile[middle:], options, device)
    else:
        yield from scores


def _score_at_once(
    load: Callable[[int], Features], tile: Sequence[tuple[int, int]], options: SimilarityOptions, device: torch.device
) -> list[NDArray[np.float32]]:
    """Scores of all boxes of some pairs of images on a device."""
    held = {index: load(index) for index in sorted({index for pair in tile for index in pair})}
    seconds = sorted({other for _, other in tile})
    firsts_of = [list(held).index(one) for one, _ in tile]
    seconds_of = [seconds.index(other) for _, other in tile]

    def scores_to(images: Sequence[Features]) -> torch.Tensor:
        b = batched.Boxes.of(images, device).take(seconds_of)
        forward, backward = batched.match_both(a, b, options.matching)
        return forward if options.symmetry == "mirror" else forward.sqrt() * backward.mT.sqrt()

    a = batched.Boxes.of(list(held.values()), device).take(firsts_of)
    scores = scores_to([held[index] for index in seconds])
    turned = [image for index in seconds if (image := held[index].turned)]
    if options.mirrored and len(turned) == len(seconds):
        mirrored = scores_to(turned)
        better = mirrored.amax(dim=2).sum(dim=1) > scores.amax(dim=2).sum(dim=1)
        scores = torch.where(better[:, None, None], mirrored, scores)
    blocks = zip(tile, scores.cpu().numpy(), strict=True)
    return [block[: len(held[one].boxes), : len(held[other].boxes)] for (one, other), block in blocks]


def _pair_scores(a: Features, b: Features, options: SimilarityOptions) -> NDArray[np.float32]:
    """Scores of all boxes of two images, the second unchanged or mirrored, whichever matches better, (Ma, Mb)."""
    scores = _symmetrised(a, b, options)
    if not options.mirrored or b.turned is None:
        return scores
    other = _symmetrised(a, b.turned, options)
    return other if other.max(axis=1).sum() > scores.max(axis=1).sum() else scores


def _symmetrised(a: Features, b: Features, options: SimilarityOptions) -> NDArray[np.float32]:
    """Scores of all boxes of two images, symmetrised, float32 (Ma, Mb)."""
    if options.symmetry == "mirror":
        return match(a, b, options.matching)
    forward, backward = match_both(a, b, options.matching)
    scores: NDArray[np.float32] = np.sqrt(forward) * np.sqrt(backward.T)
    return scores
