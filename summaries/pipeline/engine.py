"""Stages, chains of stages, and the record of what was done.

A stage is one value: its name, what its progress counts, a version, what its result depends on, the files it leaves,
and the work. A chain is a list of stages in the order in which data flows. The functions that run stages, repeat them,
report their state or list their libraries take any chain. A stage is kept if its version and inputs are those in
``run.json`` and its files are there. So the same command continues after an interruption, and a changed option
recomputes only what depends on it. Whoever changes a stage's results increases its version.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from visual_summaries.summaries.files import hash_file, write_json
from visual_summaries.summaries.progress import Tick, progress, say
from visual_summaries.summaries.record import FORMAT, Record, read_record

Context = TypeVar("Context")


@dataclass(frozen=True)
class Stage(Generic[Context]):
    """A stage of a chain.

    Attributes:
        name: Its name in messages and in the record.
        unit: What its progress counts, in the plural.
        version: Increased by whoever changes its results.
        packages: Libraries that its results depend on; their versions are recorded.
        inputs: Takes the context of a run; returns plain data that the result depends on, besides the version.
        files: Takes the run folder; returns the files that the stage leaves there.
        work: Does the stage; returns counts for the record.
        options: Tables of the run's settings that its result depends on.
        network: Takes the context; returns whether the work calls the network, so that it is loaded and checked before
            anything is written.
        watched: Files of the stage, relative to the run folder, that no other stage changes. Their hashes are
            recorded. If one of them was changed since, for instance by hand, the stage is done again.
    """

    name: str
    unit: str
    version: int
    packages: tuple[str, ...]
    inputs: Callable[[Context], dict[str, Any]]
    files: Callable[[Path], list[Path]]
    work: Callable[[Context, Tick], dict[str, Any]]
    options: tuple[str, ...] = ()
    network: Callable[[Context], bool] = lambda _: False
    watched: tuple[str, ...] = ()


Chain = Sequence[Stage[Context]]
"""Stages in the order in which data flows; no two with one name."""


@dataclass(frozen=True)
class State:
    """How far one stage of a run is.

    Attributes:
        name: Of the stage.
        status: "left" means that it was never started.
        seconds: Time that it took, if it is done.
        counts: What it counted, if it is done.
        found: How many of its files exist, if it was interrupted.
        expected: How many files it leaves, as far as this is known, if it was interrupted.
    """

    name: str
    status: Literal["left", "started", "done"]
    seconds: float = 0.0
    counts: dict[str, Any] = field(default_factory=dict)
    found: int = 0
    expected: int = 0


def names(chain: Chain[Any]) -> tuple[str, ...]:
    """The names of the stages of a chain.

    Examples:
        >>> from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
        >>> names(IMAGE_CHAIN)
        ('images', 'masks', 'proposals', 'matching', 'clusters', 'importance', 'gallery')
    """
    return tuple(stage.name for stage in chain)


def option_tables(chain: Chain[Any]) -> tuple[str, ...]:
    """The tables of a run's settings that the results of a chain depend on, each once.

    Examples:
        >>> from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
        >>> option_tables(split(IMAGE_CHAIN, "clusters")[1])
        ('affinity', 'prune', 'importance')
    """
    return tuple(dict.fromkeys(name for stage in chain for name in stage.options))


def packages(chain: Chain[Any]) -> tuple[str, ...]:
    """This program and the libraries that the results of a chain depend on, sorted."""
    return ("visual-summaries", *sorted({name for stage in chain for name in stage.packages}))


def split(chain: Chain[Context], name: str) -> tuple[Chain[Context], Chain[Context]]:
    """The stages before a stage, and this stage with those after it.

    Raises:
        ValueError: If the chain has no stage of this name.

    Examples:
        >>> from visual_summaries.summaries.pipeline.image_chain import IMAGE_CHAIN
        >>> [names(part) for part in split(IMAGE_CHAIN, "clusters")]
        [('images', 'masks', 'proposals', 'matching'), ('clusters', 'importance', 'gallery')]
    """
    place = names(chain).index(name)
    return chain[:place], chain[place:]


def states(out: Path, chain: Chain[Any]) -> list[State]:
    """How far each stage of a chain is in a run folder.

    Raises:
        UserError: If the folder is not a run folder, or is damaged.
    """
    records, found = read_record(out)["stages"], []
    for stage in chain:
        record = records.get(stage.name)
        if record is None:
            found.append(State(stage.name, "left"))
        elif record.get("status") == "done":
            found.append(State(stage.name, "done", record.get("seconds", 0.0), record.get("counts", {})))
        else:
            files = stage.files(out)
            there = sum(file.exists() for file in files)
            found.append(State(stage.name, "started", found=there, expected=len(files)))
    return found


class Pipeline:
    """The record of one run folder, and the stages that are done on it.

    Args:
        out: The run folder; claimed, if anything is to be done.
        force: Names of stages to do again even where nothing changed.
    """

    def __init__(self, out: Path, *, force: Sequence[str] = ()) -> None:
        self.out = out
        self.force = force
        new = Record(out, {"format": FORMAT, "stages": {}})
        self.info = read_record(out) if (out / "run.json").exists() else new

    def save(self) -> None:
        """Writes ``run.json``."""
        write_json(self.out / "run.json", self.info)

    def is_done(self, stage: Stage[Context], context: Context) -> bool:
        """Whether a stage was done with the same version and inputs, and its files are there as it left them."""
        return self._is_done(stage, context, self._key(stage, context))

    def _is_done(self, stage: Stage[Context], context: Context, inputs: dict[str, Any]) -> bool:
        before = self.info["stages"].get(stage.name, {})
        same = before.get("status") == "done" and before.get("inputs") == inputs
        return (
            same
            and stage.name not in self.force
            and all(file.exists() for file in stage.files(self.out))
            and before.get("digests", {}) == self._digests(stage)
        )

    def run(self, chain: Iterable[Stage[Context]], context: Context) -> None:
        """Does the stages of a chain, or of a part of one, in their order."""
        for stage in chain:
            self.do(stage, context)

    def do(self, stage: Stage[Context], context: Context) -> None:
        """Does a stage, unless it is done."""
        inputs, before = self._key(stage, context), self.info["stages"].get(stage.name, {})
        if self._is_done(stage, context, inputs):
            say(f"{stage.name}: unchanged, kept")
            return
        why = _why(before, inputs, stage.name in self.force)
        say(f"{stage.name}: {why}" if why else f"{stage.name} ...")
        versions = {name: importlib.metadata.version(name) for name in stage.packages}
        known = before.get("versions", []) if before.get("inputs") == inputs and before.get("status") != "done" else []
        entry: dict[str, Any] = {
            "status": "started",
            "inputs": inputs,
            "versions": [*known, *([] if versions in known else [versions])],
        }
        self.info["stages"][stage.name] = entry
        self.save()
        start = time.monotonic()
        with progress(stage.name, stage.unit) as tick:
            counts = stage.work(context, tick)
        seconds = round(time.monotonic() - start, 1)
        entry |= {"status": "done", "seconds": seconds, "counts": counts, "digests": self._digests(stage)}
        self.save()
        say(f"{stage.name}: done in {seconds:.0f} s ({', '.join(f'{what} {count}' for what, count in counts.items())})")

    def _key(self, stage: Stage[Context], context: Context) -> dict[str, Any]:
        return flatten({"version": stage.version} | stage.inputs(context))

    def _digests(self, stage: Stage[Context]) -> dict[str, str]:
        return {name: hash_file(self.out / name) for name in stage.watched}


def flatten(data: Any, where: str = "") -> dict[str, Any]:
    """Nested dictionaries as one level of dotted names.

    Examples:
        >>> flatten({"seed": 0, "affinity": {"damping": 0.9}})
        {'seed': 0, 'affinity.damping': 0.9}
    """
    if not isinstance(data, dict):
        return {where: data}
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= flatten(value, f"{where}.{name}" if where else str(name))
    return flat


def _why(before: dict[str, Any], inputs: dict[str, Any], forced: bool) -> str:
    """Why a stage that was done or started before is done again; empty for one that is new."""
    if not before:
        return ""
    old = before.get("inputs", {})
    changed = [name for name in {**old, **inputs} if old.get(name) != inputs.get(name)]
    changed.sort(key=lambda name: name not in inputs)  # what no longer applies tells least
    if before.get("status") != "done":
        return "started again with other options" if changed else "continued"
    if not changed:
        return "again, as asked" if forced else "again, its files are not all there as they were left"
    shown = ", ".join(f"{name} {old.get(name)} -> {inputs.get(name)}" for name in changed[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"again, changed: {shown}{more}"
