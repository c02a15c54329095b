"""Order of pixels, deletion and insertion, random-mask saliency and smooth maxima, one pixel and one pass at a time."""

import itertools

import numpy as np


def order(saliency):
    """Pixels (y, x) of a map (H, W), the most salient first: by value, then by depth, then in reading order."""
    binary = saliency > 0.5
    pixels = [(y, x) for y in range(saliency.shape[0]) for x in range(saliency.shape[1])]

    def depth(y, x):
        others = [p for p in pixels if binary[p] != binary[y, x]]
        if not others:
            return 0.0
        distance = min(np.sqrt((y - v) ** 2 + (x - u) ** 2) for v, u in others)
        return distance if binary[y, x] else -distance

    return sorted(pixels, key=lambda p: (-float(saliency[p]), -depth(*p), p))


def deletion(probability, image, background, pixels, counts):
    """Area under the probability of an image (3, H, W) of which the first pixels are taken from the background."""
    curve = []
    for count in counts:
        seen = image.copy()
        for y, x in pixels[:count]:
            seen[:, y, x] = background[:, y, x]
        curve.append(probability(seen))
    steps = [(b - a) / len(pixels) for a, b in itertools.pairwise(counts)]
    return sum(step * (a + b) / 2 for step, a, b in zip(steps, curve, curve[1:], strict=False))


def insertion(probability, image, background, pixels, counts):
    """The same of the background into which the first pixels of the image are put."""
    return deletion(probability, background, image, pixels, counts)


def smooth_maximum(cells, places, reach, temperature):
    """Smooth maxima (places h, places w) of k(u - v) g(v) over cells g (h, w) no further than reach along a side."""
    height, width = cells.shape
    found = np.empty((places * height, places * width))
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            v, u = (y + 0.5) / places - 0.5, (x + 0.5) / places - 0.5  # in cells
            values = []
            for row in range(y // places - reach, y // places + reach + 1):
                for column in range(x // places - reach, x // places + reach + 1):
                    inside = 0 <= row < height and 0 <= column < width
                    distance = np.hypot(row - v, column - u)
                    kernel = np.exp(-(max(0.0, distance - 1) ** 2) / 2)
                    values.append(kernel * cells[row, column] if inside else 0.0)
            z = np.array(values)
            weights = np.exp(z / temperature)
            found[y, x] = (z * weights).sum() / weights.sum()
    return found
