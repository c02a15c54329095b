"""A hash of a network's weights, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def fingerprint(network: nn.Module, about: str) -> str:
    """The first 16 hexadecimal digits of the hash of a network's state and of what else decides its outputs.

    Tensors enter by name, type, shape and bytes. Other state enters by its value if that is plain (numbers, texts, and
    dictionaries and sequences of them), otherwise by its type, because the printed form of an object may contain a
    memory address.

    Args:
        network: Its state dict is read.
        about: What else decides the outputs, as text.

    Examples:
        >>> network = nn.Linear(2, 2)
        >>> fingerprint(network, "RGB") == fingerprint(network, "RGB") != fingerprint(network, "BGR")
        True
    """
    digest = hashlib.sha256(about.encode())
    for name, value in network.state_dict().items():
        for part in _parts(name, value):
            digest.update(part)
    return digest.hexdigest()[:16]


def _parts(name: str, value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield f"{name} {value.dtype} {tuple(value.shape)}".encode()
        yield from _bytes(value.detach())
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _parts(f"{name}.{key}", each)
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _parts(f"{name}.{index}", each)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{name} {value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif value is None or isinstance(value, (str, bytes, int, float, complex, torch.dtype)):
        yield f"{name} {value!r}".encode()
    else:
        yield f"{name} {type(value).__qualname__}".encode()


def _bytes(value: Tensor) -> Iterator[bytes]:
    """The bytes of a tensor of any layout; none of one without values."""
    if value.device.type == "meta":
        return
    if value.layout != torch.strided:
        sparse = (value if value.layout == torch.sparse_coo else value.to_sparse()).coalesce()
        yield from _bytes(sparse.indices())
        yield from _bytes(sparse.values())
    elif value.is_quantized:
        if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            yield f"{value.q_scale()} {value.q_zero_point()}".encode()
        else:
            yield from _bytes(value.q_per_channel_scales())
            yield from _bytes(value.q_per_channel_zero_points())
        yield from _bytes(value.int_repr())
    else:
        yield value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
