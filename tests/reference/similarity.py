"""Slow similarity of parts: all scores of all pairs of images in one dense matrix."""

import numpy as np

from visual_summaries.clustering.matching.proposal_flow import match_both


def similarity(features, kept, pairs, top=100, mirrored=True):
    """The matrix float32 (P, P) of kept parts, and their quality, for given pairs of images (one < other)."""
    ends = np.cumsum([0, *(np.count_nonzero(flags) for flags in kept)])
    matrix = np.zeros((ends[-1], ends[-1]), np.float32)
    known = np.zeros(matrix.shape, bool)
    for one, other in pairs:
        if not (kept[one].any() and kept[other].any()):
            continue
        scores = _both_ways(features[one], features[other])
        if mirrored and features[other].turned is not None:
            turned = _both_ways(features[one], features[other].turned)
            if turned.max(axis=1).sum() > scores.max(axis=1).sum():
                scores = turned
        rows, columns = slice(ends[one], ends[one + 1]), slice(ends[other], ends[other + 1])
        matrix[rows, columns] = scores[np.ix_(kept[one], kept[other])]
        matrix[columns, rows] = matrix[rows, columns].T
        known[rows, columns] = known[columns, rows] = True
    quality = np.zeros(len(matrix), np.float32)
    for part, row in enumerate(matrix):
        others = np.sort(row[known[part]])[-top:]
        if len(others):
            quality[part] = others.mean()
    return matrix, quality


def _both_ways(a, b):
    forward, backward = match_both(a, b)  # of one product: of two, a @ b.T and b @ a.T, the last bits may differ
    return np.sqrt(forward) * np.sqrt(backward.T)
