"""Evaluations, each beside its page or figure."""
