"""From masks to groups of matching parts (paper section 3.2).

mask -> regions -> kept proposals = parts -> proposal flow between images -> similarity -> affinity propagation
-> pruning. Conventions are those of :mod:`masks`.
"""
