import numpy as np
import pytest

from visual_summaries.clustering.parts.regions import regions


def flood(mask):
    """Components by flood fill, as sets of pixels, largest first."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        stack, component = [min(left)], set()
        while stack:
            y, x = stack.pop()
            if (y, x) in left:
                left.remove((y, x))
                component.add((y, x))
                stack += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        found.append(component)
    return sorted(found, key=lambda c: (-len(c), min(c)))


@pytest.mark.parametrize("density", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_agrees_with_flood_fill(density):
    mask = np.random.default_rng(1).random((23, 31)) < density
    labels = regions(mask)
    components = flood(mask)
    assert labels.dtype == np.int32
    assert labels.max(initial=0) == len(components)
    for number, component in enumerate(components, 1):
        assert {(int(y), int(x)) for y, x in np.argwhere(labels == number)} == component


def test_refuses_other_arrays():
    with pytest.raises(ValueError, match="mask"):
        regions(np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="mask"):
        regions(np.zeros((1, 4, 4), dtype=bool))
