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

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.masks.networks.reload import load_recorded
from visual_summaries.specialize.blend import Blend, blended, plain_blend
from visual_summaries.specialize.description import (
    FORMAT,
    Description,
    MethodRow,
    SummaryRow,
    check_digests,
    digests_of,
)
from visual_summaries.specialize.features import Tap, look, map_shapes, tapped
from visual_summaries.specialize.svm import Svms, decide
from visual_summaries.specialize.tuning import Method
from visual_summaries.specialize.windows import Places
from visual_summaries.summaries.arrays import read_arrays
from visual_summaries.summaries.files import read_json, write_json, write_npz
from visual_summaries.summaries.folders import inside


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


def specialized(classifier: Classifier, tap: Tap, method: Method) -> Classifier:
    """A classifier with a method on top; the given one is left as it is."""
    return classifier.with_network(SpecializedNetwork(classifier, tap, method), spec=f"{classifier.spec}, specialised")


def save_model(folder: Path, model: Model) -> None:
    """Writes ``model.npz``, and last ``model.json``, which says what belongs to it."""
    write_arrays(folder, model)
    write_description(folder, model)


def write_arrays(folder: Path, model: Model) -> None:
    """Writes ``model.npz``; until `write_description` the folder holds no model."""
    arrays: dict[str, Any] = {"classes": model.method.blend.classes}
    for method in model.methods:
        if method.svms is not None:
            arrays |= {
                f"{method.name}.owner": method.svms.owner,
                f"{method.name}.weights": method.svms.weights,
                f"{method.name}.intercepts": method.svms.intercepts,
                f"{method.name}.slope": method.blend.slope,
                f"{method.name}.offset": method.blend.offset,
            }
    write_npz(folder / "model.npz", compress=True, **arrays)


def write_description(folder: Path, model: Model) -> None:
    """Writes ``model.json``, when all that belongs to it is there."""
    methods = [
        MethodRow(
            name=method.name,
            normalisation=method.blend.normalisation,  # type: ignore[arg-type]
            weight=method.blend.weight,
            cost=method.cost,
            places=method.svms is not None and method.svms.places is not None,
        )
        for method in model.methods
    ]
    described = {
        "format": FORMAT,
        "tap": asdict(model.tap),
        "places": next((asdict(one.svms.places) for one in model.methods if one.svms and one.svms.places), None),
        "methods": [asdict(row) for row in methods],
        "summaries": [asdict(row) for row in model.summaries],
    }
    info = described | model.about
    write_json(folder / "model.json", info | {"digests": digests_of(folder, info)})


def read_model(folder: Path) -> Model:
    """Reads a model folder; nothing in it is taken on trust.

    Raises:
        UserError: It is none, is of another version, is damaged, or holds files of different models.
    """
    if not (folder / "model.json").is_file():
        raise UserError(f"{folder} holds no model.json: make it with `visual-summaries specialize`")
    file = inside(folder, "model.json")
    info = read_json(file, dict[str, Any])
    if info.get("format") != FORMAT:
        raise UserError(f"{folder} is of format {info.get('format')}, this program reads {FORMAT}: specialise again")
    described = read_json(file, Description)
    described.check(file)
    check_digests(folder, info, described.digests)
    file = inside(folder, "model.npz")
    arrays = read_arrays(file, described.schema(), **described.sides())
    described.check_arrays(arrays, file)
    methods = [_method(row, arrays, described.places) for row in described.methods]
    known = ("format", "tap", "places", "methods", "summaries", "digests")
    about = {name: value for name, value in info.items() if name not in known}
    return Model(described.tap, methods, described.summaries, about)


def _method(row: MethodRow, arrays: dict[str, NDArray[Any]], places: Places | None) -> Method:
    classes = arrays["classes"].astype(np.int64)
    if not row.trained:
        return Method(row.name, None, plain_blend(classes, np.zeros(0, np.int64), row.normalisation).at(row.weight))
    owner = arrays[f"{row.name}.owner"].astype(np.int64)
    weights, intercepts = (arrays[f"{row.name}.{part}"].astype(np.float32) for part in ("weights", "intercepts"))
    slope, offset = (arrays[f"{row.name}.{part}"].astype(np.float64) for part in ("slope", "offset"))
    svms = Svms(owner, weights, intercepts, places if row.places else None)
    return Method(row.name, svms, Blend(classes, owner, slope, offset, row.normalisation, row.weight), row.cost)


def check_fits(model: Model, classifier: Classifier, folder: Path) -> None:
    """Refuses a model whose places in the network are not there, or have other sizes, in one pass.

    Args:
        model: The model.
        classifier: The network that it was made from.
        folder: The model's folder, for messages.

    Raises:
        UserError: They do not fit.
    """
    svms = next(one.svms for one in model.methods if one.svms is not None)
    placed = next((one.svms.places for one in model.methods if one.svms and one.svms.places), None)
    try:
        with classifier:
            seen = look(classifier, model.tap, [np.zeros((*classifier.frame.size, 3), np.uint8)])
            shapes = map_shapes(classifier, model.tap.maps)
    except UserError:
        raise
    except Exception as error:  # a module that is not there, or whose output is no vector and no map
        raise UserError(f"{folder} does not fit {classifier.spec}: {error}: specialise again") from None
    if placed is None:
        fits = seen.vectors.shape[1] == svms.weights.shape[1]
    else:
        fits = shapes == placed.shapes and seen.vectors.shape[1] == placed.end
    if not fits or model.method.blend.classes.max() >= seen.logits.shape[1]:
        raise UserError(f"{folder} does not fit the features or classes of {classifier.spec}: specialise again")


def base_classifier(
    model: Model, folder: Path, device: str = "auto", *, given: str | None = None, trust: bool = False
) -> Classifier:
    """The network that a model was made from; see `masks.networks.reload.load_recorded`.

    Raises:
        UserError: It cannot be had by name, is another one now, or is in a Python file that nobody said may be run.
    """
    recorded = model.about["model"]
    if not recorded["config"]:
        raise UserError(f"{folder} was made from Python: give its classifier, specialize.load(folder, classifier)")
    found = load_recorded(recorded["config"], recorded["fingerprint"], folder, device, given=given, trust=trust)
    check_fits(model, found, folder)
    return found


def load(
    folder: Path | str, classifier: Classifier | None = None, *, device: str = "auto", trust: bool = False
) -> Classifier:
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
    else:
        check_fits(model, classifier, folder)
    return specialized(classifier, model.tap, model.method)
