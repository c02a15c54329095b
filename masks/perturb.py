"""What stands in for the pixels that a mask takes away.

    Phi(x; m) = (1 - m) x + m b(x)

with b the image's blur, its mean colour or mid-grey. The background b is computed once an image, not once a step.
The names of perturbations, as the command line and the configuration take them:

* ``blur:10``: Gaussian blur of sigma 10 pixels, reflected at the border; ``blur:10/11`` cuts its kernel to 11
  pixels (in effect a sigma of about 3.1), as the reference program does.
* ``constant:mean``: the mean colour of the image; ``constant:grey``: mid-grey.

The paper blurs with a width that varies with the mask (section 3.1); its reference program blends, as we do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from masks.errors import UserError


class Perturbation(Protocol):
    """Something that gives the background which takes the place of perturbed pixels."""

    def background(self, images: Tensor) -> Tensor:
        """The background (N, 3, H, W) of images (N, 3, H, W), both in [0, 1]."""
        ...


@dataclass(frozen=True)
class Blur:
    """Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels, > 0.
        kernel: Odd number of pixels to which the kernel is cut; None for three sigma on both sides.
    """

    sigma: float
    kernel: int | None = None

    def background(self, images: Tensor) -> Tensor:
        """The blurred images (N, 3, H, W)."""
        return gaussian_blur(images, self.sigma, self.kernel)


@dataclass(frozen=True)
class Constant:
    """One colour.

    Attributes:
        colour: ``mean``, the image's own mean colour, or ``grey``, 0.5.
    """

    colour: str

    def background(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) of one colour each."""
        if self.colour == "grey":
            return torch.full_like(images, 0.5)
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()


def parse_perturbation(name: str) -> Perturbation:
    """The perturbation of a name, see the module's list.

    Raises:
        UserError: If the name is none.
    """
    kind, _, value = name.partition(":")
    if kind == "constant" and value in ("mean", "grey"):
        return Constant(value)
    if kind == "blur":
        sigma, _, kernel = value.partition("/")
        try:
            blur = Blur(float(sigma), int(kernel) if kernel else None)
        except ValueError:
            blur = Blur(0)
        if 0 < blur.sigma < math.inf and (blur.kernel is None or (blur.kernel > 0 and blur.kernel % 2 == 1)):
            return blur
    raise UserError(f"unknown perturbation {name!r}: use blur:SIGMA, blur:SIGMA/KERNEL, constant:mean, constant:grey")


def gaussian_kernel(sigma: float, radius: int) -> Tensor:
    """A normalised Gaussian (2 radius + 1,) in float64."""
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def gaussian_blur(images: Tensor, sigma: float, kernel: int | None = None) -> Tensor:
    """Separable Gaussian blur, reflected at the border.

    Args:
        images: (N, C, H, W).
        sigma: Standard deviation in pixels.
        kernel: Odd number of pixels to which the kernel is cut; None for three sigma on both sides.

    Returns:
        (N, C, H, W).
    """
    n, c, height, width = images.shape
    radius = math.ceil(3 * sigma) if kernel is None else kernel // 2
    radius = min(radius, height - 1, width - 1)  # reflection cannot reach further
    weights = gaussian_kernel(sigma, radius).to(images)
    flat = images.reshape(n * c, 1, height, width)
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="reflect"), weights.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="reflect"), weights.view(1, 1, -1, 1))
    return flat.reshape(n, c, height, width)


def blend(images: Tensor, background: Tensor, masks: Tensor) -> Tensor:
    """Phi(x; m): the images where the mask is 0, the background where it is 1.

    Args:
        images: (N, 3, H, W).
        background: (N, 3, H, W).
        masks: (N, 1, H, W) in [0, 1].
    """
    return torch.lerp(images, background, masks.expand_as(images))
