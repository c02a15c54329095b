"""``visual-summaries evaluate masks``: whether masks do what they say, beside other methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Seed
from visual_summaries.summaries.cli.again import recorded_classifier
from visual_summaries.summaries.cli.parsing import parse, told
from visual_summaries.summaries.files import write_bytes, write_csv, write_json, write_png
from visual_summaries.summaries.folders import check_free, claimed, remove_file
from visual_summaries.summaries.pipeline import recorded_settings
from visual_summaries.summaries.progress import progress
from visual_summaries.summaries.store import Run, find_runs

EXAMPLE = "visual-summaries evaluate masks runs/demo --out runs/masks"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(evaluate_masks, arguments, "evaluate masks", EXAMPLE)


def evaluate_masks(
    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], told("RUN ...", "")],
    out: Annotated[Path, told("DIR")],
    seed: Annotated[Seed, told("N")] = 0,
    baselines: bool = True,
    sanity: bool = True,
    device: Annotated[str, told("NAME")] = "auto",
    model: Annotated[str | None, told("SPEC", "")] = None,
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Writes masks.json, masks.csv, table.md, masks.png and examples.png, and prints the tables.

    Args:
        runs: Run folders, or folders of run folders: of one network, with the same options of masks.
        out: Folder for what is found.
        seed: Of random masks and random weights.
        baselines: Compare with Grad-CAM, RISE, extremal perturbations, random masks and discs of the same area.
        sanity: Make the masks again on the network with random weights.
        device: auto, cpu or cuda.
        model: The network of the runs, where it is a Python file: what was --model of `run`.
        trust: Run the Python file that the runs name.
    """
    if not runs:
        raise UserError("no RUN is given: give one run folder or more")
    found = [Run(path) for given in runs for path in find_runs(given) or [given]]
    check_free(out, "evaluation")  # before anything that takes long
    from visual_summaries.summaries.evaluation.mask_batches import check_alike
    from visual_summaries.summaries.evaluation.mask_figures import examples, figure
    from visual_summaries.summaries.evaluation.mask_metrics import MaskMetricsRow
    from visual_summaries.summaries.evaluation.mask_sanity import sanity_check
    from visual_summaries.summaries.evaluation.mask_tables import tables
    from visual_summaries.summaries.evaluation.masks import evaluate

    check_alike(found)
    with recorded_classifier(found[0].path, device, model, trust) as classifier, claimed(out, "evaluation"):
        with progress("masks", "images") as tick:
            evaluation = evaluate(found, classifier, seed=seed, baselines=baselines, tick=tick)
        if sanity and found[0].info["config"]["masks"] is None:
            settings = recorded_settings(found[0].path)
            with progress("random weights", "images") as tick:
                evaluation.sanity = sanity_check(found, classifier, settings, seed=seed, tick=tick)
        about = {"model": found[0].info["model"]["spec"], "runs": [run.path.name for run in found], "seed": seed}
        text = "\n".join(tables(evaluation))
        drawn = {"masks.png": figure(evaluation), "examples.png": examples(found)}
        # masks.json, the truth, is not there while the others are replaced: what is killed shows it
        remove_file(out / "masks.json")
        write_csv(out / "masks.csv", MaskMetricsRow, evaluation.rows)
        write_bytes(out / "table.md", f"{text}\n".encode())
        for name, picture in drawn.items():
            write_png(out / name, picture)
        write_json(out / "masks.json", about | evaluation.to_json())
    print(text)
