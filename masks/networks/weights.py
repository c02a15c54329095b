"""Loads a state dict, as training tools save them, into a network if everything fits.

A file may hold the state dict itself or under a key (``state_dict``, ``model``, ``net``, ``state_dict_ema``, ..), and
its names may have prefixes (``module.`` of DataParallel, ``_orig_mod.`` of torch.compile, ``model.`` of Lightning).
Every state dict in the file is tried with and without such prefixes. The first one in which every tensor of the network
has one of the same name and shape is used. Weights are never loaded in part. Other entries than tensors are loaded if
the network has such state, and otherwise noted.

A last layer for another number of classes is replaced if the user gives that many class names and all else fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.state_dicts import SAVE, read_state_dicts

WRAPPERS = ("module", "_orig_mod", "model", "net", "network")
"""Usual names of a network within a training module, which also holds losses and metrics."""

_COUNTERS = ("num_batches_tracked", "total_ops", "total_params")  # of batch norm in training, of profilers


@dataclass(frozen=True)
class Fit:
    """How well a state dict fits a network.

    Attributes:
        state: Its tensors under the network's names.
        missing: Names of the network that are not in the state dict.
        unknown: Names of the state dict that are not in the network.
        others: Names whose tensors have another shape or kind.
        left_out: Names of the state dict without the prefix: of other modules than the network.
        objects: Entries that are not tensors, in both, under the network's names.
        unused: Names of entries that are not tensors and not in the network.
        key: Keys of the state dict in the file.
        prefix: Prefix that was removed from its names.
    """

    state: dict[str, Tensor]
    missing: list[str]
    unknown: list[str]
    others: list[str]
    left_out: list[str]
    objects: dict[str, Any]
    unused: list[str]
    key: str
    prefix: str

    @property
    def faults(self) -> int:
        """The number of tensors that do not fit."""
        return len(self.missing) + len(self.unknown) + len(self.others)


def load_weights(network: nn.Module, path: Path, spec: str, *, names: int = 0) -> list[str]:
    """Loads the weights of a file into a network.

    Args:
        network: It is changed only if everything fits.
        path: A file with a state dict, see the module.
        spec: Its name in messages.
        names: The number of class names that the user gives; a last layer of another size is replaced to match it.

    Returns:
        A note for each special case: removed prefixes, ignored tensors, a replaced layer.

    Raises:
        UserError: If the file cannot be read, its weights are not finite, or are those of another network.
    """
    everything = network.state_dict()
    own = _tensors(everything)
    fits = [fit for key, state in read_state_dicts(path) for fit in _fits(everything, key, state)]
    fit = min(fits, key=lambda fit: fit.faults)  # the first of them
    notes = _taken(fit, [other for other in fits if other is not fit and not other.faults], path)
    if fit.faults:
        notes += _with_other_head(network, own, fit, path, spec, names)
    broken = [name for name, value in fit.state.items() if not _is_finite(value, own[name])]
    if broken:
        raise UserError(f"`weights` {path} holds numbers that are not finite (NaN or infinite), first in {broken[0]!r}")
    try:
        network.load_state_dict(fit.state | fit.objects, strict=False)
    except Exception as error:  # modules may have their own way of loading
        raise UserError(f"`weights` {path} do not load into {spec}: {str(error).splitlines()[0][:200]}") from error
    return notes


def _fits(everything: Mapping[str, Any], key: str, found: Mapping[str, Any]) -> Iterator[Fit]:
    """A state dict with and without the common prefixes of its own and the network's names, fewest removed first."""
    own, state = _tensors(everything), _tensors(found)
    beside = [name for name in found if name not in state]
    for ours in _shared(list(own)):
        for prefix in _prefixes(list(state)):
            inside = {ours + name.removeprefix(prefix): name for name in state if name.startswith(prefix)}
            common = {name: state[inside[name]] for name in own if name in inside}
            others = [name for name, value in common.items() if not _is_alike(value, own[name])]
            places = {name: ours + name.removeprefix(prefix) for name in beside if name.startswith(prefix)}
            used = {name: there for name, there in places.items() if there in everything and there not in own}
            counters = [name for name in others if name.endswith(_COUNTERS)]
            yield Fit(
                {name: value for name, value in common.items() if name not in counters},
                [name for name in own if name not in common and not name.endswith(_COUNTERS)],
                [there for name, there in inside.items() if name not in own and not name.endswith(_COUNTERS)],
                [name for name in others if name not in counters],
                [name for name in state if not name.startswith(prefix)],
                {there: found[name] for name, there in used.items()},
                [name for name in beside if name not in used],
                key,
                prefix,
            )


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _shared(names: Sequence[str]) -> list[str]:
    """The prefixes, up to a dot, that all names share, from none to the longest."""
    found = [""]
    while True:
        prefix = names[0][: names[0].find(".", len(found[-1])) + 1] if names else ""
        if len(prefix) <= len(found[-1]) or not all(name.startswith(prefix) for name in names):
            return found
        found.append(prefix)


