"""Perturbed images, pixel by pixel."""

import math

import numpy as np


def between_levels(levels, places, mask):
    """An image (3, H, W) whose pixels lie between two of K levels, as a mask (H, W) says; levels have K places."""
    found = np.empty(levels[0].shape)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            k = 0
            while k < len(places) - 2 and mask[y, x] > places[k + 1]:
                k += 1
            share = (mask[y, x] - places[k]) / (places[k + 1] - places[k])
            found[:, y, x] = (1 - share) * levels[k][:, y, x] + share * levels[k + 1][:, y, x]
    return found


def variable_blur(image, sigmas):
    """An image (3, H, W) each pixel of which is blurred by a Gaussian of a sigma (H, W) of its own."""
    found = np.empty(image.shape)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            if sigmas[y, x] == 0:
                found[:, y, x] = image[:, y, x]
                continue
            rows, row_weights = _line(y, sigmas[y, x], image.shape[1])
            columns, column_weights = _line(x, sigmas[y, x], image.shape[2])
            found[:, y, x] = image[:, rows][:, :, columns] @ column_weights @ row_weights
    return found


def _line(centre, sigma, side):
    """Where the pixels around a centre lie, reflected at the border, and their weights."""
    radius = min(math.ceil(3 * sigma), side - 1)
    away = np.arange(-radius, radius + 1)
    weights = np.exp(-(away**2) / (2 * sigma**2))
    places = np.abs(centre + away)
    places = np.where(places > side - 1, 2 * (side - 1) - places, places)
    return places, weights / weights.sum()
