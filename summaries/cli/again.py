"""The common part of the commands that repeat stages of a run: ``masks``, ``cluster`` and ``gallery``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from visual_summaries.masks.attribution.options import AttributionOptions
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import OptionError
from visual_summaries.summaries.pipeline import recorded_settings
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.store import Run

if TYPE_CHECKING:
    from visual_summaries.masks.networks.classifier import Classifier


def settings_of_named(arguments: Sequence[str]) -> Settings:
    """The options of the run that the command line names; the defaults if it names none."""
    run = next((Path(argument) for argument in arguments if (Path(argument) / "run.json").is_file()), None)
    return Settings() if run is None else recorded_settings(run)


def with_method(options: AttributionOptions, method: str) -> AttributionOptions:
    """Options of attributions with the method that ``--attribution`` names.

    Raises:
        OptionError: If there is no such attribution.
    """
    try:
        return replace(options, method=method)
    except OptionError as error:
        raise error.called("--attribution") from None


def recorded_classifier(path: Path, device: str, given: str | None = None, trust: bool = False) -> Classifier:
    """The classifier that a run was made with.

    Args:
        path: The run folder.
        device: auto, cpu or cuda.
        given: The specification that the user gives again, which allows its code to run.
        trust: Whether code that the record names may run in any case.

    Raises:
        UserError: If the run was made from Python with a network that the record cannot name, if its name stands for
            code that nobody allowed to run, or if what it gives now is another network.
    """
    from visual_summaries.masks.networks.reload import load_recorded

    info = Run(path).info
    if not info["config"]["model"]:
        raise UserError(f"{path} was made from Python: call summaries.summarize again with its classifier")
    model, fingerprint = info["config"]["model"], info["model"]["fingerprint"]
    return load_recorded(model, fingerprint, path, device, given=given, trust=trust)


def unneeded() -> NoReturn:
    """In place of a network, for stages that need none."""
    raise AssertionError("this stage needs no network")
