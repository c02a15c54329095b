"""How calls are distributed over workers, and how much of the machine a run takes.

This is the only module that decides between threads and processes: callers describe their calls (`make_calls`). Native
code that releases the interpreter's lock (descriptors, matching) runs in threads; other code (object proposals) in
processes. There are never more workers than calls, or than cores that may be used.

A process that was started here ends within a second after the one that started it, however that one ends: a thread in
it checks whether its parent still exists. (Linux can send a signal instead, but it sends it at the end of the thread
that started the process, so that process would be killed too early.) Semaphores and shared memory are then removed by
joblib's resource tracker.
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
"""Pause between two checks whether the parent process still exists."""

MOMENT = 0.3
"""Seconds over which the load of the cores is measured."""


def cores() -> int:
    """Cores that this process may use, limited by its affinity and its container's quota, >= 1."""
    from joblib import cpu_count  # here, because it is slow to import

    allowed = [int(cpu_count())]
    if sys.version_info >= (3, 13):
        allowed.append(os.process_cpu_count() or 1)
    return min(allowed)


def make_calls(calls: Iterable[Callable[[], T]], *, count: int, jobs: int, native: bool) -> Iterator[T]:
    """Makes calls, several at once, and gives their results in the order of the calls.

    Args:
        calls: Functions without arguments; taken from the iterable as they are needed. They must be picklable if
            `native` is false.
        count: How many calls there are.
        jobs: Workers at most, >= 1. With one worker, or for one call, calls are made in this thread.
        native: Whether calls spend their time in compiled code that releases the interpreter's lock. If so, workers
            are threads, which share memory; otherwise they are processes, each with one thread for linear algebra.

    Examples:
        >>> from functools import partial
        >>> list(make_calls((partial(pow, 2, n) for n in range(5)), count=5, jobs=2, native=True))
        [1, 2, 4, 8, 16]
    """
    return _parallel(calls, min(jobs, count, cores()), native)


def _parallel(calls: Iterable[Callable[[], T]], workers: int, native: bool) -> Iterator[T]:
    if workers < 2:
        yield from (call() for call in calls)
        return
    from joblib import Parallel, delayed, parallel_config

    kind: dict[str, Any] = {"backend": "threading"}
    if not native:
        kind = {"backend": "loky", "inner_max_num_threads": 1}
        kind |= {"initializer": end_with_parent, "initargs": (os.getpid(),)}
    with parallel_config(**kind):
        parallel = Parallel(n_jobs=workers, return_as="generator")
    results = parallel(delayed(_made)(call) for call in calls)
    with closing(results):  # if no more results are wanted, the remaining calls are dropped
        yield from results


def _made(call: Callable[[], T]) -> T:
    return call()


def end_with_parent(parent: int) -> None:
    """Makes this process end soon after its parent, given by its process id."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def choose_threads(recorded: int | None = None) -> int:
    """Threads for torch on a CPU: the number of idle cores, >= 1.

    Two threads that share a busy core wait for each other at every step, and take several times as long as one thread.
    With another number of threads results differ by rounding errors, so a run that continues uses the recorded number.

    Args:
        recorded: Threads of the run so far; None for a new one.

    Returns:
        OMP_NUM_THREADS, if the user set it; else the recorded number, at most the number of cores; else at most the
        number that torch would use.
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
    """Makes torch use the run's number of threads, which is chosen and recorded if there is none yet.

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
    """The number of idle cores, of those that this process may run on; all of them if the system does not report it."""
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
    """For each core that this process may run on its idle time and its total time; empty if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as stream:
            lines = [line.split() for line in stream if line.startswith("cpu") and line[3].isdigit()]
        mine = os.sched_getaffinity(0)
    except (OSError, AttributeError):
        return {}
    times = {int(line[0][3:]): [int(field) for field in line[1:9]] for line in lines}  # guests are in user time
    return {core: (sum(spent[3:5]), sum(spent)) for core, spent in times.items() if core in mine}
