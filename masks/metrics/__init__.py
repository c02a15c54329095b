"""Measures of masks and attributions."""
