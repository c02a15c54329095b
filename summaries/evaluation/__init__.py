"""Evaluations of masks, matching and clusters, with their tables, figures and pages."""
