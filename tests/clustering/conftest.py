import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # for `tests.reference`
    sys.path.insert(0, str(ROOT))


def draw_scene(size=128, seed=0, shift=(0, 0), scale=1.0):
    """A picture of textured shapes on a faint ground, uint8 (size, size, 3), moved and scaled about the centre."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(128, 30, (size, size, 3)).astype(np.float32), (0, 0), 6)
    picture = (ground * 0.5 + 60).astype(np.float32)
    for _ in range(7):
        colour = rng.uniform(0, 255, 3).tolist()
        centre = [int(c) for c in rng.integers(size // 4, 3 * size // 4, 2)]
        axes = [int(a) for a in rng.integers(size // 16, size // 6, 2)]
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    middle = (size - 1) / 2
    move = np.array([[scale, 0, middle - scale * middle + shift[0]], [0, scale, middle - scale * middle + shift[1]]])
    return cv2.warpAffine(picture, move, (size, size), borderMode=cv2.BORDER_REFLECT).clip(0, 255).astype(np.uint8)


def random_boxes(count, size=224, seed=0):
    rng = np.random.default_rng(seed)
    sides = rng.integers(12, size // 2, (count, 2))
    low = (rng.random((count, 2)) * (size - sides)).astype(int)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)


@pytest.fixture
def scene():
    return draw_scene


@pytest.fixture
def boxes():
    return random_boxes


@pytest.fixture
def threads():
    """Makes calls in so many threads, for `clustering.matching.similarity`."""

    def several(workers):
        def each(calls, *, count):
            calls = list(calls)
            assert len(calls) == count
            with ThreadPoolExecutor(workers) as pool:
                yield from pool.map(lambda call: call(), calls)

        return each

    return several
