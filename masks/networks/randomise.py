"""The same network with random weights, for the sanity check of Adebayo et al. (NeurIPS 2018).

Masks of a network with random weights must differ from those of the trained one. Otherwise they show edges of the
image, and not what the network relies on.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from visual_summaries.masks.networks.classifier import Classifier


def randomised(classifier: Classifier, inputs: Tensor, seed: int) -> Classifier:
    """The same network with random weights; the classifier that is given stays as it is.

    Modules are initialised by their own ``reset_parameters``. Parameters of modules without it are drawn from a normal
    distribution of the same mean square. Batch norms take their statistics from the inputs: with their initial ones the
    signal of a deep network vanishes.

    Args:
        classifier: The network.
        inputs: (N, 3, *S) in [0, 1], on the classifier's device.
        seed: Of the weights.
    """
    network = copy.deepcopy(classifier.network).cpu()  # every device gets the same weights
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in network.modules():
            _draw(module)
    other = classifier.with_network(network)
    with other, torch.no_grad():
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        other.logits(torch.cat([inputs, inputs.flip(-1)]))  # one alone has no variance in maps of one pixel
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval()
            norm.momentum = momentum
    return other


def _draw(module: nn.Module) -> None:
    """New weights for a module's own parameters, without those of its children."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        parameter.normal_(0, float(parameter.square().mean().sqrt()))
