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
"""Most images at once; a run that is killed loses at most one batch."""
_PROBES = (2, 6)  # images of the passes that are measured
_SHARE = 0.7  # of the card's memory that may be used


def batch_size(classifier: Classifier, schedule: Schedule) -> int:
    """The number of images in a batch: that of the schedule, else :data:`CPU_BATCH` on a CPU, as many as fit on a GPU.

    What fits is measured by two passes forward and backward. It is compared with the memory of the GPU and not with
    what other processes leave free, so that a run that continues finds the batches that it made. A batch that does not
    fit when it runs is halved.

    Args:
        classifier: The network, inside its ``with`` block.
        schedule: Its batch and perturbations are used.
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
    """The largest power of two of images that fits into memory, 1 to :data:`LARGEST_BATCH`.

    Args:
        few: Peak memory of a pass over two images, in bytes.
        many: Peak memory of a pass over six images, in bytes.
        levels: Memory of each image that is kept between passes, in bytes.
        memory: Memory of the GPU, in bytes.

    Examples:
        >>> fitting(few=2_000_000_000, many=6_000_000_000, levels=0, memory=80_000_000_000)  # 1 GB an image
        32
    """
    image = max((many - few) / (_PROBES[1] - _PROBES[0]), 1.0) + levels
    number = max(1, min(LARGEST_BATCH, int(_SHARE * memory / image)))
    return 1 << (number.bit_length() - 1)


@with_gradients
def pass_memory(classifier: Classifier, schedule: Schedule, count: int) -> int:
    """Peak memory on the GPU, in bytes, of a pass forward and backward over ``count`` images."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(classifier.device)
    before = torch.cuda.memory_allocated(classifier.device)
    images = torch.rand(count, 3, *classifier.frame.size, device=classifier.device).requires_grad_()
    targets = torch.zeros(count, dtype=torch.int64, device=classifier.device)
    with half_precision(classifier.device, schedule.crisp):
        log_p = classifier.log_probabilities(images, targets)
    torch.autograd.grad(log_p.sum(), images)
    return torch.cuda.max_memory_allocated(classifier.device) - before
