"""Perturbations: what replaces the pixels that a mask covers.

A perturbation is prepared once for each image, not once for each pass. It makes levels b_0 = x, b_1, ... b_K of the
image and says at which values 0 = t_0 < t_1 < ... < t_K = 1 of the mask each level is shown. A pixel u whose mask is
m(u) lies between two levels,

    Phi(x; m)(u) = (1 - w) b_k(u) + w b_{k+1}(u),    w = (m(u) - t_k) / (t_{k+1} - t_k),    t_k <= m(u) <= t_{k+1}

With two levels this is the blend (1 - m) x + m b of the paper's reference program. The names of perturbations, as the
command line and the configuration take them:

* ``blur:10``: b is a Gaussian blur of sigma 10 pixels, reflected at the border. ``blur:10/11`` cuts the kernel to 11
  pixels, as the reference program does; its effective sigma is about 3.1.
* ``constant:mean``: b is the mean colour of the image; ``constant:grey``: mid-grey.
* ``noise:0.25``: b is white Gaussian noise of standard deviation 0.25 around the mean colour of the image, clamped to
  [0, 1]. Its seed is computed from the pixels, so that the same image always gets the same noise.
* ``pyramid:10``: the blur whose width varies with the mask, sigma = 10 m(u), of the paper (section 3.1). The levels
  are blurs of growing sigma (:data:`PYRAMID`).
"""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.perturbation.names import parse_name

PYRAMID = (0.0, 0.04, 0.08, 0.12, 0.16, 0.24, 0.36, 0.52, 0.72, 1.0)
"""Values of the mask at the levels of a pyramid; each level is a blur of this fraction of the widest sigma.

From level to level photographs change about equally. Between levels the pyramid differs from the blur of the exact
width by less than 0.002 on average over pixels (measured here, sigma 10)."""


@dataclass(frozen=True)
class Prepared:
    """Images and their perturbed versions, from which masks make perturbed images.

    Attributes:
        levels: Each (N, 3, H, W); the first are the images themselves, the last the fully perturbed ones.
        values: Of the mask, at which each level is shown, from 0 to 1, rising.
    """

    levels: tuple[Tensor, ...]
    values: tuple[float, ...] = (0.0, 1.0)

    def __call__(self, masks: Tensor) -> Tensor:
        """Phi(x; m), (N, 3, H, W), of masks (N, 1, H, W) in [0, 1]; differentiable in the masks."""
        if len(self.levels) == 2:
            return blend(*self.levels, masks)
        images = self.levels[0]
        for level, (low, high) in zip(self.levels[1:], itertools.pairwise(self.values), strict=True):
            images = blend(images, level, ((masks - low) / (high - low)).clamp(0, 1))
        return images

    def __getitem__(self, index: Tensor | slice) -> Prepared:
        """Some of the images: a slice, int64 (K,) indices or a bool (N,) choice."""
        return Prepared(tuple(level[index] for level in self.levels), self.values)


class Perturbation(Protocol):
    """Replaces the pixels of images."""

    def background(self, images: Tensor) -> Tensor:
        """The fully perturbed images (N, 3, H, W) of images (N, 3, H, W), both in [0, 1]."""
        ...

    def prepare(self, images: Tensor) -> Prepared:
        """Makes the levels of images (N, 3, H, W) in [0, 1]."""
        ...


@dataclass(frozen=True)
class Blur:
    """Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels, > 0.
        kernel: Width of the kernel in pixels, odd; None for three sigma on both sides.
    """

    sigma: float
    kernel: int | None = None

    def background(self, images: Tensor) -> Tensor:
        """The blurred images (N, 3, H, W)."""
        return gaussian_blur(images, self.sigma, self.kernel)

    def prepare(self, images: Tensor) -> Prepared:
        """The images and the blurred images."""
        return Prepared((images, self.background(images)))


