"""Time and memory of matching: one pair, and all pairs by number of images and of proposals; and of clustering.

    python scripts/bench_matching.py
    python scripts/bench_matching.py --images 25 50 100 200 --proposals 250 500 1000 --jobs 2

Pairs are matched as in `clustering.matching.similarity` by default: in both directions, with the second image and its
mirror image. Descriptors have the size of reduced deep descriptors (512 numbers a box), or of whitened HOG with
--numbers 1984; their values are random, because time does not depend on them. As in a run, features are read from files
and similarities are written to files. Three in ten proposals are parts, at most 150, and 12 of them are kept. One pair
is measured in one thread, in processor time; the best of several rounds is close to the time on an idle machine. Each
row of the table is a process of its own; its peak memory includes Python and libraries, about 620 MB. With a GPU, pairs
per second in batches are printed too, in wall-clock time, including reading files and collecting parts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.clusters.message_passing import pass_messages
from visual_summaries.clustering.descriptors.hog import CELLS, CHANNELS
from visual_summaries.clustering.matching.proposal_flow import Features, match_both
from visual_summaries.clustering.matching.similarity import ON_DEVICE, similarity
from visual_summaries.clustering.options import AppearanceOptions, MatchingOptions, ProposalOptions, SimilarityOptions
from visual_summaries.summaries.arrays import ANYTHING, read_arrays
from visual_summaries.summaries.backend import make_calls
from visual_summaries.summaries.files import write_npz
from visual_summaries.summaries.stages.work_files import TileFolder

FRAME = (224, 224)
DISTINCT = 8
"""Distinct feature files; with more images they are reused."""
PARTS = 0.3


def write_features(folder: Path, proposals: int, numbers: int) -> None:
    """Writes random features, one file for each image."""
    for number in range(DISTINCT):
        rng = np.random.default_rng(number)
        sides = rng.integers(20, 112, (proposals, 2))
        low = (rng.random((proposals, 2)) * (np.array(FRAME) - sides)).astype(int)
        boxes = np.concatenate([low, low + sides], axis=1).astype(np.float32)
        z = rng.normal(size=(2, proposals, numbers)).astype(np.float32)
        write_npz(folder / f"{number}.npz", compress=False, descriptors=z[0], mirrored=z[1], boxes=boxes)


def load(folder: Path, index: int) -> Features:
    """Features of an image."""
    arrays = read_arrays(folder / f"{index % DISTINCT}.npz", ANYTHING)
    return Features(arrays["descriptors"], arrays["boxes"], FRAME, arrays["mirrored"])


def parts(proposals: int) -> np.ndarray:
    """The proposals that are parts."""
    return np.arange(proposals) < min(PARTS * proposals, ProposalOptions().max_kept)


def bench_pair(folder: Path, proposals: int, numbers: int, rounds: int) -> None:
    """Prints the time of one unordered pair, and of its steps."""
    write_features(folder, proposals, numbers)
    a, b = load(folder, 0), load(folder, 1)
    options = SimilarityOptions()
    turned = b.turned
    assert turned is not None
    kept = [parts(proposals)] * 2
    work = {
        "whole pair, default": lambda: similarity([a, b].__getitem__, kept, options),
        "product of descriptors": lambda: a.descriptors @ b.descriptors.T,
        "both directions, lom": lambda: match_both(a, b),
        "both directions, phm+lom": lambda: match_both(a, b, MatchingOptions(method="phm+lom", power=2)),
        "both directions, mirrored": lambda: match_both(a, turned),
    }
    print(
        f"one pair, {proposals} proposals of {numbers} numbers, milliseconds of one core: best and median of {rounds}"
    )
    with threadpool_limits(limits=1):
        for name, call in work.items():
            call()
            times = []
            for _ in range(rounds):
                start = time.process_time()
                call()
                times.append(1e3 * (time.process_time() - start))
            rate = f"   {1e3 / min(times):6.1f} pairs/s" if name.startswith("whole") else ""
            print(f"  {name:<26} {min(times):7.1f} {np.median(times):7.1f}{rate}", flush=True)


def bench_device(folder: Path, images: int, proposals: int, numbers: int, jobs: int) -> None:
    """Prints the pairs per second of a GPU."""
    if not torch.cuda.is_available():
        print("no GPU here: matching on one is not measured")
        return
    write_features(folder, proposals, numbers)
    kept = [parts(proposals)] * images
    for _ in range(2):  # the first call starts the device
        start = time.perf_counter()
        each = partial(make_calls, jobs=min(jobs, ON_DEVICE), native=True)
        similarity(lambda index: load(folder, index), kept, device=torch.device("cuda"), each=each)
        wall = time.perf_counter() - start
    pairs = images * (images - 1) // 2
    print(
        f"{torch.cuda.get_device_name()}: {pairs} pairs, {proposals} proposals, {pairs / wall:.0f} pairs/s", flush=True
    )


def run(folder: Path, images: int, proposals: int, jobs: int, results: multiprocessing.Queue) -> None:
    """Matches all pairs and builds the sparse matrix; puts wall and processor seconds and peak megabytes."""
    kept = [parts(proposals)] * images
    wall, cpu = time.perf_counter(), time.process_time()
    each = partial(make_calls, jobs=jobs, native=True)
    found = similarity(lambda index: load(folder, index), kept, store=TileFolder(folder / "tiles"), each=each)
    rank = np.argsort(-found.quality, kind="stable")
    options = ProposalOptions()
    best, stay = (
        np.sort(np.concatenate([rank[found.image[rank] == index][:most] for index in range(images)]))
        for most in (options.max_candidates, options.max_parts)
    )
    found.between(best, stay)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    results.put((wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def bench_sizes(folder: Path, images: list[int], proposals: list[int], numbers: int, jobs: int) -> None:
    """Prints time and memory by size."""
    print(f"all pairs, {jobs} jobs")
    print(f"  {'images':>6} {'proposals':>9} {'pairs':>6} {'seconds':>8} {'cpu ms/pair':>11} {'peak MB':>8}")
    context = multiprocessing.get_context("spawn")
    for boxes in proposals:
        write_features(folder, boxes, numbers)
        for count in images:
            results = context.Queue()
            process = context.Process(target=run, args=(folder, count, boxes, jobs, results))
            process.start()
            wall, cpu, memory = results.get()
            process.join()
            shutil.rmtree(folder / "tiles")
            pairs = count * (count - 1) // 2
            print(f"  {count:6} {boxes:9} {pairs:6} {wall:8.1f} {1e3 * cpu / pairs:11.1f} {memory:8.0f}", flush=True)


def affinity(parts: int, neighbours: int, results: multiprocessing.Queue) -> None:
    """Sparse affinity propagation; puts stored similarities per part, iterations, seconds of one, peak megabytes."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, parts, (2, parts * neighbours // 2))
    values = rng.random(len(one), dtype=np.float32)
    upper = csr_array((values, (np.minimum(one, other), np.maximum(one, other))), shape=(parts, parts))
    graph = csr_array(upper + upper.T)
    cpu = time.process_time()
    iterations = pass_messages(graph, 0.9, iterations=200).iterations
    cpu = time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((graph.nnz / parts, iterations, cpu / iterations, memory))


