"""Matching: similarities between the parts of two inputs, from appearance and geometry."""
