"""Measures of faithfulness: what perturbing a mask does to the class, and the shape of the mask.

The drop (paper section 4.1, table 2) is

    drop = (p0 - p) / p0

with p0 the probability of the class in the image, and p that in the perturbed image. The paper reports it for float
masks. Regions are made from the binary mask, so here it is reported for both.

Deletion and insertion (RISE: Petsiuk, Das, Saenko, BMVC 2018) measure an order of the pixels, not a mask. The
probability should fall fast while pixels become grey, the most salient first, and rise fast while pixels are put into a
blurred image in the same order. The figures are the areas under the curves

    deletion:   f -> p(the first fraction f of the pixels is grey)
    insertion:  f -> p(all but the first fraction f of the pixels is blurred)

for f from 0 to 1; p is not divided by p0. In RISE all steps are of as many pixels as the image has columns. Here there
are fewer steps (:data:`STEPS`), shorter at the start, where the curves bend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt
from skimage.measure import label
from torch import Tensor

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.perturbation.perturb import Blur, Constant, Perturbation, Prepared

DELETED_TO = Constant("grey")
"""What deleted pixels become: one colour, as in RISE; here mid-grey, near the mean of photographs."""

INSERTED_ONTO = Blur(5, 11)
"""The image into which pixels are inserted: a blur, as in RISE."""

STEPS = 16
"""Steps of a curve: the fractions are (i / STEPS)^2."""


def probabilities(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    masks: Tensor | None = None,
    perturbation: Perturbation | None = None,
) -> Tensor:
    """The probability (N,) float64 of the class, in the images or in the images perturbed by masks.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        masks: (N, 1, H, W) in [0, 1], or None for the images themselves.
        perturbation: What replaces perturbed pixels; needed with masks.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> classifier = load_classifier("demo:1", weights="none")
        >>> probabilities(classifier, classifier.empty(2), torch.tensor([0, 1])).shape
        torch.Size([2])
    """
    with torch.inference_mode():
        if masks is not None and perturbation is not None:
            images = perturbation.prepare(images)(masks)
        return classifier.log_probabilities(images, targets).double().exp().cpu()


def drop(p0: Tensor, p: Tensor) -> Tensor:
    """The share of a class's probability that is lost, (p0 - p) / p0, elementwise.

    Args:
        p0: Probability before, in (0, 1].
        p: Probability after, of the same shape.

    Examples:
        >>> drop(torch.tensor([0.8]), torch.tensor([0.2]))
        tensor([0.7500])
    """
    return (p0 - p) / p0


@dataclass(frozen=True)
class Shape:
    """The shape of a mask.

    Attributes:
        area: Mean of the mask, in [0, 1].
        regions: Number of connected components (with diagonal neighbours) of the pixels above 0.5.
        top5_share: Fraction of these pixels in the five largest regions, in (0, 1]; None if there are no such pixels.
        collapsed: "empty" if no pixel is above 0.5, "full" if every pixel is, else "".
    """

    area: float
    regions: int
    top5_share: float | None
    collapsed: str


def shape(mask: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> Shape:
    """The shape of a mask (H, W), bool or in [0, 1].

    Examples:
        >>> mask = np.zeros((4, 5), bool)
        >>> mask[0, 0] = mask[2:, 2:] = True
        >>> shape(mask)
        Shape(area=0.35, regions=2, top5_share=1.0, collapsed='')
    """
    binary = mask > 0.5
    sizes = np.sort(np.bincount(label(binary, connectivity=2).ravel())[1:])[::-1]
    covered = int(sizes.sum())
    return Shape(
        area=float(mask.mean(dtype=np.float64)),
        regions=len(sizes),
        top5_share=float(sizes[:5].sum() / covered) if covered else None,
        collapsed="empty" if covered == 0 else "full" if covered == binary.size else "",
    )


def ranks(saliency: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The rank of each pixel of a saliency map (H, W): 0 for the most salient one.

    Larger values come first. Ties, as on most pixels of a binary mask, are broken by the distance to the outline of
    {value > 0.5}: inside, the pixel furthest from the outline comes first; outside, the one closest to it. Remaining
    ties are broken by reading order.

    Examples:
        >>> ranks(np.array([[0.1, 0.9], [0.8, 0.2]])).tolist()
        [[3, 0], [1, 2]]
    """
    values = saliency.astype(np.float64).ravel()
    depth = _depth(saliency > 0.5).ravel()
    order = np.lexsort((-depth, -values))
    found = np.empty(order.size, np.int64)
    found[order] = np.arange(order.size)
    return found.reshape(saliency.shape)


def _depth(binary: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Distance in pixels to the nearest pixel of the other value, negative outside; 0 if there is one value only."""
    if binary.all() or not binary.any():
        return np.zeros(binary.shape)
    inside: npt.NDArray[np.float64] = distance_transform_edt(binary)
    outside: npt.NDArray[np.float64] = distance_transform_edt(~binary)
    return inside - outside


def most_salient(saliency: npt.NDArray[np.floating] | npt.NDArray[np.bool_], area: float) -> npt.NDArray[np.bool_]:
    """The mask of the most salient pixels, in the order of :func:`ranks`.

    Args:
        saliency: (H, W).
        area: Fraction of the pixels, in [0, 1].

    Returns:
        bool (H, W).

    Examples:
        >>> most_salient(np.array([[0.1, 0.9], [0.8, 0.2]]), 0.5).tolist()
        [[False, True], [True, False]]
    """
    return ranks(saliency) < round(area * saliency.size)


def deletion_auc(classifier: Classifier, images: Tensor, targets: Tensor, order: Tensor) -> Tensor:
    """Area under the deletion curve, (N,) float64 in [0, 1]; small is good.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        order: (N, 1, H, W) int64, the rank of each pixel, see :func:`ranks`.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     order = torch.arange(128 * 128).view(1, 1, 128, 128)
        ...     area = deletion_auc(classifier, classifier.empty(1), torch.tensor([0]), order)
        >>> bool(0 <= area <= 1)
        True
    """
    return _area_under(classifier, DELETED_TO.prepare(images), targets, order, insert=False)


def insertion_auc(classifier: Classifier, images: Tensor, targets: Tensor, order: Tensor) -> Tensor:
    """Area under the insertion curve, (N,) float64 in [0, 1]; large is good.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        order: (N, 1, H, W) int64, the rank of each pixel, see :func:`ranks`.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     order = torch.arange(128 * 128).view(1, 1, 128, 128)
        ...     area = insertion_auc(classifier, classifier.empty(1), torch.tensor([0]), order)
        >>> bool(0 <= area <= 1)
        True
    """
    return _area_under(classifier, INSERTED_ONTO.prepare(images), targets, order, insert=True)


def fractions(steps: int = STEPS) -> list[float]:
    """The fractions of the pixels at which a curve is evaluated, from 0 to 1, denser at the start.

    Examples:
        >>> fractions(4)
        [0.0, 0.0625, 0.25, 0.5625, 1.0]
    """
    return [(i / steps) ** 2 for i in range(steps + 1)]


def _area_under(classifier: Classifier, prepared: Prepared, targets: Tensor, order: Tensor, *, insert: bool) -> Tensor:
    pixels = order[0].numel()
    points = [round(fraction * pixels) for fraction in fractions()]
    curve = []
    with torch.inference_mode():
        for point in points:
            taken = order < point
            masks = (~taken if insert else taken).to(prepared.levels[0])
            curve.append(classifier.log_probabilities(prepared(masks), targets).double().exp().cpu())
    return torch.trapezoid(torch.stack(curve), torch.tensor(points, dtype=torch.float64) / pixels, dim=0)
