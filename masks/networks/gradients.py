"""Gradients of logits, whatever mode the caller is in, with a clear error where there are none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from visual_summaries.masks.errors import UserError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def with_gradients(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Lets a function compute gradients even if its caller has switched them off (no_grad, inference_mode).

    Tensors among its arguments that were made under inference_mode are copied, because autograd does not accept them.
    """

    @functools.wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with torch.inference_mode(False), torch.enable_grad():
            plain = [_ordinary(value) for value in args]
            named = {name: _ordinary(value) for name, value in kwargs.items()}
            return function(*plain, **named)  # type: ignore[arg-type]  # the same types

    return wrapper


def _ordinary(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


def gradient_of(losses: Tensor, wanted: Tensor) -> Tensor:
    """The gradient of the sum of losses (N,) with respect to a tensor, in its shape.

    Raises:
        UserError: If autograd finds no dependence of the losses on it.

    Examples:
        >>> x = torch.ones(3, requires_grad=True)
        >>> gradient_of(x * torch.tensor([1.0, 2.0, 3.0]), x)
        tensor([1., 2., 3.])
    """
    try:
        (gradient,) = torch.autograd.grad(losses.sum(), wanted)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # no graph, or an operation without a derivative
        raise UserError(
            "no gradient of the network's logits reaches its input: give a network without @torch.no_grad, detach() "
            f"or quantised layers in its forward ({str(error).splitlines()[0]})"
        ) from error
    return gradient
