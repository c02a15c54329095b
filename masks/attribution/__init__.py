"""Attributions: what in an input the network's answer is due to, one method a file."""