@dataclass(frozen=True)
class Constant:
    """One colour.

    Attributes:
        colour: ``mean``, the image's own mean colour, or ``grey``, 0.5.
    """

    colour: str

    def background(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), each of one colour."""
        if self.colour == "grey":
            return torch.full_like(images, 0.5)
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()

    def prepare(self, images: Tensor) -> Prepared:
        """The images and those of one colour."""
        return Prepared((images, self.background(images)))


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise around the mean colour of the image, clamped to [0, 1].

    Attributes:
        deviation: Standard deviation of each channel of each pixel before clamping, > 0 (0.25 is about that of
            photographs).
    """

    deviation: float

    def background(self, images: Tensor) -> Tensor:
        """Noise (N, 3, H, W); that of an image is the same on every device and in every batch."""
        noise = torch.stack([_noise(image) for image in images]).to(images)
        return (images.mean(dim=(2, 3), keepdim=True) + self.deviation * noise).clamp(0, 1)

    def prepare(self, images: Tensor) -> Prepared:
        """The images and the noise."""
        return Prepared((images, self.background(images)))


@dataclass(frozen=True)
class Pyramid:
    """Gaussian blur whose sigma is proportional to the mask.

    Attributes:
        sigma: Standard deviation in pixels where the mask is 1, > 0 (paper: 10).
    """

    sigma: float

    def background(self, images: Tensor) -> Tensor:
        """The images (N, 3, H, W) under the widest blur."""
        return gaussian_blur(images, self.sigma)

    def prepare(self, images: Tensor) -> Prepared:
        """The images in blurs of growing width."""
        blurs = (gaussian_blur(images, self.sigma * value) for value in PYRAMID[1:])
        return Prepared((images, *blurs), PYRAMID)


def parse_perturbation(name: str) -> Perturbation:
    """The perturbation of a name; the module lists the names.

    Raises:
        UserError: If there is no such perturbation.

    Examples:
        >>> parse_perturbation("blur:10")
        Blur(sigma=10.0, kernel=None)
    """
    kind, value, kernel = parse_name(name)
    if isinstance(value, str):
        return Constant(value)
    return Blur(value, kernel) if kind == "blur" else Noise(value) if kind == "noise" else Pyramid(value)


def _noise(image: Tensor) -> Tensor:
    """Standard normal noise (3, H, W), seeded by the 8-bit pixels of an image (3, H, W)."""
    pixels = (image.detach() * 255).round().to(torch.uint8).cpu().contiguous()
    generator = torch.Generator().manual_seed(zlib.crc32(pixels.numpy().tobytes()))
    return torch.randn(image.shape, generator=generator)


def gaussian_kernel(sigma: float, radius: int) -> Tensor:
    """A normalised Gaussian (2 radius + 1,) in float64.

    Examples:
        >>> [round(weight, 3) for weight in gaussian_kernel(1.0, 1).tolist()]
        [0.274, 0.452, 0.274]
    """
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def gaussian_blur(images: Tensor, sigma: float, kernel: int | None = None) -> Tensor:
    """Separable Gaussian blur, reflected at the border.

    Args:
        images: (N, C, H, W).
        sigma: Standard deviation in pixels.
        kernel: Width of the kernel in pixels, odd; None for three sigma on both sides.

    Returns:
        (N, C, H, W).

    Examples:
        >>> blurred = gaussian_blur(torch.eye(9)[None, None], sigma=1.0)
        >>> bool(blurred.max() < 1), round(float(blurred.sum()))
        (True, 9)
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
    """The images where the mask is 0, the background where it is 1, linear in between.

    Args:
        images: (N, 3, H, W).
        background: (N, 3, H, W).
        masks: (N, 1, H, W) in [0, 1].

    Examples:
        >>> black, white = torch.zeros(1, 3, 1, 2), torch.ones(1, 3, 1, 2)
        >>> blend(black, white, torch.tensor([[[[0.0, 0.25]]]]))[0, 0]
        tensor([[0.0000, 0.2500]])
    """
    return torch.lerp(images, background, masks.expand_as(images))
