"""A specialised network, and its folder: ``model.json`` and ``model.npz``, nothing that could run code.

``load`` gives a classifier with the interface of the one it was made from: images in, logits out, with gradients. So it
may be evaluated, and its own masks and summaries may be found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from masks.classifier import Classifier
from masks.errors import UserError
from specialize.blend import Blend, blended
from specialize.features import Tap, tapped
from specialize.places import Places
from specialize.svm import Svms, decide
from specialize.tuning import Method
from summaries.arrays import ANYTHING, read_arrays
from summaries.files import read_json, write_json, write_npz
from summaries.recorded import load_recorded

FORMAT = 2
"""Version of the layout of a model folder."""


@dataclass(frozen=True)
class SummaryRow:
    """Where an SVM is from.

    Attributes:
        run: Name of the run folder.
        summary: Number of the summary in it.
        name: The summary's name; empty where it has none.
        owner: Place of its class among the specialised ones.
        members: Its images.
    """

    run: str
    summary: int
    name: str
    owner: int
    members: int


@dataclass(frozen=True)
class Model:
    """What a model folder holds.

    Attributes:
        tap: Where the network is tapped.
        methods: The summaries' method first, then what it is compared with.
        summaries: A row for each SVM of the first method.
        about: Network, options, what was chosen, versions: plain data.
    """

    tap: Tap
    methods: list[Method]
    summaries: list[SummaryRow]
    about: dict[str, Any]

    @property
    def method(self) -> Method:
        """That of the summaries."""
        return self.methods[0]


class SpecializedNetwork(nn.Module):
    """A network whose logits are blended with the decisions of SVMs on its own features.

    Args:
        classifier: The network that is specialised.
        tap: Where its features are.
        method: SVMs and blend.
    """

    weights: Tensor
    intercepts: Tensor

    def __init__(self, classifier: Classifier, tap: Tap, method: Method) -> None:
        super().__init__()
        if method.svms is None:
            raise ValueError(f"method: {method.name} has no SVMs")
        self.network = classifier.network
        self.reading = classifier.reading
        self.size = classifier.frame.size
        self.tap = tap
        self.blend = method.blend
        self.places = method.svms.places
        self.register_buffer("weights", torch.from_numpy(method.svms.weights))
        self.register_buffer("intercepts", torch.from_numpy(method.svms.intercepts))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W): logarithms of probabilities."""
        with tapped(self.network, self.tap) as vectors:
            logits = self.reading.logits(self.network, images)
            decisions = decide(vectors(), self.weights, self.intercepts, self.places)
        return blended(logits, decisions, self.blend)


class SpecializedClassifier(Classifier):
    """A classifier that may also be called: images (N, 3, H, W) in [0, 1] to logits (N, K)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W) in [0, 1], in the frame."""
        return self.logits(images)


def specialized(classifier: Classifier, tap: Tap, method: Method) -> SpecializedClassifier:
    """A classifier with a method on top; the given one is left as it is."""
    return SpecializedClassifier(
        SpecializedNetwork(classifier, tap, method),
        frame=classifier.frame,
        normalisation=classifier.normalisation,
        labels=classifier.labels,
        spec=f"{classifier.spec}, specialised",
        device=classifier.device,
    )


def save_model(folder: Path, model: Model) -> None:
    """Writes ``model.npz`` and ``model.json``."""
    arrays: dict[str, Any] = {"classes": model.method.blend.classes}
    methods = []
    for method in model.methods:
        blend = method.blend
        methods.append(
            {
                "name": method.name,
                "normalisation": blend.normalisation,
                "weight": blend.weight,
                "cost": method.cost,
                "places": method.svms is not None and method.svms.places is not None,
            }
        )
        if method.svms is not None:
            arrays |= {
                f"{method.name}.owner": method.svms.owner,
                f"{method.name}.weights": method.svms.weights,
                f"{method.name}.intercepts": method.svms.intercepts,
                f"{method.name}.slope": blend.slope,
                f"{method.name}.offset": blend.offset,
            }
    write_npz(folder / "model.npz", compress=True, **arrays)
    described = {
        "format": FORMAT,
        "tap": asdict(model.tap),
        "places": next((asdict(one.svms.places) for one in model.methods if one.svms and one.svms.places), None),
        "methods": methods,
        "summaries": [asdict(row) for row in model.summaries],
    }
    write_json(folder / "model.json", described | model.about)


