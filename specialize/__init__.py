"""From summaries to a better classifier: one linear SVM for each summary, blended with the network (paper section 4.4).

Examples:
    >>> from visual_summaries import specialize
    >>> logits = specialize.load("models/six")(images)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from pathlib import Path

    from visual_summaries.masks.networks.classifier import Classifier
    from visual_summaries.specialize.options import SpecializeOptions as SpecializeOptions
    from visual_summaries.summaries.progress import Step
    from visual_summaries.summaries.store import Run
else:
    __getattr__, _, __all__ = lazy_loader.attach(__name__, submod_attrs={"options": ["SpecializeOptions"]})
    __all__ += ["load", "specialize"]

    def __dir__() -> list[str]:
        return __all__


def specialize(
    runs: Sequence[Run | Path | str],
    classifier: Classifier,
    train: Path | str,
    out: Path | str,
    *,
    others: Path | str | None = None,
    exclude: Sequence[str] = (),
    seed: int = 0,
    options: SpecializeOptions | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Classifier:
    """Trains an SVM for each kept summary of some runs, and blends them with the network.

    Nothing is printed. Lines about the stages are logged at level INFO.

    Args:
        runs: Runs of this classifier, one per class, or their folders.
        classifier: The network. It is frozen meanwhile and restored afterwards.
        train: Training images, a folder a class.
        out: The model folder: a new or an empty one, or one that was made before.
        others: Photographs of other classes (see `specialize.photos.list_photos`); None where every class of
            the network has a run.
        exclude: Summaries that get no SVM, as RUN/NUMBER.
        seed: Of every random choice, >= 0.
        options: Options of the steps; None for the defaults.
        progress: Called with each step, for instance ``print``.

    Returns:
        The specialised classifier; `load` gives it again.

    Raises:
        UserError: For every error that a user can cause, in one line that says what to do.

    Examples:
        >>> better = specialize(["runs/church"], classifier, "train", "models/church", others="train")  # doctest: +SKIP
    """
    from pathlib import Path

    from visual_summaries.specialize.build import build
    from visual_summaries.specialize.model import load as load_model
    from visual_summaries.summaries.progress import told_to
    from visual_summaries.summaries.store import Run

    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    with told_to(progress), classifier:
        build(
            opened,
            classifier,
            train_root=Path(train),
            others=None if others is None else Path(others),
            out=Path(out),
            options=options,
            exclude=exclude,
            seed=seed,
        )
    return load_model(out, classifier)


def load(
    folder: Path | str, classifier: Classifier | None = None, *, device: str = "auto", trust: bool = False
) -> Classifier:
    """The specialised classifier of a model folder, which replaces the one it was made from.

    Args:
        folder: Written by `specialize` or by ``visual-summaries specialize``.
        classifier: The network that it was made from; None to load it by its recorded name.
        device: auto, cpu or cuda, for a network that is loaded by its name.
        trust: Whether a Python file that the folder names may be run to load it.

    Returns:
        A classifier: its ``logits``, and the classifier itself when called, take images (N, 3, H, W) in [0, 1] and
        return logits (N, K).

    Raises:
        UserError: The folder is not a model or is damaged, the classifier is another one, or the folder names a Python
            file and is not trusted.

    Examples:
        >>> logits = load("models/church")(images)  # doctest: +SKIP
    """
    from visual_summaries.specialize.model import load as load_model

    return load_model(folder, classifier, device=device, trust=trust)
