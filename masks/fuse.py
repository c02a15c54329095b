"""A classifier whose batch norms are part of its convolutions: the same logits from faster passes.

Where a batch norm follows a convolution, both are one convolution with other weights. Which follow each other is seen
in a pass, not read off names, so that any network may be given; the result is compared with the original, and a
network whose logits would change is left as it is.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from masks.classifier import Classifier

_TOLERANCE = 1e-3  # largest difference of logits, relative to the largest logit


def fused(classifier: Classifier) -> Classifier:
    """A classifier for passes in great number; its network is a copy, the given one stays as it is.

    Args:
        classifier: Entered (frozen, on its device).

    Returns:
        A classifier with the same logits up to rounding; the given one where nothing can be fused.
    """
    generator = torch.Generator().manual_seed(0)
    parameter = next(classifier.network.parameters(), None)
    example = torch.rand(1, 3, *classifier.frame.size, generator=generator).to(classifier.device)
    if parameter is not None:
        example = example.to(parameter.dtype)
    try:
        network = copy.deepcopy(classifier.network)
    except (TypeError, RuntimeError):  # a network may hold what cannot be copied
        return classifier
    fast = Classifier(
        network,
        frame=classifier.frame,
        normalisation=classifier.normalisation,
        labels=classifier.labels,
        spec=classifier.spec,
        device=classifier.device,
    )
    with torch.no_grad():
        pairs = _pairs(fast, example)
        if not pairs:
            return classifier
        for convolution, norm in pairs:
            _fuse(network, convolution, norm)
        expected, logits = classifier.logits(example), fast.logits(example)
    same = (logits - expected).abs().max() <= _TOLERANCE * expected.abs().max()
    return fast if same else classifier


def _pairs(classifier: Classifier, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions that a batch norm follows, each used once, in order of execution."""
    calls: Counter[nn.Module] = Counter()
    sources: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensors are held, so that no id is given twice
    followers: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after_convolution(module: nn.Module, _: Any, output: Tensor) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d):
            sources[id(output)] = (module, output)

    def before_norm(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        source = sources.get(id(inputs[0]))
        if source is not None and isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            followers.append((source[0], module))

    hooks = []
    for module in classifier.network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after_convolution))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        classifier.logits(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in followers if calls[pair[0]] == calls[pair[1]] == 1]


def _fuse(network: nn.Module, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Puts a batch norm's weights into its convolution, and in its place what it holds besides: its activation."""
    assert norm.running_mean is not None  # checked in _pairs
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    convolution.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    convolution.bias = nn.Parameter(bias, requires_grad=False)
    name = next(name for name, module in network.named_modules() if module is norm)
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Sequential(*norm.children()))
