"""Slow affinity propagation, straight from Frey and Dueck's formulas, in float64; -inf = no similarity."""

import numpy as np


def exemplars(similarity, damping, iterations):
    """Which parts are exemplars after so many iterations: bool (P,); the preference is on the diagonal."""
    s = np.asarray(similarity, np.float64)
    parts = range(len(s))
    r, a = np.zeros(s.shape), np.zeros(s.shape)
    for _ in range(iterations):
        new = np.zeros(s.shape)
        for i in parts:
            for k in parts:
                if s[i, k] > -np.inf:
                    others = [a[i, j] + s[i, j] for j in parts if j != k and s[i, j] > -np.inf]
                    new[i, k] = s[i, k] - max(others) if others else 1.0
        r = damping * r + (1 - damping) * new
        new = np.zeros(s.shape)
        for i in parts:
            for k in parts:
                if s[i, k] > -np.inf:
                    support = sum(max(0.0, r[j, k]) for j in parts if j not in (i, k) and s[j, k] > -np.inf)
                    new[i, k] = support if i == k else min(0.0, r[k, k] + support)
        a = damping * a + (1 - damping) * new
    return np.diag(r) + np.diag(a) > 0
