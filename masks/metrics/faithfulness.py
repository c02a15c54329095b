"""What a mask does to the class, and what the mask looks like (paper section 4.1, table 2).

    drop = (p0 - p) / p0

with p0 the probability of the class in the image, p in the perturbed image. The paper reports the drop of the
float mask; the mask that becomes regions is the binarised one, so the drop is reported for both.

Deletion and insertion (RISE: Petsiuk, Das, Saenko, BMVC 2018) ask for the order of pixels, not for a mask: the class
should go soon while the most salient pixels turn grey one after the other, and come soon while they are put into
a blurred image. Their figures are the areas under

    deletion:   f -> p(pixels grey: the first share f)
    insertion:  f -> p(pixels blurred: all but the first share f)

with p the probability as it is, not divided by p0, for f from 0 to 1. RISE takes equal steps of as many pixels as the
image has columns; here steps are shorter at the start, where the curves bend, and fewer (:data:`STEPS`).
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
"""What deleted pixels become: as in RISE one colour, here mid-grey, near the mean of photographs."""

INSERTED_ONTO = Blur(5, 11)
"""What pixels are put into, as in RISE."""

STEPS = 16
"""Steps of a curve: the shares are (i / STEPS)^2."""


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
        perturbation: What takes the place of perturbed pixels; needed with masks.

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
    """What a mask looks like.

    Attributes:
        area: Mean of the mask, in [0, 1].
        regions: Connected components, diagonal steps included, of where the mask is above 0.5.
        top5_share: Share of those pixels that lies in the five largest regions, in (0, 1]; None where there is none.
        collapsed: "empty" or "full" where no pixel, or every pixel, is above 0.5; else "".
    """

    area: float
    regions: int
    top5_share: float | None
    collapsed: str


def shape(mask: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> Shape:
    """What a mask (H, W) in [0, 1], or bool, looks like.

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
    """The order of the pixels of a saliency map (H, W): 0 for the one that is taken first.

    The larger value comes first. Where values are the same, as on most pixels of a binary mask, the distance to the
    outline of {value > 0.5} decides: inside, the pixel deepest in its region comes first; outside, the one closest to
    a region. What is left is taken in reading order.

    Examples:
        >>> ranks(np.array([[0.1, 0.9], [0.8, 0.2]])).tolist()
        [[3, 0], [1, 2]]
    """
    values = saliency.astype(np.float64).ravel()
    depth = _depth(saliency > 0.5).ravel()
    order = np.lexsort((-depth, -values))
    places = np.empty(order.size, np.int64)
    places[order] = np.arange(order.size)
    return places.reshape(saliency.shape)


def _depth(binary: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Distance in pixels to the nearest pixel of the other kind, negative outside; 0 where there is one kind only."""
    if binary.all() or not binary.any():
        return np.zeros(binary.shape)
    inside: npt.NDArray[np.float64] = distance_transform_edt(binary)
    outside: npt.NDArray[np.float64] = distance_transform_edt(~binary)
    return inside - outside


def most_salient(saliency: npt.NDArray[np.floating] | npt.NDArray[np.bool_], area: float) -> npt.NDArray[np.bool_]:
    """The mask bool (H, W) of the most salient pixels, a share ``area`` of them, in the order of :func:`ranks`.

    Examples:
        >>> most_salient(np.array([[0.1, 0.9], [0.8, 0.2]]), 0.5).tolist()
        [[False, True], [True, False]]
    """
    return ranks(saliency) < round(area * saliency.size)


def deletion_auc(classifier: Classifier, images: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Area under the deletion curve, (N,) float64 in [0, 1]; small is good.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        places: (N, 1, H, W) int64, the order of the pixels, see :func:`ranks`.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     places = torch.arange(128 * 128).view(1, 1, 128, 128)
        ...     area = deletion_auc(classifier, classifier.empty(1), torch.tensor([0]), places)
        >>> bool(0 <= area <= 1)
        True
    """
    return _area_under(classifier, DELETED_TO.prepare(images), targets, places, insert=False)


def insertion_auc(classifier: Classifier, images: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Area under the insertion curve, (N,) float64 in [0, 1]; large is good.

    Args:
        classifier: The network.
        images: (N, 3, H, W) in [0, 1].
        targets: (N,) class indices.
        places: (N, 1, H, W) int64, the order of the pixels, see :func:`ranks`.

    Examples:
        >>> from visual_summaries.masks.networks.models import load_classifier
        >>> with load_classifier("demo:1", weights="none") as classifier:
        ...     places = torch.arange(128 * 128).view(1, 1, 128, 128)
        ...     area = insertion_auc(classifier, classifier.empty(1), torch.tensor([0]), places)
        >>> bool(0 <= area <= 1)
        True
    """
    return _area_under(classifier, INSERTED_ONTO.prepare(images), targets, places, insert=True)


def shares(steps: int = STEPS) -> list[float]:
    """The shares of pixels at which a curve is taken, from 0 to 1, denser at the start.

    Examples:
        >>> shares(4)
        [0.0, 0.0625, 0.25, 0.5625, 1.0]
    """
    return [(i / steps) ** 2 for i in range(steps + 1)]


def _area_under(classifier: Classifier, prepared: Prepared, targets: Tensor, places: Tensor, *, insert: bool) -> Tensor:
    pixels = places[0].numel()
    points = [round(share * pixels) for share in shares()]
    curve = []
    with torch.inference_mode():
        for point in points:
            taken = places < point
            masks = (~taken if insert else taken).to(prepared.levels[0])
            curve.append(classifier.log_probabilities(prepared(masks), targets).double().exp().cpu())
    return torch.trapezoid(torch.stack(curve), torch.tensor(points, dtype=torch.float64) / pixels, dim=0)
