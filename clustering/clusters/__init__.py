"""From the similarity of parts to clusters: affinity propagation, pruning, merging, completing."""
