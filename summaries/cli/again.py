"""One stage of a run again, from what is there: the common part of ``masks``, ``cluster`` and ``gallery``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from masks.classifier import Classifier
from masks.errors import UserError
from summaries.backend import cores
from summaries.pipeline import Job
from summaries.recorded import load_recorded
from summaries.settings import Settings, override
from summaries.store import Run


def settings_of_named(arguments: Sequence[str]) -> Settings:
    """The options of the run that is named on the command line; the defaults where none is."""
    run = next((Path(argument) for argument in arguments if (Path(argument) / "run.json").is_file()), None)
    return Settings() if run is None else recorded_settings(run)


def recorded_settings(path: Path) -> Settings:
    """The options that a run was made with."""
    return override(Settings(), Run(path).info["config"]["settings"], where=f"{path / 'run.json'}: ")


def recorded_job(path: Path, settings: Settings, jobs: int | None) -> Job:
    """The job that a run was made from, with other options for its stages."""
    info = Run(path).info
    config = info["config"]
    return Job(
        folder=Path(config["images"]),
        out=path,
        target=config["target"],
        limit=config["limit"],
        keep_misclassified=config["keep_misclassified"],
        seed=info["seed"],
        jobs=jobs or cores(),
        masks=None if config["masks"] is None else Path(config["masks"]),
        preset=config["preset"],
        settings=settings,
        model=config["model"],
    )


def recorded_classifier(path: Path, device: str, given: str | None = None, trust: bool = False) -> Classifier:
    """The classifier that a run was made with; see `summaries.recorded.load_recorded`.

    Raises:
        UserError: If the run was made from Python with a network that the record cannot name, if it names a Python file
            that nobody said may be run, or if what its name gives now is another network.
    """
    info = Run(path).info
    if not info["config"]["model"]:
        raise UserError(f"{path} was made from Python: call summaries.summarize again with its classifier")
    return load_recorded(info["config"]["model"], info["model"]["fingerprint"], path, device, given=given, trust=trust)
