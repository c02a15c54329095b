"""Estimates the statistics of HOG that whiten descriptors of proposals.

    python scripts/estimate_hog_statistics.py FOLDER --out clustering/data/hog_statistics.npz

FOLDER contains some hundred natural photographs (.jpg, .jpeg, .png) that are not of the classes to be summarised. Each
is used at several scales, because proposals of all sizes are resized to one. The result is one file: mean, covariance
per cell offset (float32), numbers of photographs and of cells, and how it was made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.descriptors.hog import CELL, hog
from visual_summaries.clustering.descriptors.whitening import estimate_statistics


def hog_maps(path: Path, sides: list[int]) -> Iterator[NDArray[np.float32]]:
    """HOG maps of one photograph, its shorter side resized to each of `sides` pixels."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path}: not a readable image; remove it from the folder")
    height, width = image.shape[:2]
    for side in sides:
        size = [round(length * side / min(height, width) / CELL) * CELL for length in (width, height)]
        shrinks = side < min(height, width)
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        yield hog(resized[None].astype(np.float32))[0]


def main() -> None:
    """Reads the command line, estimates and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 181, 256, 362, 512])
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    if not paths:
        parser.error(f"{arguments.folder} holds no .jpg, .jpeg or .png")
    with threadpool_limits(limits=1):  # small products: threads would make them slower
        statistics = estimate_statistics(hog_maps(path, arguments.sides) for path in paths)
    np.savez_compressed(
        arguments.out,
        mean=statistics.mean.astype(np.float32),
        covariance=statistics.covariance.astype(np.float32),
        photos=statistics.photos,
        cells=statistics.cells,
        made=f"HOG of natural photographs, shorter sides {arguments.sides} px",
    )
    print(f"{statistics.photos} photographs, {statistics.cells} cells: {arguments.out}")


if __name__ == "__main__":
    main()