def _prefixes(names: Sequence[str]) -> Iterator[str]:
    """The common prefixes of all names, then the usual prefixes that some of them have."""
    shared = _shared(names)
    yield from shared
    for wrapper in WRAPPERS:
        inside = [name for name in names if name.startswith(f"{shared[-1]}{wrapper}.")]
        if inside and len(inside) < len(names):
            yield from (prefix for prefix in _shared(inside) if len(prefix) > len(shared[-1]))


def _is_alike(value: Tensor, own: Tensor) -> bool:
    """Whether a tensor can take the place of another."""
    if value.layout != torch.strided or value.is_meta or value.is_quantized != own.is_quantized:
        return False
    if is_lazy(own):
        return True
    same_kind = value.is_floating_point() == own.is_floating_point() and value.is_complex() == own.is_complex()
    return same_kind and value.shape == own.shape


def _is_finite(value: Tensor, own: Tensor) -> bool:
    """Whether a tensor is finite in the network's type, apart from places where the network's own is not."""
    if not value.is_floating_point():
        return True
    broken = ~torch.isfinite(value.to(own.dtype))
    if not is_lazy(own) and own.shape == value.shape:
        broken &= torch.isfinite(own).to(broken.device)
    return not bool(broken.any())


def _taken(fit: Fit, rivals: list[Fit], path: Path) -> list[str]:
    """Notes on which part of a file is used, if not all of it."""
    beside = [rival for rival in rivals if rival.key == fit.key and rival.left_out]
    if fit.left_out and beside:
        raise UserError(
            f"`weights` {path} holds more than one network that fits, under {fit.prefix!r} and {beside[0].prefix!r}: "
            f"{SAVE} of one"
        )
    notes = []
    if fit.key:
        keys = sorted({rival.key for rival in rivals} - {fit.key})
        notes.append(f"weights: those under {fit.key!r} are taken" + (f", not {', '.join(keys)}" if keys else ""))
    if fit.prefix:
        notes.append(f"weights: the prefix {fit.prefix!r} is taken off")
    if fit.left_out:
        notes.append(
            f"weights: {len(fit.left_out)} tensors without that prefix are left out, first {fit.left_out[0]!r}"
        )
    if fit.unused:
        notes.append(f"weights: what is no tensor is left out: {', '.join(fit.unused)}"[:200])
    return notes


def _with_other_head(
    network: nn.Module, own: Mapping[str, Tensor], fit: Fit, path: Path, spec: str, names: int
) -> list[str]:
    """Replaces the layers that differ only in their number of classes, if the user gives that many names."""
    sizes = {(own[name].shape[:1], fit.state[name].shape[:1]) for name in fit.others}
    layers = {name.rpartition(".")[0] for name in fit.others}
    fitting = all(_is_head(network.get_submodule(layer), layer, own, fit) for layer in layers)
    if fit.missing or fit.unknown or len(sizes) != 1 or not fitting:
        first = (fit.others or fit.missing or fit.unknown)[0]
        raise UserError(
            f"the weights in {path} are those of another network than {spec}: {len(fit.missing)} tensors missing, "
            f"{len(fit.unknown)} unknown, {len(fit.others)} of another shape (first {first!r})"
        )
    ((before, after),) = sizes
    if names != after[0]:
        given = f", the class list {names}" if names else ""
        raise UserError(
            f"`weights` {path} is for {after[0]} classes, the network of {spec} has {before[0]}{given}: give "
            f"{after[0]} class names as `classes`, or a FILE.py:FUNCTION that makes the network for {after[0]}"
        )
    for layer in layers:
        _resize_head(network.get_submodule(layer), after[0])
    for module in network.modules():
        if isinstance(module.__dict__.get("num_classes"), int) and module.num_classes == before[0]:
            setattr(module, "num_classes", after[0])  # noqa: B010 (mypy takes an attribute of a module for a tensor)
    return [f"weights: {' and '.join(sorted(layers))} is replaced, for {after[0]} classes in place of {before[0]}"]


def _is_head(module: nn.Module, layer: str, own: Mapping[str, Tensor], fit: Fit) -> bool:
    """Whether a layer differs only in the number of its outputs."""
    wanted = [name for name in own if name.rpartition(".")[0] == layer]
    linear = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    return linear and all(
        name in fit.others
        and not is_lazy(own[name])
        and fit.state[name].is_floating_point()
        and fit.state[name].shape[1:] == own[name].shape[1:]
        for name in wanted
    )


def _resize_head(module: nn.Module, classes: int) -> None:
    setattr(module, "out_features" if isinstance(module, nn.Linear) else "out_channels", classes)
    for name, value in list(module.named_parameters(recurse=False)):
        fresh = torch.empty((classes, *value.shape[1:]), dtype=value.dtype, device=value.device)
        setattr(module, name, nn.Parameter(fresh, requires_grad=value.requires_grad))
