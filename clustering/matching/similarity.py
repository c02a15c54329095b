"""Similarity of all parts of a class, from the matching of all pairs of images (paper section 3.2).

Every unordered pair of images is matched once with all its proposals, in both directions; of the two score
matrices only the rows and columns of kept proposals remain, and their geometric mean is the similarity,

    Corr(k, l) = sqrt( score_AB(k, l) * score_BA(l, k) )

Parts of one image have similarity 0, and so have those of images that are not matched. Scores are not normalised
per pair: they are appearance, measured on one scale for all images, times factors of geometry in [0, 1]. Measured on
PF-WILLOW's side views, 60 boxes on each object, all boxes of other images ranked by similarity, relevant = the
same part (intersection over union > 0.5 after moving the box by the keypoints); mean average precision for 20
images of cars and motorbikes, and for 30 of cars, ducks and bottles:

    ================================  ============  ============  ============
    matching                          as is         / pair's max  / mean best
    ================================  ============  ============  ============
    LOM, 1 pass, geometric mean       0.368, 0.374  0.323, 0.316  0.335, 0.336
    LOM, 1 pass, mirrored             0.346, 0.355  0.286, 0.286  0.299, 0.304
    LOM, 2 passes, geometric mean     0.381, 0.369  0.350, 0.329  0.350, 0.336
    NAM                               0.238, 0.274  0.197, 0.196  0.225, 0.244
    ================================  ============  ============  ============

Departure: the reference computes one direction only and mirrors it ("mirror").

What is kept of a pair of images are its non-zero similarities, packed, in a store that can be a folder; of each part
its `top` highest ones are kept up to date. So nothing in memory grows with the square of the number of parts: first
comes the quality of all parts, then the matrix of those that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.matching import proposal_flow_torch as batched
from visual_summaries.clustering.matching.pairs import all_pairs
from visual_summaries.clustering.matching.proposal_flow import Features, match, match_both
from visual_summaries.clustering.matching.tiles import Highest, Store, Tile, in_tiles
from visual_summaries.clustering.options import SimilarityOptions

ON_DEVICE = 4
"""Threads that may share a device: one tile is computed while others are read, moved and packed."""


class Each(Protocol):
    """Makes calls, one after the other or several at once, and gives what they give in their order."""

    def __call__(self, calls: Iterable[Callable[[], Tile]], *, count: int) -> Iterable[Tile]:
        """Makes `count` calls."""
        ...


def one_by_one(calls: Iterable[Callable[[], Tile]], *, count: int) -> Iterable[Tile]:
    """Makes calls one after the other."""
    return (call() for call in calls)


@dataclass(frozen=True)
class Similarity:
    """Similarity of the P parts of all images, in the order of images and of their proposals.

    Attributes:
        image: int64 (P,), index of the image a part belongs to.
        proposal: int64 (P,), index of the part among its image's proposals.
        quality: float32 (P,), mean of a part's `top` highest similarities, of all of them where the images that its
            image is matched with have fewer parts.
        counts: int64 (N,), parts of each image.
        tiles: The pairs of images that are kept together.
        store: The tiles' similarities.
    """

    image: NDArray[np.int64]
    proposal: NDArray[np.int64]
    quality: NDArray[np.float32]
    counts: NDArray[np.int64]
    tiles: Sequence[Sequence[tuple[int, int]]]
    store: Store

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """float32 (P, P), symmetric, >= 0; 0 between parts of one image, the diagonal included. For few parts."""
        parts = np.arange(len(self.image))
        matrix: NDArray[np.float32] = self.between(parts, parts).toarray()
        return matrix

    def between(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> csr_array:
        """The non-zero similarities of some parts to others, float32 (len(some), len(others)).

        Args:
            some: int64, rising indices of parts.
            others: Likewise.
        """
        ends = np.cumsum([0, *self.counts])
        from_some, from_others = (self._by_image(parts, ends) for parts in (some, others))
        rows, columns, values = [], [], []
        for number, tile in enumerate(self.tiles):
            blocks = self.store[number].unpack([(self.counts[one], self.counts[other]) for one, other in tile])
            for (one, other), block in zip(tile, blocks, strict=True):
                for first, second, found in ((one, other, block), (other, one, block.T)):
                    (start, wanted), (left, asked) = from_some[first], from_others[second]
                    chosen = found[np.ix_(wanted, asked)]
                    row, column = np.nonzero(chosen)
                    rows.append((row + start).astype(np.int32))
                    columns.append((column + left).astype(np.int32))
                    values.append(chosen[row, column])
        if not values:
            return csr_array((len(some), len(others)), dtype=np.float32)
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_array(entries, shape=(len(some), len(others)))

    def _by_image(self, parts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
        """For each image where its parts start among some, and which of its own they are."""
        cuts = np.searchsorted(parts, ends)
        return [(int(cuts[i]), parts[cuts[i] : cuts[i + 1]] - ends[i]) for i in range(len(self.counts))]


def similarity(
    load: Callable[[int], Features],
    kept: Sequence[NDArray[np.bool_]],
    options: SimilarityOptions | None = None,
    *,
    pairs: NDArray[np.int64] | None = None,
    store: Store | None = None,
    each: Each = one_by_one,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Similarity:
    """Matches pairs of images and collects the similarity of their parts.

    Args:
        load: Gives the features of image 0..N-1. Called several times for an image, from several threads
            where `each` has several; no more than five images a thread are held at a time, or those of a tile with a
            device.
        kept: For each of the N images bool (M,), True = a part.
        options: Hyperparameters; the defaults without it. Its `pairs` are a matter of the caller's.
        pairs: int64 (n, 2), one < other, in rising order: the pairs of images to match; None for all.
        store: Where similarities are kept; in memory without it. What it holds already is not computed again, and
            has to come from the same arguments.
        each: Matches the tiles. Threads, not processes, should: the work is in numpy calls that release the
            interpreter's lock, and features need not be sent. The result is the same, bit by bit, for any number.
        device: Where a tile's pairs are matched together (see `clustering.matching.proposal_flow_torch`); one after the
            other, in numpy, without it, and where the method is not computed there.
        progress: Called with the number of pairs done and of all pairs, in this thread.

    Raises:
        ValueError: An image's `kept` has another length than its boxes.

    Examples:
        >>> boxes = np.array([[10, 10, 50, 50], [100, 100, 180, 180]], np.float32)
        >>> images = [Features(np.eye(2, dtype=np.float32), boxes, (224, 224)) for _ in range(2)]
        >>> kept = [np.array([True, True]), np.array([False, True])]  # three parts
        >>> found = similarity(images.__getitem__, kept)
        >>> found.image.tolist(), found.proposal.tolist()
        ([0, 0, 1], [0, 1, 1])
        >>> (found.matrix > 0).tolist()  # the second box of both images is the same part
        [[False, False, False], [False, False, True], [False, True, False]]
    """
    options = options or SimilarityOptions()
    pairs = all_pairs(len(kept)) if pairs is None else pairs
    held: Store = {} if store is None else store
    tiles = in_tiles(pairs)
    counts = np.array([np.count_nonzero(flags) for flags in kept], dtype=np.int64)
    best = Highest(counts, options.top)
    done = 0

    def collect(number: int, tile: Tile) -> None:
        nonlocal done
        blocks = tile.unpack([(counts[one], counts[other]) for one, other in tiles[number]])
        best.see(tiles[number], blocks)
        done += len(blocks)
        if progress is not None:
            progress(done, len(pairs))

    missing = []
    for number in range(len(tiles)):
        if number in held:
            collect(number, held[number])
        else:
            missing.append(number)
    with threadpool_limits(limits=1):  # sums must not depend on how many threads there are
        matches = (partial(_match_tile, load, kept, tiles[number], options, device) for number in missing)
        results = each(matches, count=len(missing))
        for number, tile in zip(missing, results, strict=True):
            held[number] = tile
            collect(number, tile)

    proposal = [np.flatnonzero(flags) for flags in kept]
    return Similarity(
        image=np.repeat(np.arange(len(kept)), counts),
        proposal=np.concatenate(proposal) if proposal else np.zeros(0, dtype=np.int64),
        quality=best.quality(),
        counts=counts,
        tiles=tiles,
        store=held,
    )


def _match_tile(
    load: Callable[[int], Features],
    kept: Sequence[NDArray[np.bool_]],
    tile: list[tuple[int, int]],
    options: SimilarityOptions,
    device: torch.device | None,
) -> Tile:
    """Similarities of the kept proposals of some pairs of images."""

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
    """As `_score_each`, all pairs at once on a device, or half of them where they do not fit into its memory."""
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
    """Scores of all boxes of two images, the second as it is or mirrored, whichever matches better, (Ma, Mb)."""
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
