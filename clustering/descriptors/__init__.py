"""What a part looks like: whitened HOG, or the network's own features."""
