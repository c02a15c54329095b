"""Fuses batch norms into convolutions: the same logits from faster passes.

A convolution followed by a batch norm is one convolution with other weights. Which modules follow each other is found
in a pass and not from names, so that it works for any network, with 1-D, 2-D or 3-D convolutions. The result is
compared with the original on one input. A network whose logits would change, or that cannot be copied or changed, is
left as it is.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_weights

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.memory_format import channels_last
from visual_summaries.masks.networks.outputs import centred

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_TOLERANCE = 1e-3  # largest difference of logits without their mean, relative to the largest of these

_log = logging.getLogger(__name__)


def fused(classifier: Classifier, inputs: Tensor) -> Classifier:
    """A faster classifier with a copy of the network; the given one stays as it is.

    Args:
        classifier: Entered (frozen, on its device).
        inputs: (N, 3, *S) in [0, 1], N >= 1; both networks are compared on the first.

    Returns:
        A classifier, inside its ``with`` block, with the same logits up to rounding; the given one where nothing can be
        fused.
    """
    fast, reason = try_to_fuse(classifier, inputs)
    if reason:
        _log.info(reason)
    return fast


def try_to_fuse(classifier: Classifier, inputs: Tensor) -> tuple[Classifier, str]:
    """As :func:`fused`, with the reason if batch norms could not be fused; an empty reason if there are none."""
    example = inputs[:1]
    try:
        with torch.no_grad():
            expected = classifier.logits(example)  # before copying: a pass recomputes weights derived from others
            network = copy.deepcopy(classifier.network)
            fast = classifier.with_network(network, reading=classifier.reading).__enter__()
            pairs = _pairs(fast, example)
            if not pairs:
                return classifier, ""
            for convolution, norm in pairs:
                _fuse(fast, convolution, norm)
            difference = (centred(fast.logits(example)) - centred(expected)).abs().max()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # copying and changing a network may raise anything
        line = (str(error).splitlines() or [""])[0]
        return classifier, f"batch norms cannot be fused ({type(error).__name__}: {line}): passes are slower"
    if not bool(difference <= _TOLERANCE * centred(expected).abs().max()):
        return classifier, "fused batch norms would change the logits: they are left, passes are slower"
    return fast, ""


def _pairs(classifier: Classifier, example: Tensor) -> list[tuple[_ConvNd, _BatchNorm]]:
    """The convolutions that a batch norm follows, each used once, in order of execution."""
    calls: Counter[nn.Module] = Counter()
    sources: dict[int, tuple[_ConvNd, Tensor]] = {}  # keeps the tensors alive, so that their ids stay unique
    followers: list[tuple[_ConvNd, _BatchNorm]] = []

    def after_convolution(module: nn.Module, _: Any, output: Tensor) -> None:
        calls[module] += 1
        if isinstance(module, _CONVOLUTIONS):
            sources[id(output)] = (module, output)

    def before_norm(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        source = sources.get(id(inputs[0]))
        if source is not None and isinstance(module, _BatchNorm) and module.running_mean is not None:
            followers.append((source[0], module))

    hooks = []
    for module in classifier.network.modules():
        if _computes_weights(module):
            continue
        if isinstance(module, _CONVOLUTIONS):
            hooks.append(module.register_forward_hook(after_convolution))
        elif isinstance(module, _BatchNorm):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        classifier.logits(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in followers if calls[pair[0]] == calls[pair[1]] == 1]


def _computes_weights(module: nn.Module) -> bool:
    """Whether a module's weights are computed from others in each pass (weight and spectral norm, pruning)."""
    return parametrize.is_parametrized(module) or bool(module._forward_pre_hooks)


def _fuse(classifier: Classifier, convolution: _ConvNd, norm: _BatchNorm) -> None:
    """Moves a batch norm's weights into its convolution, and replaces it by its children: its activation, if any."""
    assert norm.running_mean is not None  # checked in _pairs
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    laid_out = channels_last(weight) if classifier.reading.channels_last else weight.contiguous()
    convolution.weight = nn.Parameter(laid_out, requires_grad=False)
    convolution.bias = nn.Parameter(bias, requires_grad=False)
    network = classifier.network
    name = next(name for name, module in network.named_modules() if module is norm)
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Sequential(*norm.children()))
