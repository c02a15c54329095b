"""Pictures redrawn without a part: everything but the part is as it was."""

import numpy as np
import pytest

from visual_summaries.masks.world import CLASSES, MARK, draw


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
def test_a_picture_without_a_part_is_the_same_picture(kind):
    for seed in range(2):
        full = draw(kind.name, seed)
        for part in kind.parts:
            bare = draw(kind.name, seed, without=part)
            assert part not in bare.parts
            if part not in full.parts:
                continue  # it is hidden
            changed = np.abs(full.image.astype(int) - bare.image).max(axis=2) > 8
            grown = np.pad(full.parts[part], 3)
            near = sum(np.roll(grown, (y, x), (0, 1)) for y in range(-3, 4) for x in range(-3, 4))[3:-3, 3:-3] > 0
            assert (changed & ~near).sum() <= 4  # antialiased edges of what is hidden but for a fraction of a pixel
            assert changed.any()
            for other, visible in full.parts.items():
                if other != part:
                    assert not (visible & ~bare.parts[other]).any()  # what stood behind the part comes to light


def test_the_mark_is_left_out_as_if_it_had_not_been_drawn():
    for seed in range(5):
        bare = draw("steamer", seed, mark=True, without=MARK)
        np.testing.assert_array_equal(bare.image, draw("steamer", seed, mark=False).image)


def test_a_class_without_the_part_is_drawn_as_it_is():
    np.testing.assert_array_equal(draw("church", 3, without="funnel").image, draw("church", 3).image)
