"""Seeded mutations of a model folder's files: an error of one line, or the answer of the folder as it was."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visual_summaries import specialize
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.inputs.images import Frame
from visual_summaries.masks.networks.classifier import Classifier, Normalisation
from visual_summaries.specialize.blend import Blend, plain_blend
from visual_summaries.specialize.description import SummaryRow, digests_of
from visual_summaries.specialize.feature_cache import FeatureCache
from visual_summaries.specialize.features import find_pooling, find_tap
from visual_summaries.specialize.image_uses import read_uses
from visual_summaries.specialize.model import Model, read_model, save_model
from visual_summaries.specialize.options import FeatureOptions, WindowOptions
from visual_summaries.specialize.photos import Photo
from visual_summaries.specialize.svm import Svms
from visual_summaries.specialize.tuning import Method
from visual_summaries.summaries.folders import claimed

MUTATIONS = 420
ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 3.7, 10**9, 2**70, -(2**63), 1e308, -1e308, float("nan"), float("inf")),
    *("", "../../x", "/etc/passwd", "a\0b", "\ud800", "x" * 5000, [], [[]], {}, {"a": 1}, [1] * 300),
]


def network() -> Classifier:
    """A network of three classes with feature maps, over frames of 32 pixels."""
    torch.manual_seed(0)
    made = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3, 2, 1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3),
    )  # fmt: skip
    plain = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return Classifier(made, frame=Frame((32, 32), 32, "bilinear"), normalisation=plain, spec="tiny")


def folder_of(classifier: Classifier, folder: Path, pictures: list[Path]) -> None:
    """A model folder with SVMs of windows, images.csv and cached features."""
    rng = np.random.default_rng(1)
    windows = WindowOptions(strides=(4, 8), grid=2, sizes=(0.5,), step=0.25)
    options = FeatureOptions(level="window", windows=windows)
    with classifier:
        tap = find_tap(classifier, options)
        pooling = find_pooling(classifier, tap, options)
        assert pooling is not None
        owner, classes = np.array([0, 1, 1]), np.array([0, 2])
        svms = [
            Svms(owner, rng.normal(size=(3, width)).astype(np.float32), rng.normal(size=3).astype(np.float32), of)
            for width, of in ((pooling.width, pooling), (pooling.start, None))
        ]
        blend = Blend(classes, owner, rng.uniform(0.5, 2, 3), rng.normal(size=3), "platt_filled", 0.7)
        nothing = plain_blend(classes, np.zeros(0, np.int64), "bonus").at(1.5)
        methods = [
            Method("summaries", svms[0], blend, 1.0),
            Method("one_per_class_all", svms[1], blend, 10.0),
            Method("logit_bonus", None, nothing),
        ]
        (folder / "images.csv").parent.mkdir(parents=True)
        lines = [f"{path},{'0' * 64},{'5' * 36},{k % 3},others_evaluation" for k, path in enumerate(pictures)]
        (folder / "images.csv").write_text("\n".join(["path,sha256,phash,label,role", *lines, ""]))
        fingerprint = classifier.fingerprint()
        about = {
            "model": {"spec": "tiny", "fingerprint": fingerprint, "config": {}},
            "classes": [{"index": index, "name": name, "wordnet": ""} for index, name in ((0, "a"), (2, "c"))],
            "options": {"tuning": {"harm_limit": 0.5}},
            "seed": 0,
            "tuned": {
                **{"cost": 1.0, "normalisation": "platt_filled", "weight": 0.7, "gain": 3.0, "harm": 0.1},
                **{"images": 3, "others": 4},
            },
        }
        rows = [SummaryRow("run", number, "", int(place), 3) for number, place in enumerate(owner)]
        save_model(folder, Model(tap, methods, rows, about))
        look_at(classifier, folder, pictures)


def look_at(classifier: Classifier, folder: Path, pictures: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and logits of pictures, with what the folder keeps of them."""
    cache = FeatureCache(classifier, read_model(folder).tap, folder / "work" / "features.npz", classifier.fingerprint())
    features, skipped = cache.photographs([Photo(path, 0) for path in pictures], lambda done, total: None)
    assert not skipped
    cache.save()
    return features.vectors, features.logits


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Path, list[Path]]:
    from PIL import Image

    root = tmp_path_factory.mktemp("base")
    pictures = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        pictures.append(root / f"{number}.png")
        Image.fromarray(pixels).save(pictures[-1])
    classifier = network()
    folder_of(classifier, root / "model", pictures)
    return classifier, root / "model", pictures


