"""Start-up time of the command line: help, wrong use, and commands that only read.

    python scripts/bench_startup.py                       # median of five
    python scripts/bench_startup.py --run runs/demo/steamer

Processor time is the user and system time of the process and its children, compared with ``python -c pass``; memory is
the peak. With a run folder, ``status`` and ``name`` are measured too: the run is copied, and the first summary of the
copy is named again each time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from visual_summaries.summaries.cli import COMMANDS

GOAL = 0.7
"""Limit of processor time of an answer, seconds."""

WRONG = [
    ["nothing"],
    ["run", "--colour", "red"],
    ["run", "photos", "--out", "runs/x"],
    ["run", "nowhere", "--out", "runs/x", "--model", "lite0"],
    ["run", "photos", "--out", "runs/x", "--model", "lite0", "--limit", "many"],
    ["cluster", "nowhere"],
    ["specialize", "nowhere", "--train", "nowhere", "--out", "models/x"],
    ["evaluate", "summaries", "nowhere"],
]


def measure(arguments: list[str], times: int) -> tuple[float, float]:
    """Median processor time in seconds and peak memory in MB of a process; TURN in its arguments becomes its number."""
    seconds, memory = [], []
    for turn in range(times):
        command = [sys.executable, *(word.replace("TURN", str(turn)) for word in arguments)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        seconds.append(usage.ru_utime + usage.ru_stime)
        memory.append(usage.ru_maxrss / 1024)
    return statistics.median(seconds), max(memory)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, help="run folder, for status and name")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    lines = [["--help"], ["--version"], ["evaluate"]]
    lines += [[*name.split(), "--help"] for name in COMMANDS] + [["run", "--help-all"], *WRONG]
    with tempfile.TemporaryDirectory() as home:
        if options.run is not None:
            run = shutil.copytree(options.run, Path(home) / "run")
            lines += [["status", str(run)], ["name", str(run), "0", "part TURN"]]
        bare, size = measure(["-c", "pass"], options.times)
        print(f"{'command':<70} {'seconds':>8} {'x bare':>7} {'MB':>5}")
        print(f"{'python -c pass':<70} {bare:>8.2f} {1:>7.1f} {size:>5.0f}")
        slow = 0
        for line in lines:
            seconds, memory = measure(["-m", "visual_summaries", *line], options.times)
            shown = " ".join(line).replace(home, "...")
            slow += seconds >= GOAL
            print(
                f"{shown:<70} {seconds:>8.2f} {seconds / bare:>7.1f} {memory:>5.0f}{'  !' if seconds >= GOAL else ''}"
            )
        print(f"{len(lines) - slow} of {len(lines)} under {GOAL} s")


if __name__ == "__main__":
    main()
