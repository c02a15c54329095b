"""The world as files: pictures in class folders, and beside them the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from masks.world.catalogue import CLASSES, MARK, MARK_RATE, SIZE, WorldClass, folder_name
from masks.world.scene import draw

_WRITE = 3
"""Spawn key of the pictures in files; see ``masks.world.scene``."""


def write(out: Path, images: int = 30, seed: int = 0, *, classes: Sequence[WorldClass] = CLASSES) -> None:
    """Writes pictures of classes and the true mask of every part.

    ``out/images/CLASS/ID.png`` is a picture, ``out/truth/CLASS/ID.npz`` holds one bool (H, W) array of visible
    pixels per visible part, under the part's name, and ``out/world.json`` describes the classes. The same seed
    gives the same bytes; different seeds, and the pictures that the networks were trained on, have no picture in
    common.

    Args:
        out: Folder to write to; made where missing.
        images: Pictures per class, at least 1.
        seed: At least 0.
        classes: Which classes; those left out change nothing in the others.

    Raises:
        ValueError: If ``images`` or ``seed`` is out of range.
    """
    if images < 1:
        raise ValueError(f"images={images} must be at least 1")
    if seed < 0:
        raise ValueError(f"seed={seed} must be at least 0")
    for kind in classes:
        index = CLASSES.index(kind)
        folder = folder_name(kind.name)
        for kept in ("images", "truth"):
            (out / kept / folder).mkdir(parents=True, exist_ok=True)
        for k in range(images):
            sequence = np.random.SeedSequence(seed, spawn_key=(_WRITE, index, k))
            scene = draw(kind.name, np.random.default_rng(sequence))
            name = f"{folder}_{k:04d}"
            if not cv2.imwrite(str(out / "images" / folder / f"{name}.png"), scene.image[:, :, ::-1]):
                raise OSError(f"cannot write to {out / 'images' / folder}")
            np.savez_compressed(out / "truth" / folder / f"{name}.npz", **scene.parts)  # type: ignore[arg-type]
    described = {
        "classes": [asdict(kind) for kind in classes],
        "pairs": [[kind.name, kind.pair] for kind in CLASSES[::2] if kind in classes],
        "mark": {"class": next(kind.name for kind in CLASSES if kind.marked), "part": MARK, "rate": MARK_RATE},
        "size": SIZE,
        "seed": seed,
        "images": images,
    }
    (out / "world.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
