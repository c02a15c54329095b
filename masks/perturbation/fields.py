"""Fields: smooth functions over the frame from a coarse grid of parameters, and the start of the optimisation.

The parameters of a stage are theta on a grid that may be coarser than the frame. The field is

    f = A theta B^T,    A, B = Gaussian x bilinear upsampling    (separable: one small matrix for each axis)

The mask is the field itself, in [0, 1], or the field cut at a quantile (`masks.perturbation.cut`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.perturbation.perturb import gaussian_kernel
from visual_summaries.masks.perturbation.schedule import Stage

_FLAT = 0.01  # standard deviation below which a mask is the same everywhere


class Basis:
    """From the parameters theta (N, 1, h, w) of a stage to fields (N, 1, H, W).

    Args:
        size: (H, W) of the frame.
        stage: Its resolution and smoothing are used.
        scale: Pixels of the frame for each pixel in which the stage's lengths are given.
        like: Gives type and device.
    """

    def __init__(self, size: tuple[int, int], stage: Stage, scale: float, like: Tensor) -> None:
        self.size = size
        self.stage = stage
        self.grid = [max(1, round(side / stage.resolution)) for side in size]
        sigma = stage.smoothing * scale
        up = [upsampling(g, s) for g, s in zip(self.grid, size, strict=True)]
        smooth = [smoothing(s, sigma) for s in size]
        through = [b @ a for a, b in zip(up, smooth, strict=True)]
        self._rows, self._columns = (matrix.to(like) for matrix in (through if stage.smoothing_gradient else up))
        self._smooth = None if stage.smoothing_gradient else [matrix.to(like) for matrix in smooth]

    def project(self, masks: Tensor) -> Tensor:
        """The parameters (N, 1, h, w) for masks (N, 1, H, W): means over the cells, a new tensor."""
        return F.adaptive_avg_pool2d(masks.detach(), (self.grid[0], self.grid[1])).clone()

    def fields(self, theta: Tensor) -> Tensor:
        """Fields (N, 1, H, W) in [0, 1]."""
        if self.grid == list(self.size) and not self.stage.smoothing:
            return theta
        fields = self._rows @ theta @ self._columns.T
        if self._smooth is not None:  # the reference program ignores the gradient of this blur
            blurred = self._smooth[0] @ fields.detach() @ self._smooth[1].T
            fields = fields + (blurred - fields.detach())
        return fields


def upsampling(source: int, target: int) -> Tensor:
    """The matrix (target, source) of bilinear interpolation along one side, float64.

    Examples:
        >>> upsampling(2, 4).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    eye = torch.eye(source, dtype=torch.float64)[None]
    return F.interpolate(eye, size=target, mode="linear", align_corners=False)[0].T.contiguous()


def smoothing(side: int, sigma: float) -> Tensor:
    """The matrix (side, side) of a Gaussian along one side, renormalised at the borders, float64.

    Examples:
        >>> matrix = smoothing(5, sigma=1.0)
        >>> torch.allclose(matrix.sum(dim=1), torch.ones(5, dtype=torch.float64))  # a constant stays the same
        True
    """
    if sigma < 1e-3:  # in float64 only the weight in the middle is not 0
        return torch.eye(side, dtype=torch.float64)
    offsets = torch.arange(side)[:, None] - torch.arange(side)
    radius = max(side - 1, math.ceil(3 * sigma))
    matrix = gaussian_kernel(sigma, radius)[offsets + radius]
    return matrix / matrix.sum(dim=1, keepdim=True)


def initial_masks(images: Tensor) -> Tensor:
    """The masks to start from, (N, 1, H, W): 1 in a centred disc whose radius is half the shorter side, else 0.

    Examples:
        >>> initial_masks(torch.zeros(1, 3, 4, 4))[0, 0].int().tolist()
        [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    """
    n, _, height, width = images.shape
    y = torch.arange(height).to(images) - (height - 1) / 2
    x = torch.arange(width).to(images) - (width - 1) / 2
    inside = (y[:, None] ** 2 + x**2).sqrt() <= min(height, width) / 2
    return inside.to(images.dtype).expand(n, 1, height, width).clone()


def replace_constant(masks: Tensor) -> Tensor:
    """Masks (N, 1, H, W) with the initial disc in place of each mask that has the same value everywhere.

    A smooth mask becomes constant if the network is so sure of the class that its probability has no gradient: then
    only the weight l1 acts, on all pixels alike. A cut of a constant field has no gradient either.
    """
    flat = masks.std(dim=(1, 2, 3), keepdim=True) < _FLAT
    return torch.where(flat, initial_masks(masks), masks)
