"""``visual-summaries evaluate boost``: what a specialised network gains and harms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Seed
from visual_summaries.summaries.cli.parsing import check_folders, parse, told
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.progress import progress

EXAMPLE = """visual-summaries world runs/val --seed 2 &&
  visual-summaries evaluate boost models/demo --val runs/val/images"""
"""Of the model that the example of ``specialize`` makes."""


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(evaluate_boost, arguments, "evaluate boost", EXAMPLE)


def evaluate_boost(
    folder: Annotated[tyro.conf.Positional[Path], told("MODEL")],
    val: Annotated[Path, told("DIR")],
    others_val: Annotated[Path | None, told("DIR", "those that were kept from training")] = None,
    allow_summary_images: bool = False,
    seed: Annotated[Seed, told("N")] = 0,
    device: Annotated[str, told("NAME")] = "auto",
    model: Annotated[str | None, told("SPEC", "")] = None,
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Writes boost.json, boost.html and pareto.png into the model folder, and prints the table.

    Args:
        folder: Model folder, as `visual-summaries specialize` wrote it.
        val: Photographs of the specialised classes, a folder a class. Training images and their near-duplicates
            are refused.
        others_val: Photographs of other classes, as --others of `specialize`.
        allow_summary_images: Evaluate on images that are part of a summary, too.
        seed: Of the bootstrap.
        device: auto, cpu or cuda.
        model: The network of the folder, where it is a Python file: what was --model of `run`.
        trust: Run the Python file that the folder names.
    """
    if not (folder / "model.json").is_file():
        raise UserError(f"{folder} has no model.json: make it with `visual-summaries specialize`")
    check_folders(val=val, others_val=others_val)
    from visual_summaries.specialize.boost import about_of, measure
    from visual_summaries.specialize.boost_results import table
    from visual_summaries.specialize.model import base_classifier, read_model
    from visual_summaries.specialize.report import write_page

    read = read_model(folder)
    with (
        claimed(folder, "model", option="FOLDER"),
        base_classifier(read, folder, device, given=model, trust=trust) as classifier,
    ):
        boost = measure(
            read,
            classifier,
            folder,
            val=val,
            others_val=others_val,
            allow_summary_images=allow_summary_images,
            seed=seed,
        )
        with progress("page", "pictures") as tick:
            page = write_page(folder, read, boost, classifier, about_of(read, folder, val, others_val), tick)
    print("\n".join([*table(boost.results), str(page)]))
