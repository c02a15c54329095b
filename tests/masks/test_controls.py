"""Uninformed controls: a mask moved elsewhere, and a centred disc."""

import numpy as np

from visual_summaries.masks.attribution.controls import disc, moved


def test_a_moved_mask_keeps_area_and_shape() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:7] = True
    mask[8, 7:12] = True
    seen = set()
    for seed in range(40):
        found = moved(mask, np.random.default_rng(seed))
        assert np.array_equal(found, moved(mask, np.random.default_rng(seed)))
        shifts = [
            np.roll(kind, (dy, dx), (0, 1)) for kind in (mask, mask[:, ::-1]) for dy in range(20) for dx in range(30)
        ]
        assert any(np.array_equal(found, shifted) for shifted in shifts)
        seen.add(found.tobytes())
    assert len(seen) > 35


def test_the_disc_is_round_centred_and_of_the_area() -> None:
    found = disc((41, 61), 0.2)
    assert found.sum() == round(0.2 * 41 * 61)
    assert np.array_equal(found, found[::-1, ::-1]) or (found ^ found[::-1, ::-1]).sum() <= 8
    y, x = np.nonzero(found)
    radius = np.hypot(y - 20, x - 30)
    assert radius.max() <= np.sqrt(found.sum() / np.pi) + 1
    assert not disc((8, 8), 0.0).any()
    assert disc((8, 8), 1.0).all()
