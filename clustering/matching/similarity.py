"""Similarity of all parts of a class, from the matching of all pairs of images (paper section 3.2).

Every unordered pair of images is matched once with all its proposals, in both directions. The rows and columns of kept
proposals are taken from the two score matrices, and their geometric mean is the similarity,

    Corr(k, l) = sqrt( score_AB(k, l) * score_BA(l, k) )

Parts of one image have similarity 0, and so have parts of images that are not matched. Scores are not normalised per
pair: a score is an appearance score, on one scale for all images, times geometric factors in [0, 1]. Measured on side
views of PF-WILLOW with 60 boxes on each object: all boxes of other images are ranked by similarity, and a box is
relevant if it shows the same part (IoU > 0.5 after transfer by the keypoints). Mean average precision for 20 images of
cars and motorbikes, and for 30 of cars, ducks and bottles:

    ================================  ============  ============  ============
    matching                          unchanged     / pair's max  / mean best
    ================================  ============  ============  ============
    LOM, 1 pass, geometric mean       0.368, 0.374  0.323, 0.316  0.335, 0.336
    LOM, 1 pass, mirrored             0.346, 0.355  0.286, 0.286  0.299, 0.304
    LOM, 2 passes, geometric mean     0.381, 0.369  0.350, 0.329  0.350, 0.336
    NAM                               0.238, 0.274  0.197, 0.196  0.225, 0.244
    ================================  ============  ============  ============

Departure: the reference computes one direction only and mirrors it ("mirror").

The non-zero similarities of each pair of images are packed into a store, which can be a folder; the `top` highest
similarities of each part are kept in memory. So nothing in memory grows with the square of the number of parts: the
quality of all parts is computed first, then the similarities of selected parts are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.matching.match_tile import match_tile
from visual_summaries.clustering.matching.pairs import all_pairs
from visual_summaries.clustering.matching.proposal_flow import Features
from visual_summaries.clustering.matching.tiles import Highest, Store, Tile, in_tiles
from visual_summaries.clustering.options import SimilarityOptions

ON_DEVICE = 4
"""Threads that share a device: one tile is computed while others are read, copied and packed."""


class Each(Protocol):
    """Makes calls, one after the other or several at once, and gives their results in the order of the calls."""

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
        image: int64 (P,), index of the image that owns each part.
        proposal: int64 (P,), index of the part among its image's proposals.
        quality: float32 (P,), mean of a part's `top` highest similarities; of all of them, if the images that were
            matched with its image have fewer parts.
        counts: int64 (N,), number of parts of each image.
        tiles: The pairs of images of each tile.
        store: The similarities of each tile.
    """

    image: NDArray[np.int64]
    proposal: NDArray[np.int64]
    quality: NDArray[np.float32]
    counts: NDArray[np.int64]
    tiles: Sequence[Sequence[tuple[int, int]]]
    store: Store

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """float32 (P, P), symmetric, >= 0; 0 between parts of one image and on the diagonal. For few parts."""
        parts = np.arange(len(self.image))
        matrix: NDArray[np.float32] = self.between(parts, parts).toarray()
        return matrix

    def between(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> csr_array:
        """The non-zero similarities of some parts to others, float32 (len(some), len(others)).

        Args:
            some: int64, rising indices of parts.
            others: int64, rising indices of parts.
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
        """For each image the position of its first part among some parts, and their indices in the image."""
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
        load: Reads the features of an image, 0..N-1. Called several times for an image, and from several threads or
            processes if `each` has several; picklable in the latter case. At most five images a worker are held at a
            time, or with a device those of a tile.
        kept: For each of the N images bool (M,), True = a part.
        options: Hyperparameters; the defaults without it. `pairs` is not used.
        pairs: int64 (n, 2), the pairs of images to match, one < other, in rising order; None for all.
        store: Where similarities are stored; in memory without it. Tiles that it contains already are not computed
            again; they must come from the same arguments.
        each: Makes the calls that match the tiles; one after the other without it. The calls spend their time in numpy
            functions that release the interpreter's lock, so threads are best on one machine. The result is the same,
            bit by bit, for any number of workers.
        device: Where a tile's pairs are matched together (see `clustering.matching.match_tile`).
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

    def flags_of(tile: Sequence[tuple[int, int]]) -> dict[int, NDArray[np.bool_]]:
        return {index: kept[index] for pair in tile for index in pair}

    missing = []
    for number in range(len(tiles)):
        if number in held:
            collect(number, held[number])
        else:
            missing.append(number)
    with threadpool_limits(limits=1):  # sums must not depend on the number of threads
        matches = (
            partial(match_tile, load, flags_of(tiles[number]), tiles[number], options, device) for number in missing
        )
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
