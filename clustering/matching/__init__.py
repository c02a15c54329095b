"""Proposal flow: how much the parts of one input look like those of another, and lie alike."""
