"""A specialised network, and its folder: ``model.json`` and ``model.npz``, nothing that could run code.

``load`` returns a classifier with the interface of the original one: images in, logits out, with gradients. It can be
evaluated, and masks and summaries can be computed for it.
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
from visual_summaries.specialize.features import Tap, extract, map_shapes, tapped
from visual_summaries.specialize.svm import Svms, decide
from visual_summaries.specialize.tuning import Method
from visual_summaries.specialize.windows import WindowPooling
from visual_summaries.summaries.arrays import read_arrays
from visual_summaries.summaries.files import read_json, write_json, write_npz
from visual_summaries.summaries.folders import inside


@dataclass(frozen=True)
class Model:
    """The contents of a model folder.

    Attributes:
        tap: Where features are read.
        methods: The method of the summaries first, then the controls.
        summaries: A row for each SVM of the first method.
        about: Network, options, chosen hyperparameters, versions: plain data.
    """

    tap: Tap
    methods: list[Method]
    summaries: list[SummaryRow]
    about: dict[str, Any]

    @property
    def method(self) -> Method:
        """The method of the summaries."""
        return self.methods[0]


class SpecializedNetwork(nn.Module):
    """A network whose logits are blended with the decision values of SVMs on its own features.

    Args:
        classifier: The network that is specialised.
        tap: Where features are read.
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
        self.pooling = method.svms.pooling
        self.register_buffer("weights", torch.from_numpy(method.svms.weights))
        self.register_buffer("intercepts", torch.from_numpy(method.svms.intercepts))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W): logarithms of probabilities."""
        with tapped(self.network, self.tap) as vectors:
            logits = self.reading.logits(self.network, images)
            decisions = decide(vectors(), self.weights, self.intercepts, self.pooling)
        return blended(logits, decisions, self.blend)


def specialized(classifier: Classifier, tap: Tap, method: Method) -> Classifier:
    """The classifier specialised by a method; the given one is not changed."""
    return classifier.with_network(SpecializedNetwork(classifier, tap, method), spec=f"{classifier.spec}, specialised")


def save_model(folder: Path, model: Model) -> None:
    """Writes ``model.npz``, and last ``model.json``."""
    write_arrays(folder, model)
    write_description(folder, model)


def write_arrays(folder: Path, model: Model) -> None:
    """Writes ``model.npz``; the folder is no model until `write_description` is called."""
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
    """Writes ``model.json``, after all other files."""
    methods = [
        MethodRow(
            name=method.name,
            normalisation=method.blend.normalisation,  # type: ignore[arg-type]
            weight=method.blend.weight,
            cost=method.cost,
            windows=method.svms is not None and method.svms.pooling is not None,
        )
        for method in model.methods
    ]
    described = {
        "format": FORMAT,
        "tap": asdict(model.tap),
        "windows": next((asdict(one.svms.pooling) for one in model.methods if one.svms and one.svms.pooling), None),
        "methods": [asdict(row) for row in methods],
        "summaries": [asdict(row) for row in model.summaries],
    }
    info = described | model.about
    write_json(folder / "model.json", info | {"digests": digests_of(folder, info)})


def read_model(folder: Path) -> Model:
    """Reads and checks a model folder.

    Raises:
        UserError: It is no model folder, has another format version, is damaged, or contains files of different models.
    """
    if not (folder / "model.json").is_file():
        raise UserError(f"{folder} has no model.json: make it with `visual-summaries specialize`")
    file = inside(folder, "model.json")
    info = read_json(file, dict[str, Any])
    if info.get("format") != FORMAT:
        raise UserError(
            f"{folder} has format {info.get('format')}, this version reads format {FORMAT}: specialise again"
        )
    described = read_json(file, Description)
    described.check(file)
    check_digests(folder, info, described.digests)
    file = inside(folder, "model.npz")
    arrays = read_arrays(file, described.schema(), **described.dimensions())
    described.check_arrays(arrays, file)
    methods = [_method(row, arrays, described.windows) for row in described.methods]
    known = ("format", "tap", "windows", "methods", "summaries", "digests")
    about = {name: value for name, value in info.items() if name not in known}
    return Model(described.tap, methods, described.summaries, about)


def _method(row: MethodRow, arrays: dict[str, NDArray[Any]], pooling: WindowPooling | None) -> Method:
    classes = arrays["classes"].astype(np.int64)
    if not row.trained:
        return Method(row.name, None, plain_blend(classes, np.zeros(0, np.int64), row.normalisation).at(row.weight))
    owner = arrays[f"{row.name}.owner"].astype(np.int64)
    weights, intercepts = (arrays[f"{row.name}.{name}"].astype(np.float32) for name in ("weights", "intercepts"))
    slope, offset = (arrays[f"{row.name}.{name}"].astype(np.float64) for name in ("slope", "offset"))
    svms = Svms(owner, weights, intercepts, pooling if row.windows else None)
    return Method(row.name, svms, Blend(classes, owner, slope, offset, row.normalisation, row.weight), row.cost)


def check_fits(model: Model, classifier: Classifier, folder: Path) -> None:
    """Refuses a model whose layers do not exist in a network, or have other sizes; takes one forward pass.

    Args:
        model: The model.
        classifier: The network that it was made from.
        folder: The model's folder, for messages.

    Raises:
        UserError: They do not fit.
    """
    svms = next(one.svms for one in model.methods if one.svms is not None)
    pooling = next((one.svms.pooling for one in model.methods if one.svms and one.svms.pooling), None)
    try:
        with classifier:
            extracted = extract(classifier, model.tap, [np.zeros((*classifier.frame.size, 3), np.uint8)])
            shapes = map_shapes(classifier, model.tap.maps)
    except UserError:
        raise
    except Exception as error:  # a module is missing, or its output is neither vector nor map
        raise UserError(f"{folder} does not fit {classifier.spec}: {error}: specialise again") from None
    if pooling is None:
        fits = extracted.vectors.shape[1] == svms.weights.shape[1]
    else:
        fits = shapes == pooling.shapes and extracted.vectors.shape[1] == pooling.end
    if not fits or model.method.blend.classes.max() >= extracted.logits.shape[1]:
        raise UserError(f"{folder} does not fit the features or classes of {classifier.spec}: specialise again")


def base_classifier(
    model: Model, folder: Path, device: str = "auto", *, given: str | None = None, trust: bool = False
) -> Classifier:
    """The network that a model was made from; see `masks.networks.reload.load_recorded`.

    Raises:
        UserError: It cannot be loaded by name, has changed, or is in a Python file that is not trusted.
    """
    recorded = model.about["model"]
    if not recorded["config"]:
        raise UserError(f"{folder} was made in Python: give its classifier, specialize.load(folder, classifier)")
    found = load_recorded(recorded["config"], recorded["fingerprint"], folder, device, given=given, trust=trust)
    check_fits(model, found, folder)
    return found


def load(
    folder: Path | str, classifier: Classifier | None = None, *, device: str = "auto", trust: bool = False
) -> Classifier:
    """The specialised classifier of a model folder.

    Args:
        folder: Written by ``visual-summaries specialize``.
        classifier: The network that it was made from; loaded by name if it is not given.
        device: auto, cpu or cuda, for a network that is loaded by its name.
        trust: Whether a Python file that the folder names may be run to load it.

    Raises:
        UserError: The folder is no model folder or is damaged, the classifier is another one, or the folder names a
            Python file and is not trusted.
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
