"""How much of the machine a run takes: cores, processes and threads, and that all of it ends with the run.

Processes for what holds the interpreter's lock (object proposals), threads for what is in numpy calls that release it
(descriptors, matching). There are never more of them than calls to make or than cores that may be used. A process that
was started here ends within a second of the one that started it, however that one ends: a thread in it looks whether
its parent is still there (asking the kernel for a signal instead, as Linux can, would make it hang on the thread that
happened to start it). The semaphores and the shared memory are then removed by the tracker that joblib starts.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

PARENT_SECONDS = 0.25
"""Pause after which a process looks for its parent again."""

MOMENT = 0.3
"""Seconds over which it is measured how busy the cores are."""


def cores() -> int:
    """Cores that this process may use: its affinity and its container's quota count, >= 1."""
    from joblib import cpu_count  # here, because it is slow to import

    allowed = [int(cpu_count())]
    if sys.version_info >= (3, 13):
        allowed.append(os.process_cpu_count() or 1)
    return min(allowed)


def in_processes(calls: Iterable[Callable[[], T]], *, count: int, jobs: int) -> Iterator[T]:
    """What calls give, in their order, made in processes.

    Args:
        calls: Picklable; taken as they are needed.
        count: How many there are.
        jobs: Processes at most, >= 1; with one, or for one call, they are made in this process.
    """
    options = {"backend": "loky", "initializer": end_with_parent, "initargs": (os.getpid(),)}
    return _parallel(calls, min(jobs, count, cores()), options)


def in_threads(calls: Iterable[Callable[[], T]], *, count: int, jobs: int) -> Iterator[T]:
    """What calls give, in their order, made in threads; otherwise as `in_processes`."""
    return _parallel(calls, min(jobs, count, cores()), {"backend": "threading"})


def _parallel(calls: Iterable[Callable[[], T]], workers: int, options: dict[str, Any]) -> Iterator[T]:
    if workers < 2:
        yield from (call() for call in calls)
        return
    from joblib import Parallel, delayed

    results = Parallel(n_jobs=workers, return_as="generator", **options)(delayed(_made)(call) for call in calls)
    with closing(results):  # what is left of the calls is dropped when nobody wants more results
        yield from results


def _made(call: Callable[[], T]) -> T:
    return call()


def end_with_parent(parent: int) -> None:
    """Sees to it that this process ends soon after its parent, a process id."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def choose_threads(recorded: int | None = None) -> int:
    """Threads for torch on a CPU: as many as there are cores with nothing to do, >= 1.

    Two threads that share a busy core wait for each other at every step, and take several times as long as one. With
    another number of threads results differ by roundings; so a run that continues takes the recorded number.

    Args:
        recorded: Threads of the run so far; None for a new one.

    Returns:
        OMP_NUM_THREADS where the user set it; else the recorded number, where there are as many cores; else no more
        than torch would take.
    """
    import torch  # here, because it is slow to import

    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isascii() and given.isdigit() and int(given) > 0:
        return int(given)
    if recorded is not None:
        return min(recorded, cores())
    return max(1, min(torch.get_num_threads(), cores(), round(idle_cores())))


@contextmanager
def steady_threads(info: dict[str, Any]) -> Iterator[None]:
    """Has torch use the threads of a run; their number is chosen and recorded where it is not.

    Args:
        info: The run's record; "threads" is read and written.
    """
    import torch

    info["threads"] = choose_threads(info.get("threads"))
    before = torch.get_num_threads()
    torch.set_num_threads(info["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(before)


def idle_cores(seconds: float = MOMENT) -> float:
    """How many of the cores that this process may run on have nothing to do; all where the system does not tell."""
    before = _core_times()
    time.sleep(seconds if before else 0)
    after = _core_times()
    if not before or not after:
        return float(cores())
    idle = 0.0
    for core in before.keys() & after.keys():
        rest, total = (now - then for now, then in zip(after[core], before[core], strict=True))
        idle += min(1.0, rest / total) if total > 0 else 0.0
    return idle


def _core_times() -> dict[int, tuple[int, int]]:
    """For each core that this process may run on its idle time and all of its time so far; empty where unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as stream:
            lines = [line.split() for line in stream if line.startswith("cpu") and line[3].isdigit()]
        mine = os.sched_getaffinity(0)
    except (OSError, AttributeError):
        return {}
    times = {int(line[0][3:]): [int(field) for field in line[1:9]] for line in lines}  # guests are in user time
    return {core: (sum(spent[3:5]), sum(spent)) for core, spent in times.items() if core in mine}