def read_model(folder: Path) -> Model:
    """Reads a model folder.

    Raises:
        UserError: It is none, is of another version, or is damaged.
    """
    if not (folder / "model.json").is_file():
        raise UserError(f"{folder} holds no model.json: make it with `visual-summaries specialize`")
    info = read_json(folder / "model.json", dict[str, Any])
    if info.get("format") != FORMAT:
        raise UserError(f"{folder} is of format {info.get('format')}, this program reads {FORMAT}: specialise again")
    arrays = read_arrays(folder / "model.npz", ANYTHING)
    try:
        places = _places(info["places"])
        methods = [_method(row, arrays, places) for row in info["methods"]]
        summaries = [SummaryRow(**row) for row in info["summaries"]]
        tap = Tap(info["tap"]["module"], info["tap"]["side"], tuple(info["tap"]["maps"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder} is damaged ({error}): specialise again") from None
    known = ("format", "tap", "places", "methods", "summaries")
    return Model(tap, methods, summaries, {name: value for name, value in info.items() if name not in known})


def _places(row: dict[str, Any] | None) -> Places | None:
    if row is None:
        return None
    shapes = tuple((int(c), int(h), int(w)) for c, h, w in row["shapes"])
    windows = tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in row["windows"])
    return Places(row["start"], shapes, row["grid"], windows, row["context"])


def _method(row: dict[str, Any], arrays: dict[str, NDArray[Any]], places: Places | None) -> Method:
    name, none = row["name"], np.zeros(0)
    svms = None
    if f"{name}.weights" in arrays:
        owner, weights, intercepts = (arrays[f"{name}.{part}"] for part in ("owner", "weights", "intercepts"))
        svms = Svms(owner, weights, intercepts, places if row["places"] else None)
    owner = svms.owner if svms is not None else np.zeros(0, np.int64)
    slope, offset = (arrays.get(f"{name}.{part}", none) for part in ("slope", "offset"))
    blend = Blend(arrays["classes"], owner, slope, offset, row["normalisation"], row["weight"])
    return Method(name, svms, blend, row["cost"])


def base_classifier(
    model: Model, folder: Path, device: str = "auto", *, given: str | None = None, trust: bool = False
) -> Classifier:
    """The network that a model was made from; see `summaries.recorded.load_recorded`.

    Raises:
        UserError: It cannot be had by name, is another one now, or is in a Python file that nobody said may be run.
    """
    recorded = model.about["model"]
    if not recorded["config"]:
        raise UserError(f"{folder} was made from Python: give its classifier, specialize.load(folder, classifier)")
    return load_recorded(recorded["config"], recorded["fingerprint"], folder, device, given=given, trust=trust)


def load(
    folder: Path | str, classifier: Classifier | None = None, *, device: str = "auto", trust: bool = False
) -> SpecializedClassifier:
    """The specialised classifier of a model folder.

    Args:
        folder: Written by ``visual-summaries specialize``.
        classifier: The network that it was made from; loaded by its name where it is not given.
        device: auto, cpu or cuda, for a network that is loaded by its name.
        trust: Whether a Python file that the folder names may be run to load it.

    Raises:
        UserError: The folder is none or is damaged, the classifier is another one, or the folder names a Python file
            and is not trusted.
    """
    folder = Path(folder)
    model = read_model(folder)
    if classifier is None:
        classifier = base_classifier(model, folder, device, trust=trust)
    elif classifier.fingerprint() != model.about["model"]["fingerprint"]:
        raise UserError(f"{classifier.spec} is not the network that {folder} was made from")
    return specialized(classifier, model.tap, model.method)
