"""Visual summaries of a class: from clusters of parts to names, scores and a gallery; the run folder.

Examples:
    >>> from visual_summaries import masks, summaries
    >>> classifier = masks.load_classifier("lite0")  # doctest: +SKIP
    >>> run = summaries.summarize("photos/church", classifier, "church", "runs/church")  # doctest: +SKIP
    >>> [len(summary.members) for summary in run.summaries if summary.kept]  # doctest: +SKIP
    [15, 9]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pathlib import Path

    from visual_summaries.masks.networks.classifier import Classifier
    from visual_summaries.summaries.progress import Step as Step
    from visual_summaries.summaries.settings import Settings as Settings
    from visual_summaries.summaries.store import Run as Run
    from visual_summaries.summaries.summary import Member as Member
    from visual_summaries.summaries.summary import Summary as Summary
else:
    __getattr__, _, __all__ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "progress": ["Step"],
            "settings": ["Settings"],
            "store": ["Run"],
            "summary": ["Member", "Summary"],
        },
    )
    __all__ += ["load", "summarize"]

    def __dir__() -> list[str]:
        return __all__


def summarize(
    folder: Path | str,
    classifier: Classifier,
    target: int | str,
    out: Path | str,
    *,
    limit: int | None = None,
    keep_misclassified: bool = False,
    seed: int = 0,
    jobs: int | None = None,
    masks: Path | str | None = None,
    settings: Settings | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Run:
    """Runs all stages on one class folder, or continues a run that was interrupted.

    Nothing is printed. Lines about the stages are logged at level INFO.

    Args:
        folder: Images of one class.
        classifier: The network, see `masks.load_classifier`. It is frozen during the run and restored afterwards.
        target: The class: an index, a WordNet id, a name, or ``predicted`` for each image's own.
        out: The run folder: a new or an empty one, or that of a run to be continued.
        limit: Most images that are used, >= 1; None for all.
        keep_misclassified: Whether to use images that the network assigns to another class.
        seed: Of every random choice, >= 0.
        jobs: Workers, >= 1; None for one per core.
        masks: Folder of masks made elsewhere, ID.npz or ID.png, white = salient; None to make them.
        settings: Options of every stage; None for the defaults.
        progress: Called with each step, for instance ``print``.

    Returns:
        The run.

    Raises:
        UserError: For every error that a user can cause, in one line that says what to do.

    Examples:
        >>> run = summarize("photos/church", classifier, "church", "runs/church", limit=24)  # doctest: +SKIP
    """
    from pathlib import Path

    from visual_summaries.masks.errors import UserError
    from visual_summaries.summaries.backend import cores
    from visual_summaries.summaries.pipeline import Job, run
    from visual_summaries.summaries.progress import told_to
    from visual_summaries.summaries.settings import Settings

    if not str(out):
        raise UserError("out is empty: give a folder")
    job = Job(
        folder=Path(folder),
        out=Path(out),
        target=str(target),
        limit=limit,
        keep_misclassified=keep_misclassified,
        seed=seed,
        jobs=cores() if jobs is None else jobs,
        masks=None if masks is None else Path(masks),
        settings=settings or Settings(),
    )
    with told_to(progress):
        return run(job, classifier)


def load(path: Path | str) -> Run:
    """Opens a run folder.

    Args:
        path: The folder, as `summarize` or ``visual-summaries run`` wrote it.

    Returns:
        The run; its tables are read when they are first used.

    Raises:
        UserError: If the folder is not a run, or was written in another format.

    Examples:
        >>> [summary.name for summary in load("runs/church").summaries if summary.kept]  # doctest: +SKIP
        ['spire', 'roof']
    """
    from visual_summaries.summaries.store import Run

    return Run(path)
