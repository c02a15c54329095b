"""The network under explanation: from a model specification to logits, gradients and feature maps.

* ``classifier``: the `Classifier`, a frozen network with its input's shape, normalisation and classes;
* ``frozen``, ``memory_format``: the state that freezing changes and restores; channels last at any rank;
* ``probe``, ``outputs``: how a network has to be called; its outputs as logits (N, C);
* ``examine``: checks on real inputs before any work;
* ``gradients``, ``fingerprint``: gradients of logits; a hash of everything that decides the outputs;
* ``fuse``, ``randomise``: changed copies, with batch norms fused into convolutions, or with random weights;
* ``layers``, ``grids``, ``activations``: the modules that put out feature maps, the layout of maps, recording them;
* ``models``, ``libraries``, ``user_file``: from a specification to a classifier, of a library or from a user's file;
* ``input_format``, ``input_options``: size, mean and std, from the network's attributes or from options;
* ``state_dicts``, ``weights``: reading a file of weights, and fitting it to a network;
* ``class_names``, ``class_lists``: which class a text means; class lists in their usual forms;
* ``text_files``: encodings, JSON and tables of small text files;
* ``reload``: the network of a run folder, loaded again from its record.

Inputs are (N, 3, *S), with S = (H, W) for images and (T, H, W) for clips. ``models`` loads networks of images; a
network of clips is given to the `Classifier` in Python.
"""
