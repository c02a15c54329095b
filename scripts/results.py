"""Remakes the tables of docs/results.md that take less than ten minutes each, with the commit they were measured at.

    python scripts/results.py                        # all of them
    python scripts/results.py startup world          # some: startup, world, matching, summaries, photographs

Each table stands between the lines ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``, and replaces what is between
them. The text around them is written by hand: read it again after this script. The table ``photographs`` needs the
folder
imagenette6 in the one that the environment variable VISUAL_SUMMARIES_DATA names, and is left as it is without it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visual_summaries.summaries.store import Run

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
CLASSES = {"church": "n03028079", "gas pump": "n03425413"}


@dataclass(frozen=True)
class Table:
    """A table and the commands that it comes from.

    Attributes:
        commands: As a reader would type them.
        rows: The heading, then one tuple a row, all of one length.
    """

    commands: Sequence[str]
    rows: Sequence[Sequence[str]]


def formatted(table: Table, commit: str, date: datetime.date) -> str:
    """A table as Markdown, under its commit and commands."""
    heading, *rows = ("| " + " | ".join(row) + " |" for row in table.rows)
    line = "|" + "---|" * len(table.rows[0])
    commands = (f"    {command}" for command in table.commands)
    return "\n".join([f"Measured at commit `{commit}` ({date}):", "", *commands, "", heading, line, *rows])


def replaced(page: str, name: str, block: str) -> str:
    """The page with what is between the marks of a name replaced.

    Raises:
        ValueError: If the page does not have these marks exactly once.
    """
    begin, end = f"<!-- begin: {name} -->\n", f"\n<!-- end: {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page does not have the marks of {name} once each, in order")
    before, rest = page.split(begin)
    return before + begin + block + end + rest.split(end)[1]


def startup(work: Path) -> Table:
    """Processor time and memory of what the command line does before any work."""
    run = work / "steamer"
    shell(f"visual-summaries world {work}/world --images 12")
    shell(f"visual-summaries run {work}/world/images/steamer --model demo --out {run}")
    return parse_startup(shell(f"python scripts/bench_startup.py --run {run}"))


def parse_startup(text: str) -> Table:
    """The table of what scripts/bench_startup.py prints."""
    shown = {
        "python -c pass": "`python -c pass`",
        "run --help": "`run --help`",
        "specialize --help": "`specialize --help`",
        "run --colour red": "`run` with an unknown option",
        "status .../run": "`status RUN`",
        "name .../run 0 part TURN": "`name RUN 0 X`",
    }
    found = re.findall(r"^(.+?) +([\d.]+) +[\d.]+ +(\d+)(?:  !)?$", text, re.MULTILINE)
    measured = {command: (seconds, memory) for command, seconds, memory in found}
    rows = [(label, *measured[command]) for command, label in shown.items()]
    return Table(
        ["python scripts/bench_startup.py --run runs/demo/steamer"],
        [("command", "processor time, s", "memory, MB"), *rows],
    )


def world(work: Path) -> Table:
    """How good the embedded world's networks are."""
    return parse_world(shell("python scripts/world_accuracy.py"))


def parse_world(text: str) -> Table:
    """The table of what scripts/world_accuracy.py prints."""
    heading = ("network", "fresh images", "marked class, with watermark", "marked class, without")
    rows = [line.split() for line in text.splitlines()[1:]]
    return Table(
        ["python scripts/world_accuracy.py"], [heading, *((f"`{row[0]}`", row[4], row[5], row[6]) for row in rows)]
    )


def matching(work: Path) -> Table:
    """What matching costs, by number of images and of proposals."""
    command = "python scripts/bench_matching.py --images 25 50 100 --proposals 250 500 1000 --parts --jobs 2"
    return parse_matching(command, shell(command))


def parse_matching(command: str, text: str) -> Table:
    """The table of what scripts/bench_matching.py prints of all pairs of images."""
    block = text.split("all pairs, ")[1]
    cells: dict[int, dict[int, list[float]]] = {}
    for line in re.findall(r"^ +\d+ +\d+ +\d+ +[\d.]+ +[\d.]+ +\d+$", block, re.MULTILINE):
        images, proposals, _, *figures = line.split()
        cells.setdefault(int(proposals), {})[int(images)] = [float(figure) for figure in figures]
    sizes = sorted(next(iter(cells.values())))
    rows = [
        (
            f"{proposals} (default)" if proposals == 500 else str(proposals),
            *(f"{row[size][0]:.3g} s" for size in sizes),
            f"{row[sizes[-1]][1]:.3g}",
            f"{max(figures[2] for figures in row.values()) / 1000:.2f} GB",
        )
        for proposals, row in cells.items()
    ]
    heading = ("proposals", *(f"{size} images" for size in sizes), "ms of a core per pair", "peak memory")
    return Table([command], [heading, *rows])


