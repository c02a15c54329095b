"""The optimised mask: the region whose perturbation makes the network lose the class (paper section 3.1)."""
