"""Tiles of pairs of images: packing, order, and the highest similarities of each part."""

import numpy as np
import pytest

from visual_summaries.clustering.matching.pairs import all_pairs
from visual_summaries.clustering.matching.tiles import TILE, Highest, Tile, in_tiles


def test_packed_similarities_come_back_bit_by_bit():
    rng = np.random.default_rng(0)
    blocks = [(rng.random(shape) * (rng.random(shape) < 0.3)).astype(np.float32) for shape in ((5, 7), (0, 4), (3, 1))]
    blocks += [np.zeros((2, 9), np.float32), np.full((1, 1), 1e-45, np.float32)]
    tile = Tile.pack(blocks)
    for one, other in zip(blocks, tile.unpack([block.shape for block in blocks]), strict=True):
        assert one.tobytes() == other.tobytes()
        assert one.shape == other.shape
    assert len(tile.values) == sum(np.count_nonzero(block) for block in blocks)
    assert len(tile.found) == -(-sum(block.size for block in blocks) // 8)


@pytest.mark.parametrize("images", [0, 1, 2, 5, 13, 40])
def test_tiles_hold_each_pair_once_and_few_images(images):
    pairs = all_pairs(images)
    tiles = in_tiles(pairs)
    assert sorted(pair for tile in tiles for pair in tile) == [tuple(pair) for pair in pairs.tolist()]
    for tile in tiles:
        assert len(tile) <= TILE**2
        assert len({one for one, _ in tile}) <= TILE
        assert [other for _, other in tile] == sorted(other for _, other in tile)  # loaded one after the other


@pytest.mark.parametrize("top", [1, 4, 50])
def test_the_highest_are_those_of_a_sort_whatever_the_order(top):
    rng = np.random.default_rng(top)
    counts = np.array([3, 0, 5, 4, 2])
    pairs = [(0, 1), (0, 2), (2, 3), (0, 3), (1, 4)]  # part of all; image 4 has only the empty one
    blocks = [(rng.random((counts[i], counts[j])) * (rng.random((counts[i], counts[j])) < 0.6)) for i, j in pairs]
    blocks = [block.astype(np.float32) for block in blocks]
    results = []
    for order in ([0, 1, 2, 3, 4], [3, 4, 0, 2, 1]):
        best = Highest(counts, top)
        for number in order:
            best.see([pairs[number]], [blocks[number]])
        results.append(best.quality())
    assert np.array_equal(*results)
    start = np.cumsum([0, *counts])
    for image, count in enumerate(counts):
        for part in range(count):
            rows = [block[part] for (one, _), block in zip(pairs, blocks, strict=True) if one == image]
            rows += [block[:, part] for (_, other), block in zip(pairs, blocks, strict=True) if other == image]
            found = np.sort(np.concatenate(rows))[-top:]
            assert results[0][start[image] + part] == (found.mean() if len(found) else 0)
