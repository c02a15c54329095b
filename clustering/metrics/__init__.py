"""Measures of clusters, with and without ground truth, and baselines to compare with."""
