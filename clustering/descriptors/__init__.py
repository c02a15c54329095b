"""Descriptors of the appearance of boxes: whitened HOG, or features of the network."""
