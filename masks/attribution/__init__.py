"""Attributions: which places of an input the network's answer depends on, one method a file.

An attribution is a plain function ``(classifier, inputs, targets, options) -> relevance``. The relevance is float32
(N, 1, *S) for inputs (N, 3, *S); higher is more relevant, and its scale is the method's own. The names of the methods
stand in ``names.py``, their options in ``options.py``, and the functions by name in ``registry.py``.
"""
