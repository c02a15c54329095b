"""The optimised mask: the region whose perturbation removes the class from the network's output (paper section 3.1)."""
