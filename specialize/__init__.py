"""From summaries to a better classifier: one linear SVM for each summary, blended with the network (paper section 4.4).

from visual_summaries import specialize
classifier = specialize.load("models/six")
with classifier: logits = classifier(images)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from visual_summaries.masks.networks.classifier import Classifier

__all__ = ["load"]


def load(
    folder: Path | str, classifier: Classifier | None = None, *, device: str = "auto", trust: bool = False
) -> Classifier:
    """The specialised classifier of a model folder, with the interface of the one it was made from.

    Args:
        folder: Written by ``visual-summaries specialize``.
        classifier: The network that it was made from; loaded by name if it is not given.
        device: auto, cpu or cuda, for a network that is loaded by its name.
        trust: Whether a Python file that the folder names may be run to load it.

    Returns:
        A classifier: its ``logits``, and the classifier itself when called, take images (N, 3, H, W) in [0, 1] and
        return logits (N, K).

    Raises:
        UserError: The folder is no model folder or is damaged, the classifier is another one, or the folder names a
            Python file and is not trusted.
    """
    from visual_summaries.specialize.model import load as load_model

    return load_model(folder, classifier, device=device, trust=trust)
