"""``visual-summaries evaluate matching``: proposal flow on its own benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from visual_summaries.masks.options import Range, Seed
from visual_summaries.summaries.backend import cores
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.evaluation.pf_willow import read_benchmark
from visual_summaries.summaries.files import write_csv, write_json, write_png
from visual_summaries.summaries.folders import check_free, claimed, remove_file
from visual_summaries.summaries.progress import progress, say

if TYPE_CHECKING:
    from visual_summaries.summaries.evaluation.matching import PckRow

EXAMPLE = "visual-summaries evaluate matching PF-WILLOW --model lite0 --out runs/matching"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(evaluate_matching, arguments, "evaluate matching", EXAMPLE)


def evaluate_matching(
    folder: Annotated[tyro.conf.Positional[Path], told("PF-WILLOW")],
    out: Annotated[Path, told("DIR")],
    model: Annotated[str, told("SPEC")] = "lite0",
    weights: Annotated[str | None, told("FILE", "the model's own")] = None,
    proposals: Annotated[int, Range(ge=1), told("N")] = 500,
    seed: Annotated[Seed, told("N")] = 0,
    jobs: Annotated[int | None, Range(ge=1), told("N", "one per core")] = None,
    device: Annotated[str, told("NAME")] = "auto",
) -> None:
    """Writes matching.json, matching.csv and matching.png, and prints the table.

    Args:
        folder: PF-WILLOW: a folder a class, each image with its keypoints beside it (NAME.png, NAME.mat).
        out: Folder for what is found; proposals are kept in its work/.
        model: Network of the deep descriptors: lite0, torchvision:NAME, timm:NAME or FILE.py:FUNCTION.
        weights: State dict of the model, read without running code in it; "none" for random weights.
        proposals: Boxes an image, at most.
        seed: Of the proposals' ranks.
        jobs: Processes that look for proposals.
        device: auto, cpu or cuda, for the network.
    """
    check_free(out, "evaluation")
    classes = read_benchmark(folder)
    from visual_summaries.clustering.descriptors.deep import DeepEncoder
    from visual_summaries.masks.networks.models import choose_device, load_classifier
    from visual_summaries.summaries.evaluation.matching import describe_images, evaluate, find_boxes, table
    from visual_summaries.summaries.evaluation.matching_figure import figure

    images = [image for of in classes.values() for image in of]
    say(f"{len(images)} images of {len(classes)} classes, {len({image.content for image in images})} of them distinct")
    with claimed(out, "evaluation"):
        with load_classifier(model, weights=weights, device=choose_device(device)) as classifier:
            with progress("proposals", "images") as tick:
                boxes = find_boxes(images, out / "work", count=proposals, seed=seed, jobs=jobs or cores(), tick=tick)
            encoder = DeepEncoder(classifier)
            with progress("descriptors", "images") as tick:
                described = describe_images(images, boxes, encoder, tick)
        with progress("matching", "pairs") as tick:
            found = evaluate(classes, described, proposals=proposals, tick=tick)
        about = {"model": model, "layers": encoder.names, "seed": seed}
        drawn = figure(found)
        # matching.json, the truth, is not there while the others are replaced: what is killed shows it
        remove_file(out / "matching.json")
        write_csv(out / "matching.csv", Line, map(_line, found.rows))
        write_png(out / "matching.png", drawn)
        write_json(out / "matching.json", about | {"rows": found.to_json()})
    print("\n".join(table(found.rows)))


@dataclass(frozen=True)
class Line:
    """A row of matching.csv: see `summaries.evaluation.matching.PckRow`."""

    method: str
    descriptor: str
    transfer: str
    proposals: int
    pairs: int
    classes: int
    setting: str | None
    pck_005: float
    pck_010: float
    pck_015: float


def _line(row: PckRow) -> Line:
    return Line(
        row.method, row.descriptor, row.transfer, row.proposals, row.pairs, row.classes, row.setting, *row.pck.values()
    )
