"""Measures of clusters, with truth and without, and other clusterings to compare with."""
