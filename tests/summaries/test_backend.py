"""Cores, processes that end with the run, and threads that follow what is free."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import joblib
import pytest
import torch

from visual_summaries.summaries import backend
from visual_summaries.summaries.backend import (
    choose_threads,
    cores,
    idle_cores,
    make_calls,
    steady_threads,
)
from visual_summaries.summaries.pipeline import Job

ROOT = Path(__file__).parents[2]

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
two_cores = pytest.mark.skipif(cores() < 2, reason="there is one core to use")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinities")
def test_cores_are_those_that_may_be_used():
    before = os.sched_getaffinity(0)
    assert cores() <= len(before)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
        assert Job(folder=Path("photos"), out=Path("run")).jobs == 1
    finally:
        os.sched_setaffinity(0, before)
    assert Job(folder=Path("photos"), out=Path("run")).jobs == cores()


def test_a_quota_of_the_container_counts(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    assert cores() == 1


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("jobs", [1, 2, 1000])
def test_results_come_in_the_order_of_the_calls(native, jobs):
    assert list(make_calls((partial(pow, 2, n) for n in range(20)), count=20, jobs=jobs, native=native)) == [
        2**n for n in range(20)
    ]


@pytest.mark.parametrize(("count", "jobs", "allowed", "workers"), [(3, 1000, 64, 3), (500, 1000, 2, 2), (9, 4, 64, 4)])
@pytest.mark.parametrize("native", [False, True])
def test_there_are_no_more_workers_than_calls_and_cores(monkeypatch, native, count, jobs, allowed, workers):
    seen = []
    monkeypatch.setattr(backend, "cores", lambda: allowed)
    monkeypatch.setattr(backend, "_parallel", lambda calls, number, native: seen.append(number) or iter(()))
    make_calls((partial(pow, 2, n) for n in range(count)), count=count, jobs=jobs, native=native)
    assert seen == [workers]


@pytest.mark.parametrize("native", [False, True])
def test_what_a_call_raises_is_raised(native):
    with pytest.raises(ZeroDivisionError):
        list(make_calls([partial(divmod, 1, n) for n in (1, 1, 0, 1)], count=4, jobs=2, native=native))


@pytest.mark.filterwarnings("ignore:.* tasks have been successfully executed")
def test_calls_are_taken_as_they_are_needed():
    taken = []

    def calls():
        for n in range(100):
            taken.append(n)
            yield partial(time.sleep, 0.01)

    results = make_calls(calls(), count=100, jobs=2, native=True)
    next(results)
    results.close()
    assert len(taken) < 50


def descendants(process):
    """Ids of the processes that came of one, from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, new = set(), {process}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def alive(processes):
    found = set()
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(process)
    return found


def shared(process):
    return sorted(path.name for path in Path("/dev/shm").glob(f"*loky-{process}-*")) + sorted(
        path.name for path in Path("/dev/shm").glob(f"*folder_{process}_*")
    )


def gone_within(seconds, condition):
    end = time.monotonic() + seconds
    while condition() and time.monotonic() < end:
        time.sleep(0.05)
    return not condition()


@pytest.fixture
def searching(make_folder):
    """A run that has come to its proposals, and the processes that it started."""
    folder = make_folder(images=24)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    given = [sys.executable, "-m", "visual_summaries", *folder.arguments("--jobs", "2")]
    process = subprocess.Popen(given, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list((folder.out / "work" / "proposals").glob("*.npz")) and time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    started = descendants(process.pid)
    assert len(started) >= 2
    yield process, started, folder
    process.kill()
    for left in alive(started):
        os.kill(left, signal.SIGKILL)
    process.stderr.close()
    process.wait()


@linux
@two_cores
def test_a_run_that_is_asked_to_end_says_so_and_leaves_nothing_behind(searching):
    process, started, _ = searching
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert messages.splitlines()[-1] == "visual-summaries: asked to end; the same command again continues"
    assert "Traceback" not in messages
    assert "Warning" not in messages
    assert gone_within(2, lambda: alive(started)), "processes are left"
    assert gone_within(2, lambda: shared(process.pid)), "shared memory is left"


@linux
@two_cores
def test_a_killed_run_takes_its_processes_and_shared_memory_with_it(searching):
    process, started, _ = searching
    assert shared(process.pid)
    process.kill()
    process.wait(timeout=10)
    assert gone_within(2, lambda: alive(started)), "processes are left"
    assert gone_within(2, lambda: shared(process.pid)), "shared memory is left"


def test_the_program_leaves_the_signal_as_it_was():
    from visual_summaries.summaries.cli import main

    before = signal.getsignal(signal.SIGTERM)
    assert main(["--version"]) == 0
    assert main(["nothing"]) == 2
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def unset(monkeypatch):
    """A machine on which the user has set nothing and torch would take eight threads."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(backend, "cores", lambda: 8)
    monkeypatch.setattr(backend, "idle_cores", lambda: 8.0)
    return monkeypatch


@pytest.mark.parametrize(("idle", "threads"), [(8.0, 8), (7.6, 8), (3.2, 3), (0.4, 1), (0.0, 1)])
def test_threads_follow_what_is_free(unset, idle, threads):
    unset.setattr(backend, "idle_cores", lambda: idle)
    assert choose_threads() == threads


def test_threads_are_no_more_than_cores_and_than_torch_would_take(unset):
    unset.setattr(backend, "cores", lambda: 4)
    assert choose_threads() == 4
    unset.setattr(torch, "get_num_threads", lambda: 2)
    assert choose_threads() == 2


@pytest.mark.parametrize(("given", "threads"), [("3", 3), (" 5,2", 5), ("", 2), ("many", 2), ("0", 2)])
def test_what_the_user_sets_is_over_the_record_and_the_record_over_what_is_free(unset, given, threads):
    unset.setenv("OMP_NUM_THREADS", given)
    assert choose_threads(2) == threads


def test_a_run_keeps_its_threads_and_torch_gets_its_own_back(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(backend, "cores", lambda: 4)
    before, info = torch.get_num_threads(), {"threads": 3}
    with steady_threads(info):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
    monkeypatch.setattr(backend, "idle_cores", lambda: 1.0)
    info = {}
    with pytest.raises(KeyError), steady_threads(info):
        raise KeyError(torch.get_num_threads())
    assert info == {"threads": 1}
    assert torch.get_num_threads() == before


@linux
@two_cores
def test_a_core_that_works_is_not_idle(monkeypatch):
    """Times as the kernel gives them: user, nice, system, idle, iowait, irq, softirq, steal."""
    mine = sorted(os.sched_getaffinity(0))[:2]
    reports = [{core: (100, 1000) for core in mine}, {mine[0]: (110, 1010), mine[1]: (101, 1010)}]
    monkeypatch.setattr(backend, "_core_times", lambda: reports.pop(0))
    assert idle_cores(0) == pytest.approx(1.1)
    monkeypatch.undo()
    assert 0 <= idle_cores() <= len(os.sched_getaffinity(0))


def test_where_the_system_does_not_tell_all_cores_are_free(monkeypatch):
    monkeypatch.setattr(backend, "_core_times", dict)
    monkeypatch.setattr(backend, "cores", lambda: 5)
    assert idle_cores() == 5.0