def answer(classifier: Classifier, folder: Path, pictures: list[Path]) -> list[np.ndarray]:
    """All that is read of a folder: blended logits, arrays of every method, uses of images, features."""
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with specialize.load(folder, classifier) as loaded, torch.inference_mode():
        found = [loaded.logits(images).numpy()]
    model = read_model(folder)
    for method in model.methods:
        blend = method.blend
        found += [blend.classes, blend.owner, blend.slope, blend.offset, np.array(blend.weight)]
        if method.svms is not None:
            found += [method.svms.owner, method.svms.weights, method.svms.intercepts]
    found.append(np.array([[use.label, use.path, use.phash] for use in read_uses(folder, 3)]))
    with classifier, claimed(folder, "model"):
        found += look_at(classifier, folder, pictures)
    return found


# --- mutations -----------------------------------------------------------------------------------------------


def flip(path: Path, rng: np.random.Generator) -> None:
    data = bytearray(path.read_bytes())
    for place in rng.integers(0, len(data), rng.integers(1, 4)):
        data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(data))


def cut(path: Path, rng: np.random.Generator) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(len(data)))])


def links(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    path.symlink_to(["/etc/passwd", "/dev/zero", "../..", "nowhere", str(path)][int(rng.integers(5))])


def absent(path: Path, rng: np.random.Generator) -> None:
    path.unlink()
    if rng.random() < 0.5:
        path.mkdir()


def spots(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within plain data."""
    yield where
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from spots(inner, (*where, name))


def odd_json(path: Path, rng: np.random.Generator) -> bool:
    """Another value somewhere; half of the time with the hashes of one who means harm."""
    data = json.loads(path.read_text())
    places = [where for where in spots(data) if where]
    *outer, name = places[int(rng.integers(len(places)))]
    inner = data
    for step in outer:
        inner = inner[step]
    kind = rng.random()
    if kind < 0.15:
        del inner[name]
    elif kind < 0.25 and isinstance(inner, list):
        inner.append(inner[name])
    else:
        inner[name] = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
    path.write_bytes(json.dumps(data).encode(errors="surrogatepass"))
    if sealed := bool(rng.random() < 0.5):
        seal(path.parent)
    return sealed


def odd_array(path: Path, rng: np.random.Generator) -> bool:
    """One array swapped, renamed, of another shape or kind, or with odd values; hashes are made to fit."""
    with np.load(path, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    names = sorted(arrays)
    name, other = (names[int(k)] for k in rng.integers(len(names), size=2))
    kind = int(rng.integers(9))
    value = arrays[name]
    if kind == 0:
        arrays[name], arrays[other] = arrays[other], arrays[name]
    elif kind == 1:
        del arrays[name]
    elif kind == 2:
        arrays[name] = np.resize(value, rng.integers(0, 6, size=int(rng.integers(4))))
    elif kind == 3:
        dtype = ["<U9", "f2", ">f8", "i1", "?", "c16", "u8"][int(rng.integers(7))]
        with np.errstate(invalid="ignore", over="ignore"):
            arrays[name] = (np.zeros(value.shape) if value.dtype.kind == "U" else value).astype(dtype)
    elif kind == 4 and value.size and value.dtype.kind in "fiu":
        flat = value.astype(np.float64).ravel()
        flat[int(rng.integers(flat.size))] = [np.nan, np.inf, -1, 1e38, 10**9, -(2**31), 7][int(rng.integers(7))]
        with np.errstate(invalid="ignore", over="ignore"):
            arrays[name] = flat.reshape(value.shape).astype([value.dtype, np.float64][int(rng.integers(2))])
    elif kind == 5:
        arrays[f"../{name}"] = arrays.pop(name)
    elif kind == 6:
        arrays[name] = np.array([{"a": 1}], dtype=object)
    elif kind == 7:
        arrays[name] = value[..., None]
    else:
        arrays[name] = np.concatenate([np.atleast_1d(value), np.atleast_1d(value)])
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    path.write_bytes(buffer.getvalue())
    seal(path.parent)
    return True


def odd_header(path: Path, rng: np.random.Generator) -> bool:
    """A shape that is a bomb, in a member whose checksum is right."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = sorted(members)[int(rng.integers(len(members)))]
    header = [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 5), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2 ** 99,), }",
        "__import__('os').system('true')",
        "((((((((((",
    ][int(rng.integers(7))]
    text = header.ljust(117) + "\n"
    members[name] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    seal(path.parent)
    return True


