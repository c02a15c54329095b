"""Reads the state dicts in a file of weights, without running any code in it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.text_files import why_no_file

SAVE = "save network.state_dict() and give that file"
"""What to do about a file of another kind, for messages."""

_EXTRA = "_extra_state"  # what get_extra_state() of a module returned, of any type
_DEPTH = 4  # levels of nested keys in which state dicts are searched


def read_state_dicts(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The state dicts in a file, read without running any code in it.

    Returns:
        For each state dict: its keys in the file, joined by dots (empty for the file itself), and its entries, at least
        one of them a tensor. Averaged weights, with ``ema`` in their keys, come last.

    Raises:
        UserError: If the file does not exist, is damaged, or holds Python objects or no state dict.
    """
    what = f"`weights` {path}"
    reason = why_no_file(path)
    if reason:
        raise UserError(f"{what} {reason}")
    found = list(_state_dicts(_read(path, what), "", _DEPTH, set()))
    if not found:
        raise UserError(f"{what} is no state dict: {SAVE}")
    return sorted(found, key=lambda item: "ema" in item[0].lower())


def _read(path: Path, what: str) -> Any:
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if not start:
            raise UserError(f"{what} is empty (0 bytes): save it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix.lower() == ".safetensors" or _begins_as_safetensors(start, path.stat().st_size):
                from safetensors.torch import load_file

                return load_file(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError:
        raise UserError(
            f"{what} holds Python objects, or is no weights file; it is not opened because that could run code: {SAVE}"
        ) from None
    except Exception as error:  # readers may raise anything on a damaged file
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        if "torchscript" in lines[0].lower():
            raise UserError(f"{what} is a TorchScript network: {SAVE}") from None
        raise UserError(f"{what} cannot be read: {lines[0][:200]}") from None


def _begins_as_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins with the length of a JSON header, and the header."""
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _state_dicts(content: Any, key: str, depth: int, seen: set[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(content, Mapping) or id(content) in seen:
        return
    seen.add(id(content))
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    below = [
        found
        for name, value in named.items()
        if depth > 1 and not name.endswith(_EXTRA)
        for found in _state_dicts(value, f"{key}.{name}".lstrip("."), depth - 1, seen)
    ]
    if not below and any(isinstance(value, Tensor) for value in named.values()):
        yield key, named
    yield from below