def bench_affinity(parts: list[int], neighbours: int) -> None:
    """Prints the time of an iteration of sparse affinity propagation."""
    print("sparse affinity propagation, one thread")
    print(f"  {'parts':>6} {'similarities a part':>19} {'iterations':>10} {'cpu s/iteration':>15} {'peak MB':>8}")
    context = multiprocessing.get_context("spawn")
    for count in parts:
        results = context.Queue()
        process = context.Process(target=affinity, args=(count, neighbours, results))
        process.start()
        stored, iterations, seconds, memory = results.get()
        process.join()
        print(f"  {count:6} {stored:19.0f} {iterations:10} {seconds:15.3f} {memory:8.0f}", flush=True)


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[25, 50], help="sizes of the table; none skips it")
    parser.add_argument("--proposals", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--jobs", type=int, default=1, help="threads of the table")
    parser.add_argument("--parts", type=int, nargs="*", default=[5000, 20000], help="of affinity propagation; or none")
    parser.add_argument("--neighbours", type=int, default=200, help="similarities of each of these parts")
    parser.add_argument(
        "--numbers",
        type=int,
        default=AppearanceOptions().numbers,
        help=f"of a descriptor; whitened HOG: {CELLS * CELLS * CHANNELS}",
    )
    parser.add_argument("--rounds", type=int, default=30, help="repetitions of a pair")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench_pair(Path(name), 500, arguments.numbers, arguments.rounds)
        bench_device(Path(name), 100, 500, arguments.numbers, arguments.jobs)
        if arguments.images:
            bench_sizes(Path(name), arguments.images, arguments.proposals, arguments.numbers, arguments.jobs)
    if arguments.parts:
        bench_affinity(arguments.parts, arguments.neighbours)


if __name__ == "__main__":
    main()
