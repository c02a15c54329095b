"""Masks of whole objects for PF-WILLOW: the bounding box of an image's keypoints, one PNG for each image.

    python scripts/pf_willow_masks.py PF-WILLOW masks/pf
    visual-summaries run PF-WILLOW --out runs/pf --model lite0 --target predicted --masks masks/pf
    visual-summaries evaluate summaries 'runs/pf/car(S)' --pf PF-WILLOW

A run with these masks instead of its own does not depend on what the network relies on: the evaluation then measures
proposals, matching and clustering only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from visual_summaries.masks.inputs.images import is_image_name, list_images
from visual_summaries.summaries.evaluation.pf_willow import read_benchmark
from visual_summaries.summaries.files import write_png


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path, help="the folder of PF-WILLOW")
    parser.add_argument("out", type=Path, help="folder for OUT/CLASS/ID.png")
    arguments = parser.parse_args()
    for of, images in read_benchmark(arguments.benchmark).items():
        known = {image.name.split("/", 1)[1]: image for image in images}
        for file in list_images(arguments.benchmark / of):
            if is_image_name(file.path):
                image = known[file.path.stem]
                mask = np.zeros(image.pixels.shape[:2], dtype=np.bool_)
                low, high = np.floor(image.keypoints.min(axis=0)), np.ceil(image.keypoints.max(axis=0))
                x0, y0, x1, y1 = np.maximum([*low, *high], 0).astype(int)
                mask[y0:y1, x0:x1] = True
                write_png(arguments.out / of / f"{file.id}.png", mask)


if __name__ == "__main__":
    main()
