"""Speed of the mask stage: the paper's and the reference's schedules one image at a time against the default.

All schedules run in this process, on the same photographs and with the same optimisations of the network (channels
last, no denormal numbers, fused batch norms), so the ratios measure schedule, batch and early stopping. Prints images
per second, forward and backward passes per image, area of the binary mask, its drops under a blur of 10 pixels and
under a perturbation that no schedule optimises against, peak memory, and the ratios; then the seconds of the default
for 8, 16, 32 and 64 images.

    python scripts/bench_masks.py PHOTOGRAPHS --model lite0
    python scripts/bench_masks.py PHOTOGRAPHS --model torchvision:resnet50 --device cuda --images 128 --peak 990

PHOTOGRAPHS is a folder of class folders, named as the network names its classes (WordNet ids). The same number of
photographs is used of each class, the first that the network classifies correctly. With --peak, the peak of a GPU in
TFLOP/s, the utilisation is printed, from operations counted in one pass.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from visual_summaries.masks.inputs.images import class_folders, list_images, read_image
from visual_summaries.masks.metrics.faithfulness import drop, probabilities
from visual_summaries.masks.networks.classifier import Classifier, find_class
from visual_summaries.masks.networks.models import choose_device, load_classifier
from visual_summaries.masks.perturbation.batches import batch_size
from visual_summaries.masks.perturbation.binarize import binarize
from visual_summaries.masks.perturbation.optimize import optimize
from visual_summaries.masks.perturbation.perturb import parse_perturbation
from visual_summaries.masks.perturbation.schedule import DEFAULT_PRESET, Schedule, preset

REPORTED = ("blur:10", "constant:grey")


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--batch", type=int, default=0, help="images at once, of the default preset; 0: what fits")
    parser.add_argument("--against", nargs="+", default=["reference", "paper"], help="presets, one image at a time")
    parser.add_argument("--peak", type=float, help="of the device, TFLOP/s")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    with load_classifier(arguments.model, weights=arguments.weights, device=device) as classifier:
        schedule = replace(preset(DEFAULT_PRESET), batch=arguments.batch)
        schedule = replace(schedule, batch=batch_size(classifier, schedule))
        images, targets = photographs(classifier, arguments.photographs, max(arguments.images, 64))
        count = min(arguments.images, len(images))
        print(f"{arguments.model} on {device}, {torch.get_num_threads()} threads")
        print(f"{count} photographs, {schedule.batch} at once")
        print(f"{'':<22}{'images/s':>9}{'passes':>8}{'area':>7}{'blur:10':>9}{'grey':>8}{'memory':>10}")
        optimize(classifier, images[:1], targets[:1], shortened(schedule))  # warm up
        default = measure(classifier, images[:count], targets[:count], schedule, DEFAULT_PRESET, arguments.peak)
        for name in arguments.against:
            schedule_of = replace(preset(name), batch=1)
            slow = measure(
                classifier, images[:count], targets[:count], schedule_of, f"{name}, one by one", arguments.peak
            )
            print(f"{DEFAULT_PRESET}: {default / slow:.1f} times the images a second of {name}")
        print("images  seconds  seconds/image")
        for number in (8, 16, 32, 64):
            if number <= len(images):
                seconds = masks(classifier, images[:number], targets[:number], schedule)[2]
                print(f"{number:>6}{seconds:>9.1f}{seconds / number:>15.2f}", flush=True)


def photographs(classifier: Classifier, root: Path, count: int) -> tuple[Tensor, Tensor]:
    """Up to ``count`` correctly classified photographs (N, 3, H, W), one class after the other, and their classes."""

    def right(folder: Path) -> list[tuple[np.ndarray, int]]:
        target = find_class(folder.name, classifier.labels, classifier.count_classes())
        found = []
        for record in list_images(folder):
            read = read_image(record.path)
            frame = classifier.frame.cut(read.pixels, size=read.size)
            with torch.inference_mode():
                predicted = int(classifier.logits(classifier.to_tensor([frame])).argmax())
            if target is not None and predicted == target:
                found.append((frame, target))
            if len(found) * len(folders) >= count:
                break
        return found

    folders = class_folders(root)
    turns = itertools.zip_longest(*(right(folder) for folder in folders))
    chosen = [pair for turn in turns for pair in turn if pair is not None][:count]
    return classifier.to_tensor([frame for frame, _ in chosen]), torch.tensor([target for _, target in chosen])


def masks(
    classifier: Classifier, images: Tensor, targets: Tensor, schedule: Schedule
) -> tuple[list[np.ndarray], float, float]:
    """The binary masks, the passes per image and the seconds of a schedule, for each batch."""
    start = time.perf_counter()
    binary, passes = [], 0
    for first in range(0, len(images), schedule.batch):
        rows = slice(first, first + schedule.batch)
        found = optimize(classifier, images[rows], targets[rows].to(images.device), schedule)
        binary += [binarize(mask[0].cpu().numpy()) for mask in found.crisp]
        passes += sum(len(losses) for losses in found.history)
    return binary, passes / len(images), time.perf_counter() - start


def measure(
    classifier: Classifier, images: Tensor, targets: Tensor, schedule: Schedule, name: str, peak: float | None
) -> float:
    """Prints time and quality of a schedule; returns its images per second."""
    forget_memory()
    binary, passes, seconds = masks(classifier, images, targets, schedule)
    memory = peak_memory()
    drops = []
    for perturbation in map(parse_perturbation, REPORTED):
        values = []
        for first in range(0, len(images), 8):
            rows = slice(first, first + 8)
            mask = torch.from_numpy(np.stack(binary[rows])).to(images)[:, None]
            wanted = targets[rows].to(images.device)
            p0 = probabilities(classifier, images[rows], wanted)
            values += drop(p0, probabilities(classifier, images[rows], wanted, mask, perturbation)).tolist()
        drops.append(float(np.mean(values)))
    speed = len(images) / seconds
    share = f"  {passes * speed * operations(classifier, images[:1]) / peak / 1e10:.1f} % of peak" if peak else ""
    print(
        f"{name:<22}{speed:>9.3f}{passes:>8.1f}{np.mean(binary):>7.3f}{drops[0]:>9.5f}{drops[1]:>8.4f}"
        f"{memory / 2**20:>7.0f} MB{share}",
        flush=True,
    )
    return speed


def operations(classifier: Classifier, image: Tensor) -> int:
    """Floating-point operations of a forward and backward pass of one image, counted."""
    with FlopCounterMode(display=False) as counter:
        wanted = image.clone().requires_grad_()
        torch.autograd.grad(classifier.logits(wanted).sum(), wanted)
    return int(counter.get_total_flops())


def shortened(schedule: Schedule) -> Schedule:
    """The schedule with two passes a stage."""
    return replace(schedule, smooth=replace(schedule.smooth, iterations=2), crisp=replace(schedule.crisp, iterations=2))


def forget_memory() -> None:
    """Resets the peak memory, if the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Peak memory since the reset, bytes: of the GPU, or of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
