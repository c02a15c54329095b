"""Felzenszwalb's HOG, pixel by pixel and cell by cell, from the formulas of the PAMI 2010 paper; float64."""

import math

import numpy as np

DIRECTIONS = [(math.cos(math.pi * o / 9), math.sin(math.pi * o / 9)) for o in range(18)]


def hog(image):
    """HOG of an image (H, W, C), sides multiples of 8; float64 (H / 8 - 2, W / 8 - 2, 31)."""
    image = image.astype(np.float64)
    height, width, channels = image.shape
    rows, columns = height // 8, width // 8
    histogram = np.zeros((rows, columns, 18))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            gradients = [
                (image[y, x + 1, c] - image[y, x - 1, c], image[y + 1, x, c] - image[y - 1, x, c])
                for c in range(channels)
            ]
            dx, dy = max(gradients, key=lambda g: g[0] ** 2 + g[1] ** 2)
            along = [dx * u + dy * v for u, v in DIRECTIONS]
            direction = along.index(max(along))
            for row in range(rows):
                weight_y = 1 - abs(y + 0.5 - (row + 0.5) * 8) / 8
                if weight_y <= 0:
                    continue
                for column in range(columns):
                    weight_x = 1 - abs(x + 0.5 - (column + 0.5) * 8) / 8
                    if weight_x > 0:
                        histogram[row, column, direction] += weight_y * weight_x * math.hypot(dx, dy)

    def energy(row, column):
        return sum((histogram[row, column, o] + histogram[row, column, o + 9]) ** 2 for o in range(9))

    result = np.zeros((rows - 2, columns - 2, 31))
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            cell = result[row - 1, column - 1]
            for k, (down, right) in enumerate([(1, 1), (-1, 1), (1, -1), (-1, -1)]):
                block = sum(energy(r, c) for r in (row, row + down) for c in (column, column + right))
                length = math.sqrt(block + 1e-4)
                for o in range(18):
                    share = min(histogram[row, column, o] / length, 0.2)
                    cell[o] += 0.5 * share
                    cell[27 + k] += 0.2357 * share
                for o in range(9):
                    both = histogram[row, column, o] + histogram[row, column, o + 9]
                    cell[18 + o] += 0.5 * min(both / length, 0.2)
    return result
