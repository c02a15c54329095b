"""From the similarity of parts to clusters: affinity propagation, merging, pruning, completing."""
