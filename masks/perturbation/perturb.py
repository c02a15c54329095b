"""What stands in for the pixels that a mask takes away.

A perturbation is prepared once an image, not once a step: it gives the image in levels b_0 = x, b_1, ... b_K and the
places 0 = t_0 < t_1 < ... < t_K = 1 of the levels. A pixel u whose mask is m(u) lies between two levels,

    Phi(x; m)(u) = (1 - w) b_k(u) + w b_{k+1}(u),    w = (m(u) - t_k) / (t_{k+1} - t_k),    t_k <= m(u) <= t_{k+1}

With two levels that is the blend (1 - m) x + m b of the paper's reference program. The names of perturbations, as the
command line and the configuration take them:

* ``blur:10``: b is a Gaussian blur of sigma 10 pixels, reflected at the border; ``blur:10/11`` cuts its kernel to 11
  pixels (in effect a sigma of about 3.1), as the reference program does.
* ``constant:mean``: b is the mean colour of the image; ``constant:grey``: mid-grey.
* ``noise:0.25``: b is white Gaussian noise of standard deviation 0.25 around the mean colour of the image, cut to
  [0, 1]; it is drawn from the pixels of the image, so that the same image always gets the same noise.
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
"""Places of the blurs of a pyramid, as shares of its widest sigma. Between them photographs change about evenly: off
the levels the pyramid is within 0.002 of the blur of the exact width, on average over pixels (here, sigma 10)."""


@dataclass(frozen=True)
class Prepared:
    """Images that are ready to be perturbed.

    Attributes:
        levels: Each (N, 3, H, W); the first are the images themselves, the last the wholly perturbed ones.
        places: The value of the mask at which each level stands alone, from 0 to 1, rising.
    """

    levels: tuple[Tensor, ...]
    places: tuple[float, ...] = (0.0, 1.0)

    def __call__(self, masks: Tensor) -> Tensor:
        """Phi(x; m), (N, 3, H, W), of masks (N, 1, H, W) in [0, 1]; differentiable in the masks."""
        if len(self.levels) == 2:
            return blend(*self.levels, masks)
        images = self.levels[0]
        for level, (low, high) in zip(self.levels[1:], itertools.pairwise(self.places), strict=True):
            images = blend(images, level, ((masks - low) / (high - low)).clamp(0, 1))
        return images

    def __getitem__(self, index: Tensor | slice) -> Prepared:
        """Some of the images: a slice, int64 (K,) indices or a bool (N,) choice."""
        return Prepared(tuple(level[index] for level in self.levels), self.places)


class Perturbation(Protocol):
    """Something that takes the class away from pixels."""

    def background(self, images: Tensor) -> Tensor:
        """The wholly perturbed images (N, 3, H, W) of images (N, 3, H, W), both in [0, 1]."""
        ...

    def prepare(self, images: Tensor) -> Prepared:
        """Gets images (N, 3, H, W) in [0, 1] ready to be perturbed by masks."""
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
        """Images (N, 3, H, W) of one colour each."""
        if self.colour == "grey":
            return torch.full_like(images, 0.5)
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()

    def prepare(self, images: Tensor) -> Prepared:
        """The images and those of one colour."""
        return Prepared((images, self.background(images)))


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise around the mean colour of the image, cut to [0, 1].

    Attributes:
        deviation: Standard deviation of each channel of each pixel before the cut, > 0 (0.25 is about that of
            photographs).
    """

    deviation: float

    def background(self, images: Tensor) -> Tensor:
        """Noise (N, 3, H, W), an image's own each: the same on every device and in every batch."""
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
        blurs = (gaussian_blur(images, self.sigma * place) for place in PYRAMID[1:])
        return Prepared((images, *blurs), PYRAMID)


def parse_perturbation(name: str) -> Perturbation:
    """The perturbation of a name, see the module's list.

    Raises:
        UserError: If the name is none.

    Examples:
        >>> parse_perturbation("blur:10")
        Blur(sigma=10.0, kernel=None)
    """
    kind, value, kernel = parse_name(name)
    if isinstance(value, str):
        return Constant(value)
    return Blur(value, kernel) if kind == "blur" else Noise(value) if kind == "noise" else Pyramid(value)


def _noise(image: Tensor) -> Tensor:
    """Standard normal noise (3, H, W) that the 8-bit pixels of an image (3, H, W) decide."""
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
        kernel: Odd number of pixels to which the kernel is cut; None for three sigma on both sides.

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
    """The images where the mask is 0, the background where it is 1, in between a share of both.

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
