"""Stability: whether the same clusters are found again, over seeds and over bootstrap samples of the inputs.

A bootstrap sample draws as many inputs as there are, with replacement; the parts of the distinct ones, about 63 %, are
clustered alone. Two clusterings are compared by the adjusted Rand index (Hubert and Arabie, 1985) on the parts that
both have: 1 for the same clusters, 0 on average for random ones of the same sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from visual_summaries.masks.options import Options, Range

Cluster = Callable[[NDArray[np.int64], int], Mapping[str, NDArray[np.int64]]]
"""From the indices of some parts and a seed to labels in the order of the indices, by method."""


@dataclass(frozen=True)
class StabilityOptions(Options):
    """How often clustering is repeated.

    Attributes:
        seeds: Clusterings with other seeds, >= 0. Our choice.
        samples: Clusterings of bootstrap samples of the inputs, >= 1. Our choice: the mean over 20 is
            accurate to about 0.01.
    """

    seeds: Annotated[int, Range(ge=0)] = 5
    samples: Annotated[int, Range(ge=1)] = 20


@dataclass(frozen=True)
class Stability:
    """How one method's repeated clusterings compare with that of all inputs under the first seed.

    Attributes:
        seeds: Adjusted Rand index for each other seed.
        samples: That for each bootstrap sample.
        kept: That for each bootstrap sample, on the parts of kept clusters alone; samples with fewer than two of
            them are left out.
    """

    seeds: tuple[float, ...]
    samples: tuple[float, ...]
    kept: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The middle 95 % of the samples, None without any."""
        if not self.samples:
            return None
        low, high = np.quantile(self.samples, (0.025, 0.975))
        return float(low), float(high)


def stability(
    cluster: Cluster,
    owner: NDArray[np.int64],
    kept: Mapping[str, NDArray[np.int64]],
    *,
    seed: int,
    options: StabilityOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Stability]:
    """Repeats a clustering with other seeds and on bootstrap samples.

    Args:
        cluster: The clustering; always called in the same order.
        owner: (P,) index of the input that owns each part.
        kept: For each method that `cluster` knows, indices of the parts in kept clusters.
        seed: Of the first clustering and of the samples; other seeds are the following ones.
        options: Hyperparameters; the defaults without it.
        progress: Called with the number of clusterings done and of all.

    Returns:
        The stability of each method; without any values if the parts belong to fewer than two inputs.

    Examples:
        >>> def cluster(parts, seed):
        ...     return {"halves": parts % 2}
        >>> owner, kept = np.arange(8), {"halves": np.arange(8)}
        >>> found = stability(cluster, owner, kept, seed=0, options=StabilityOptions(seeds=1, samples=3))
        >>> found["halves"].seeds, found["halves"].samples  # the same clusters each time
        ((1.0,), (1.0, 1.0, 1.0))
    """
    options = options or StabilityOptions()
    inputs = np.unique(owner)
    if len(inputs) < 2:
        return {method: Stability((), (), ()) for method in kept}
    total = 1 + options.seeds + options.samples
    tick = progress or (lambda done, total: None)
    everything = np.arange(len(owner), dtype=np.int64)
    whole = cluster(everything, seed)
    tick(1, total)
    found: dict[str, tuple[list[float], list[float], list[float]]] = {method: ([], [], []) for method in kept}
    for turn in range(1, options.seeds + 1):
        other = cluster(everything, seed + turn)
        for method, (seeds, _, _) in found.items():
            seeds.append(_agreement(whole[method], other[method]))
        tick(1 + turn, total)
    generator = np.random.default_rng(seed)
    for turn in range(1, options.samples + 1):
        parts = _sample(owner, inputs, generator)
        sampled = cluster(parts, seed)
        for method, (_, samples, of_kept) in found.items():
            samples.append(_agreement(whole[method][parts], sampled[method]))
            chosen = np.isin(parts, kept[method])
            if np.count_nonzero(chosen) > 1:
                of_kept.append(_agreement(whole[method][parts[chosen]], sampled[method][chosen]))
        tick(1 + options.seeds + turn, total)
    return {method: Stability(*map(tuple, values)) for method, values in found.items()}


def _sample(owner: NDArray[np.int64], inputs: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices of the parts of a bootstrap sample with at least two distinct inputs."""
    drawn = inputs[:1]
    while len(drawn) < 2:
        drawn = np.unique(generator.choice(inputs, size=len(inputs)))
    return np.flatnonzero(np.isin(owner, drawn))


def _agreement(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(adjusted_rand_score(one, other))