def summaries(work: Path) -> Table:
    """Purity and recall on the embedded world, all classes."""
    out = shell(f"python scripts/evaluate_world.py {work}/evaluated --images 30 --seed 83")
    return parse_summaries("python scripts/evaluate_world.py runs/world --images 30 --seed 83", out)


def parse_summaries(command: str, text: str) -> Table:
    """The table of what scripts/evaluate_world.py prints."""
    kept = [int(line.split()[1]) for line in re.findall(r"^\S+ +\d+ +[\d.]+ .*$", text, re.MULTILINE)]
    found, missed = (len(re.findall(rf" {word}\b", text)) for word in ("found", "MISSED"))
    found -= 1  # the heading's
    figures = dict(re.findall(r"^(\w+): mean purity (.+)$", text, re.MULTILINE))
    rows = []
    for method, label in {"summaries": "summaries", "random": "random clusters of the same sizes"}.items():
        purity, recall = figures[method].split(", recall ")
        count = f" ({found} of {found + missed})" if method == "summaries" else ""
        rows.append((label, f"{np.mean(kept):.1f}", purity, recall + count))
    return Table([command], [("", "kept per class", "purity", "recall"), *rows])


def photographs(work: Path) -> Table | None:
    """Masks and summaries of two classes of photographs; None without the photographs."""
    data = Path(os.environ.get("VISUAL_SUMMARIES_DATA", "")) / "imagenette6"
    if not data.is_dir():
        return None
    commands, rows = [], []
    for name, wordnet in CLASSES.items():
        options = f"--model lite0 --target {wordnet} --limit 24 --out"
        out = name.replace(" ", "-")
        shell(f"visual-summaries run {data}/train/{wordnet} {options} {work}/{out}")
        commands.append(f"visual-summaries run DIR/train/{wordnet} {options} runs/{out}")
        rows.append((name, *figures_of(Run(work / out))))
    heading = "class, drop smooth, drop crisp, drop binary, area binary, passes, parts per image, kept summaries"
    return Table(commands, [(*heading.split(", "), "images covered"), *rows])


def figures_of(run: Run) -> list[str]:
    """Means over the images of a run, then parts an image, kept summaries and the share of images in any of these."""
    masks = list(run.masks.values())
    digits = {"drop_smooth": 3, "drop_crisp": 5, "drop_binary": 5, "area_binary": 3, "iterations": 0}
    means = [f"{np.mean([getattr(row, name) for row in masks]):.{count}f}" for name, count in digits.items()]
    kept = [summary for summary in run.summaries if summary.kept]
    covered = {member.image for summary in kept for member in summary.members}
    return [*means, f"{run.clustered / len(run.ids):.1f}", str(len(kept)), f"{len(covered) / len(run.ids):.2f}"]


def shell(command: str) -> str:
    """Runs a command with this Python, in the project's folder, and gives what it prints."""
    words = shlex.split(command)
    if words[0] == "visual-summaries":
        words[:1] = ["python", "-m", "visual_summaries"]
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def git(*arguments: str) -> str:
    """What git says."""
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


TABLES: dict[str, Callable[[Path], Table | None]] = {
    "startup": startup,
    "world": world,
    "matching": matching,
    "summaries": summaries,
    "photographs": photographs,
}


def main() -> None:
    """Measures, and writes each table when it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TABLES)}; all without")
    names = parser.parse_args().names or list(TABLES)
    if unknown := set(names) - set(TABLES):
        parser.error(f"no table {', '.join(sorted(unknown))}: choose of {', '.join(TABLES)}")
    changed = [
        line for line in git("status", "--porcelain").splitlines() if not line.endswith(str(PAGE.relative_to(ROOT)))
    ]
    commit = git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    with tempfile.TemporaryDirectory() as work:
        for name in names:
            print(f"{name} ...", flush=True)
            table = TABLES[name](Path(work))
            if table is None:
                print(f"{name}: not measured, VISUAL_SUMMARIES_DATA does not name a folder with imagenette6")
                continue
            block = formatted(table, commit, datetime.date.today())
            PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, block), encoding="utf-8")
            print(block)


if __name__ == "__main__":
    main()
