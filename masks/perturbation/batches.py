"""How many images are optimised at once."""

from __future__ import annotations

import torch

from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.gradients import with_gradients
from visual_summaries.masks.perturbation.optimize import half_precision
from visual_summaries.masks.perturbation.schedule import Schedule

CPU_BATCH = 8
"""Images at once on a CPU: more are no faster there."""
LARGEST_BATCH = 256
"""Images at once, at most: what a killed run may lose."""
_PROBES = (2, 6)  # images of the passes that are measured
_SHARE = 0.7  # of the card's memory that may be used


def batch_size(classifier: Classifier, schedule: Schedule) -> int:
    """Images at once: what the schedule says, else :data:`CPU_BATCH` on a CPU, on a GPU as many as fit.

    What fits is measured by two passes forward and backward, against the memory of the card, not what other processes
    leave of it: a run that continues has to find the batches it made. A batch that does not fit is halved when it runs.

    Args:
        classifier: The network, entered.
        schedule: Its batch and perturbations.
    """
    if schedule.batch:
        return schedule.batch
    if classifier.device.type != "cuda":
        return CPU_BATCH
    try:
        few, many = (pass_memory(classifier, schedule, count) for count in _PROBES)
    except torch.OutOfMemoryError:
        return 1
    # per image: the pass itself, and the image in each perturbation
    levels = 4 * 3 * classifier.frame.size[0] * classifier.frame.size[1] * (1 + len(schedule.crisp.perturbations))
    memory = torch.cuda.get_device_properties(classifier.device).total_memory
    return fitting(few, many, levels, memory)


def fitting(few: int, many: int, levels: int, memory: int) -> int:
    """The largest power of two of images that fits, 1 to :data:`LARGEST_BATCH`.

    Args:
        few: Bytes at the peak of a pass with the first number of images measured.
        many: Bytes with the second.
        levels: Bytes an image that stay between the passes.
        memory: Bytes there are.

    Examples:
        >>> fitting(few=2_000_000_000, many=6_000_000_000, levels=0, memory=80_000_000_000)  # 1 GB an image
        32
    """
    image = max((many - few) / (_PROBES[1] - _PROBES[0]), 1.0) + levels
    number = max(1, min(LARGEST_BATCH, int(_SHARE * memory / image)))
    return 1 << (number.bit_length() - 1)


@with_gradients
def pass_memory(classifier: Classifier, schedule: Schedule, count: int) -> int:
    """Bytes that a pass forward and backward to ``count`` images takes on the GPU, at its peak."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(classifier.device)
    before = torch.cuda.memory_allocated(classifier.device)
    images = torch.rand(count, 3, *classifier.frame.size, device=classifier.device).requires_grad_()
    targets = torch.zeros(count, dtype=torch.int64, device=classifier.device)
    with half_precision(classifier.device, schedule.crisp):
        log_p = classifier.log_probabilities(images, targets)
    torch.autograd.grad(log_p.sum(), images)
    return torch.cuda.max_memory_allocated(classifier.device) - before
