"""Similarity of all parts of a class, from the matching of all pairs of images (paper section 3.2).

Every unordered pair of images is matched once with all its proposals, in both directions; of the two score
matrices only the rows and columns of kept proposals remain, and their geometric mean is the similarity,

    Corr(k, l) = sqrt( score_AB(k, l) * score_BA(l, k) )

Parts of one image have similarity 0. Scores are not normalised per pair: they are appearance, measured on one
scale for all images, times factors of geometry in [0, 1]. Measured on PF-WILLOW's side views, 60 boxes on each
object, all boxes of other images ranked by similarity, relevant = the same part (intersection over union > 0.5
after moving the box by the keypoints); mean average precision for 20 images of cars and motorbikes, and for 30
of cars, ducks and bottles:

    ================================  ============  ============  ============
    matching                          as is         / pair's max  / mean best
    ================================  ============  ============  ============
    LOM, 1 pass, geometric mean       0.368, 0.374  0.323, 0.316  0.335, 0.336
    LOM, 1 pass, mirrored             0.346, 0.355  0.286, 0.286  0.299, 0.304
    LOM, 2 passes, geometric mean     0.381, 0.369  0.350, 0.329  0.350, 0.336
    NAM                               0.238, 0.274  0.197, 0.196  0.225, 0.244
    ================================  ============  ============  ============

Departure: the reference computes one direction only and mirrors it ("mirror").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from clustering.matching import Features, MatchingOptions, match, match_both

_TILE = 4
"""Images on each side of the block of pairs that one job loads and matches."""


@dataclass(frozen=True)
class SimilarityOptions:
    """How scores of image pairs become similarities of parts.

    Attributes:
        matching: How two images are matched.
        symmetry: "geometric", the geometric mean of both directions (measured best, see the module), or
            "mirror", the direction from the earlier to the later image (reference).
        mirrored: Whether the second image is matched mirrored as well. The paper's footnote 1 names objects that look
            the other way as what misleads it.
        top: Highest similarities averaged into a part's quality, >= 1. 100 in the reference.
    """

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    symmetry: Literal["geometric", "mirror"] = "geometric"
    mirrored: bool = True
    top: int = 100


@dataclass(frozen=True)
class Similarity:
    """Similarity of the P parts of all images, in the order of images and of their proposals.

    Attributes:
        matrix: float32 (P, P), symmetric, >= 0; 0 between parts of one image, the diagonal included.
        image: int64 (P,), index of the image a part belongs to.
        proposal: int64 (P,), index of the part among its image's proposals.
        quality: float32 (P,), mean of a part's `top` highest similarities, of all of them where the other
            images have fewer parts.
    """

    matrix: NDArray[np.float32]
    image: NDArray[np.int64]
    proposal: NDArray[np.int64]
    quality: NDArray[np.float32]


def similarity(
    load: Callable[[int], Features],
    kept: Sequence[NDArray[np.bool_]],
    options: SimilarityOptions | None = None,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Similarity:
    """Matches all pairs of images and collects the similarity of their parts.

    Args:
        load: Gives the features of image 0..N-1. Called several times for an image, from several threads; no
            more than eight images a job are held at a time.
        kept: For each of the N images bool (M,), True = a part.
        options: Hyperparameters; the defaults without it.
        jobs: Threads, >= 1; -1 for one a core. The result is the same, bit by bit, for any number.
        progress: Called with the number of pairs done and of all pairs, in this thread.

    Raises:
        ValueError: An image's `kept` has another length than its boxes.
    """
    options = options or SimilarityOptions()
    counts = [int(np.count_nonzero(flags)) for flags in kept]
    ends = np.cumsum([0, *counts])
    matrix = np.zeros((ends[-1], ends[-1]), dtype=np.float32)
    tiles = _tiles(len(kept))
    total, done = sum(map(len, tiles)), 0

    # Threads, not processes: the work is in numpy calls that release the interpreter's lock, and features need
    # not be sent. One BLAS thread each, because sums must not depend on how many there are.
    with threadpool_limits(limits=1):
        results = Parallel(n_jobs=jobs, backend="threading", return_as="generator")(
            delayed(_match_tile)(load, kept, tile, options) for tile in tiles
        )
        for tile, blocks in zip(tiles, results, strict=True):
            for (one, other), block in zip(tile, blocks, strict=True):
                rows, columns = slice(ends[one], ends[one + 1]), slice(ends[other], ends[other + 1])
                matrix[rows, columns] = block
                matrix[columns, rows] = block.T
                done += 1
            if progress is not None:
                progress(done, total)

    image = np.repeat(np.arange(len(kept)), counts)
    proposal = [np.flatnonzero(flags) for flags in kept]
    return Similarity(
        matrix=matrix,
        image=image,
        proposal=np.concatenate(proposal) if proposal else np.zeros(0, dtype=np.int64),
        quality=_quality(matrix, image, options.top),
    )


def _tiles(images: int) -> list[list[tuple[int, int]]]:
    """All unordered pairs of images, in blocks that share few images; a fixed order."""
    groups = [range(start, min(start + _TILE, images)) for start in range(0, images, _TILE)]
    tiles = []
    for ones, others in combinations_with_replacement(groups, 2):
        pairs = [(one, other) for one in ones for other in others if one < other]
        if pairs:
            tiles.append(pairs)
    return tiles


def _match_tile(
    load: Callable[[int], Features],
    kept: Sequence[NDArray[np.bool_]],
    tile: list[tuple[int, int]],
    options: SimilarityOptions,
) -> list[NDArray[np.float32]]:
    """Similarities of the kept proposals of some pairs of images, float32 (kept in one, kept in other) each."""
    features: dict[int, Features] = {}
    for index in sorted({index for pair in tile for index in pair if kept[index].any()}):
        features[index] = load(index)
        if len(kept[index]) != len(features[index].boxes):
            raise ValueError(
                f"kept: image {index} has {len(features[index].boxes)} boxes, but {len(kept[index])} flags"
            )
    blocks = []
    for one, other in tile:
        if not (kept[one].any() and kept[other].any()):
            shape = (np.count_nonzero(kept[one]), np.count_nonzero(kept[other]))
            blocks.append(np.zeros(shape, dtype=np.float32))
            continue
        block = _pair_scores(features[one], features[other], options)
        blocks.append(block[np.ix_(kept[one], kept[other])])
    return blocks


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


def _quality(matrix: NDArray[np.float32], image: NDArray[np.int64], top: int) -> NDArray[np.float32]:
    """Mean of each part's highest similarities to parts of other images, float32 (P,)."""
    quality = np.zeros(len(matrix), dtype=np.float32)
    for part, row in enumerate(matrix):
        others = row[image != image[part]]
        if len(others):
            highest = min(top, len(others))
            quality[part] = np.sort(np.partition(others, -highest)[-highest:]).mean()
    return quality
