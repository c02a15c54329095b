"""Visual summaries of a class: from clusters of parts to names, scores and a gallery; the run folder.

from visual_summaries import summaries
run = summaries.summarize("photos/church", classifier, "church", "runs/church")
for summary in run.summaries: print(summary.kept, len(summary.members))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from visual_summaries.masks.networks.classifier import Classifier
    from visual_summaries.summaries.store import Run

__all__ = ["load", "summarize"]


def summarize(folder: Path | str, classifier: Classifier, target: int | str, out: Path | str, **options: Any) -> Run:
    """Runs the whole chain on one class folder, or continues it.

    Args:
        folder: Images of one class.
        classifier: The network, see ``masks.networks.models.load_classifier``.
        target: The class: an index, a WordNet id, a name, or ``predicted``.
        out: The run folder.
        **options: Further fields of ``summaries.pipeline.Job``: limit, keep_misclassified, seed, jobs, masks,
            settings.

    Returns:
        The run folder, read.

    Raises:
        UserError: For whatever a user can cause; one line that says what to do.
    """
    from pathlib import Path

    from visual_summaries.masks.errors import UserError
    from visual_summaries.summaries.pipeline import Job, run

    if not str(out):
        raise UserError("out is empty: give a folder")
    return run(Job(folder=Path(folder), out=Path(out), target=str(target), **options), classifier)


def load(path: Path | str) -> Run:
    """Opens a run folder.

    Raises:
        UserError: If it is none, or was written in another format.
    """
    from visual_summaries.summaries.store import Run

    return Run(path)
