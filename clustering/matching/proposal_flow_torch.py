"""Proposal flow of several pairs of images at once, in tensors: `clustering.matching.proposal_flow` for a GPU.

The results are those of that module up to rounding errors, for appearance alone ("nam") and local offset matching
("lom"). Probabilistic Hough matching is not implemented here: it sums votes in bins, which a GPU does in no fixed
order, so two runs would not give the same bytes.

Images have different numbers of boxes. They are padded with boxes without area: these have score 0, share area with no
box, and so do not vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from visual_summaries.clustering.matching.proposal_flow import FRAME_SIDE, Features
from visual_summaries.clustering.options import MatchingOptions

METHODS = ("nam", "lom")
"""The values of `MatchingOptions.method` that are implemented here."""


@dataclass(frozen=True)
class Boxes:
    """The boxes of B images, padded to M each.

    Attributes:
        descriptors: float32 (B, M, D).
        aspects: float32 (B, M), log(width / height).
        places: float32 (B, M, 3): centre x, centre y in pixels of a frame whose shorter side is 224, log scale.
        neighbours: float32 (B, M, M), 1 where two boxes share area, else 0.
    """

    descriptors: Tensor
    aspects: Tensor
    places: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, images: Sequence[Features], device: torch.device) -> Boxes:
        """The boxes of some images, whose descriptors have the same length, on a device."""
        descriptors, boxes = (
            pad_sequence([torch.from_numpy(one) for one in arrays], batch_first=True).to(device, torch.float32)
            for arrays in ([one.descriptors for one in images], [one.boxes for one in images])
        )
        low, high = boxes[..., :2], boxes[..., 2:]
        sides = (high - low).clamp_min(1e-6)
        factors = torch.tensor([FRAME_SIDE / min(one.frame) for one in images], device=device)[:, None, None]
        scale = (sides * factors).clamp_min(1e-6).log().mean(dim=2, keepdim=True)
        across, down = (low[:, :, None] < high[:, None]).unbind(dim=3)
        shares = across & across.mT & down & down.mT
        real = shares.diagonal(dim1=1, dim2=2)
        return cls(
            descriptors,
            sides.log()[..., 0] - sides.log()[..., 1],
            torch.cat([(low + high) / 2 * factors, scale], dim=2),
            (shares & real[:, None] & real[:, :, None]).float(),
        )

    def take(self, index: Sequence[int]) -> Boxes:
        """The images of an index, in its order."""
        return Boxes(*(getattr(self, one.name)[list(index)] for one in fields(self)))


def match_both(a: Boxes, b: Boxes, options: MatchingOptions) -> tuple[Tensor, Tensor]:
    """Scores of B pairs of images, from A to B and from B to A.

    Args:
        a: The first image of each pair, with Ma boxes.
        b: The second image of each pair, with Mb boxes, on the same device.
        options: Hyperparameters; a method of `METHODS`.

    Returns:
        float32 (B, Ma, Mb) and (B, Mb, Ma), as `clustering.matching.proposal_flow.match_both` gives them for each pair.

    Raises:
        ValueError: The method is not implemented here.

    Examples:
        >>> boxes = torch.tensor([[10.0, 10, 50, 50], [100, 100, 180, 180]]).numpy()
        >>> image = Features(torch.eye(2).numpy(), boxes, (224, 224))
        >>> a = Boxes.of([image], torch.device("cpu"))
        >>> forward, backward = match_both(a, a, MatchingOptions())
        >>> forward.argmax(dim=2).tolist(), tuple(backward.shape)
        ([[0, 1]], (1, 2, 2))
    """
    if options.method not in METHODS:
        raise ValueError(f"method={options.method!r}: in tensors there are {', '.join(METHODS)}")
    forward = _appearance(a, b, options)
    backward = forward.mT
    if options.method == "lom":
        for _ in range(options.passes):
            forward, backward = _local_offsets(forward, a, b, options), _local_offsets(backward, b, a, options)
    return forward, backward


def _appearance(a: Boxes, b: Boxes, options: MatchingOptions) -> Tensor:
    """max(0, z_a . z_b)^power, 0 if aspect ratios differ too much, (B, Ma, Mb)."""
    looks = (a.descriptors @ b.descriptors.mT).clamp_min(0.0) ** options.power
    differ = (a.aspects[:, :, None] - b.aspects[:, None]).abs() > log(options.aspect_limit) + 1e-6
    return looks.masked_fill(differ, 0.0)


def _local_offsets(scores: Tensor, a: Boxes, b: Boxes, options: MatchingOptions) -> Tensor:
    """One pass of local offset matching, (B, Ma, Mb)."""
    if not scores.numel():
        return scores
    best, match = scores.max(dim=2)
    total = best.sum(dim=1, dtype=torch.float64).clamp_min(1e-30).float()
    support = (a.neighbours @ best[..., None])[..., 0] / total[:, None]
    offsets = b.places.gather(1, match[..., None].expand(-1, -1, 3)) - a.places
    local = masked_median(offsets, (a.neighbours * (best > 0)[:, None]).bool())
    weights = scores.new_tensor([options.spatial_weight] * 2 + [options.scale_weight])
    apart = ((b.places * weights)[:, None] - ((a.places + local) * weights)[:, :, None]).unbind(dim=3)
    return scores * torch.exp(-(torch.hypot(apart[0], apart[1]) + apart[2].abs())) * support[..., None]


def masked_median(values: Tensor, votes: Tensor) -> Tensor:
    """Exact medians of the same values over many subsets, as `clustering.matching.proposal_flow.masked_median`.

    Args:
        values: float32 (B, K, C).
        votes: bool (B, N, K).

    Returns:
        float32 (B, N, C), 0 for an empty subset.

    Examples:
        >>> values = torch.tensor([[[1.0], [5.0], [100.0]]])
        >>> masked_median(values, torch.tensor([[[True, True, True], [True, True, False]]])).tolist()
        [[[5.0], [3.0]]]
    """
    size = votes.sum(dim=2)
    medians = []
    for column in values.unbind(dim=2):
        ranked, order = column.sort(dim=1, stable=True)
        counts = votes.gather(2, order[:, None].expand_as(votes)).cumsum(dim=2, dtype=torch.int32)
        middles = torch.stack([(size + 1) // 2, size // 2 + 1], dim=2).int()
        places = torch.searchsorted(counts, middles).clamp_max(votes.shape[2] - 1)  # the first that reaches the middle
        medians.append(ranked.gather(1, places.flatten(1)).view_as(places).mean(dim=2))
    return torch.stack(medians, dim=2).masked_fill((size == 0)[..., None], 0.0)