def odd_row(path: Path, rng: np.random.Generator) -> bool:
    """Another cell, a row too long or too short."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = rows[int(rng.integers(len(rows)))]
    kind = rng.random()
    if kind < 0.2:
        row.append("more")
    elif kind < 0.4:
        row.pop()
    else:
        values = ["", "-1", "nan", "9" * 30, "1e9", "../../x", '"', "\0", "99", "e" * 70, "true"]
        row[int(rng.integers(len(row)))] = values[int(rng.integers(len(values)))]
    path.write_text("\n".join(",".join(row) for row in rows))
    if sealed := bool(rng.random() < 0.5):
        seal(path.parent)
    return sealed


def seal(folder: Path) -> None:
    """Hashes that fit the files, as one who means harm would write them."""
    file = folder / "model.json"
    if file.is_file():
        data = json.loads(file.read_text())
        data.pop("digests", None)
        file.write_text(json.dumps(data | {"digests": digests_of(folder, data)}))


Mutation = Callable[[Path, np.random.Generator], bool | None]
"""Says whether the hashes were made to fit."""
ANY: tuple[Mutation, ...] = (flip, cut, links, absent)
FILES: dict[str, tuple[Mutation, ...]] = {
    "model.json": (*ANY, odd_json, odd_json, odd_json, odd_json),
    "model.npz": (*ANY, odd_array, odd_array, odd_array, odd_header),
    "images.csv": (*ANY, odd_row),
    "work/features.npz": (*ANY, odd_array, odd_array, odd_header),
}


def test_a_mutated_folder_is_an_error_of_one_line_or_the_same_answer(base, tmp_path, capsys):
    classifier, folder, pictures = base
    wanted = answer(classifier, folder, pictures)
    refused = 0
    for number in range(MUTATIONS):
        rng = np.random.default_rng([9, number])
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        file = sorted(FILES)[number % len(FILES)]
        mutate = FILES[file][int(rng.integers(len(FILES[file])))]
        sealed = mutate(copy / file, rng)
        what = f"{number}: {mutate.__name__} of {file}"
        found, fault = None, ""
        try:
            found = answer(classifier, copy, pictures)
        except UserError as error:
            fault = str(error)
            refused += 1
        except BaseException as error:
            raise AssertionError(what) from error
        assert "\n" not in fault.strip(), what
        if file == "work/features.npz" and mutate is not links:
            assert not fault, f"{what}: {fault}"  # it is made again
        if found is not None and not sealed:  # who means harm may write another model, of values that make one
            for one, other in zip(wanted, found, strict=True):
                assert np.array_equal(one, other), what
        assert [path.name for path in tmp_path.iterdir()] == [copy.name], what  # nothing was written beside it
        shutil.rmtree(copy)
    assert refused > MUTATIONS / 2
    assert capsys.readouterr().out == ""
