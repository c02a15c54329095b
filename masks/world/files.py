"""The world as files: pictures in class folders, and the ground truth beside them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from visual_summaries.masks.world.catalogue import CLASSES, MARK, MARK_RATE, SIZE, WorldClass, folder_name
from visual_summaries.masks.world.scene import draw

_WRITE = 3
"""Spawn key of the pictures in files; see ``masks.world.scene``."""


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write(
    out: Path,
    images: int = 30,
    seed: int = 0,
    *,
    classes: Sequence[WorldClass] = CLASSES,
    without: str | None = None,
    save: Callable[[Path, bytes], None] = _save,
) -> None:
    """Writes pictures of classes and the true mask of every part.

    ``out/images/CLASS/ID.png`` is a picture, ``out/truth/CLASS/ID.npz`` holds one bool (H, W) array of visible
    pixels per visible part, under the part's name, and ``out/world.json`` describes the classes. The same seed
    gives the same bytes. Different seeds have no picture in common, nor has any seed one with the training pictures.

    Args:
        out: Folder to write to; created if missing.
        images: Pictures per class, at least 1.
        seed: At least 0.
        classes: Names of classes to write; the pictures of a class do not depend on the other classes.
        without: Name of a part, or ``"mark"``: the same pictures, drawn without it.
        save: Writes a file; the default creates its folder if missing.

    Raises:
        ValueError: If ``images`` or ``seed`` is out of range, or no class has such a part.
    """
    if images < 1:
        raise ValueError(f"images={images} must be at least 1")
    if seed < 0:
        raise ValueError(f"seed={seed} must be at least 0")
    known = sorted({part for kind in classes for part in kind.parts} | {MARK})
    if without is not None and without not in known:
        raise ValueError(f"without={without!r} is no part of these classes; choose one of: {', '.join(known)}")
    for kind in classes:
        index = CLASSES.index(kind)
        folder = folder_name(kind.name)
        for k in range(images):
            sequence = np.random.SeedSequence(seed, spawn_key=(_WRITE, index, k))
            scene = draw(kind.name, np.random.default_rng(sequence), without=without)
            name = f"{folder}_{k:04d}"
            save(out / "images" / folder / f"{name}.png", cv2.imencode(".png", scene.image[:, :, ::-1])[1].tobytes())
            truth = io.BytesIO()
            np.savez_compressed(truth, **scene.parts)  # type: ignore[arg-type]
            save(out / "truth" / folder / f"{name}.npz", truth.getvalue())
    described = {
        "classes": [asdict(kind) for kind in classes],
        "pairs": [[kind.name, kind.pair] for kind in CLASSES[::2] if kind in classes],
        "mark": {"class": next(kind.name for kind in CLASSES if kind.marked), "part": MARK, "rate": MARK_RATE},
        "size": SIZE,
        "seed": seed,
        "images": images,
        **({"without": without} if without is not None else {}),
    }
    save(out / "world.json", (json.dumps(described, indent=2) + "\n").encode())
