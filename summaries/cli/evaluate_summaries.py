"""``visual-summaries evaluate summaries``: whether a run's summaries mean anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from visual_summaries.masks.errors import UserError
from visual_summaries.masks.options import Seed
from visual_summaries.summaries.cli.again import recorded_classifier
from visual_summaries.summaries.cli.parsing import check_folders, parse, told
from visual_summaries.summaries.folders import claimed
from visual_summaries.summaries.pipeline import recorded_settings
from visual_summaries.summaries.progress import progress, say
from visual_summaries.summaries.store import Run

if TYPE_CHECKING:
    from visual_summaries.summaries.evaluation.part_arrays import Describer

EXAMPLE = "visual-summaries evaluate summaries runs/demo/steamer --truth runs/demo/world"


def main(arguments: Sequence[str]) -> None:
    """Runs the command."""
    parse(evaluate_summaries, arguments, "evaluate summaries", EXAMPLE)


def evaluate_summaries(
    run: Annotated[tyro.conf.Positional[Path], told("RUN")],
    truth: Annotated[Path | None, told("DIR", "")] = None,
    pf: Annotated[Path | None, told("DIR", "")] = None,
    encoder: Annotated[str | None, told("SPEC", "lite0, or lite1 where the run is of lite0")] = None,
    seed: Annotated[Seed, told("N")] = 0,
    device: Annotated[str, told("NAME")] = "auto",
    model: Annotated[str | None, told("SPEC", "")] = None,
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Writes RUN/evaluation/clusters.json and clusters.html, and prints the table.

    Args:
        run: Run folder, with its work/.
        truth: Folder that `visual-summaries world` wrote, or a folder of ID.npz with a mask per part.
        pf: PF-WILLOW, or its class folder that the run is of: its keypoints are the truth.
        encoder: Network that judges cohesion and separation, as --model of `run`, another one than the run's own.
        seed: Of random clusters, k-means and bootstrap samples.
        device: auto, cpu or cuda, for the encoder.
        model: The network of the run, where it is a Python file: what was --model of `run`.
        trust: Run the Python file that the run names.
    """
    if truth is not None and pf is not None:
        raise UserError("--truth and --pf are both given: give one of them")
    check_folders(truth=truth, pf=pf)
    found = Run(run)
    from visual_summaries.masks.networks.models import choose_device
    from visual_summaries.summaries.evaluation.cluster_metrics import table
    from visual_summaries.summaries.evaluation.cluster_page import write_page
    from visual_summaries.summaries.evaluation.clusters import evaluate
    from visual_summaries.summaries.evaluation.ground_truth import read_keypoints, read_truth
    from visual_summaries.summaries.evaluation.independent_encoder import crop_vectors, independent_encoder
    from visual_summaries.summaries.evaluation.part_arrays import read_similarities

    with claimed(run, "run", option="RUN"):
        read_similarities(found)  # before anything that takes long
        known = read_truth(found, truth) if truth is not None else read_keypoints(found, pf) if pf is not None else None
        independent = independent_encoder(found, encoder, choose_device(device))
        vectors = None
        if independent.classifier is None:
            say(f"cohesion and separation are skipped: {independent.reason}")
        else:
            with independent.classifier as classifier, progress("crops", "crops") as tick:
                vectors = crop_vectors(found, classifier, tick)
        with described(found, device, model, trust) as describer, progress("stability", "clusterings") as tick:
            evaluation = evaluate(found, truth=known, vectors=vectors, describer=describer, seed=seed, tick=tick)
        about = {
            "truth": known.source if known is not None else None,
            "encoder": {
                "spec": independent.classifier.spec if independent.classifier is not None else None,
                "skipped": independent.reason or None,
            },
            "seed": seed,
        }
        with progress("page", "summaries") as tick:
            page = write_page(found, evaluation, about, tick)
    print("\n".join([*table(evaluation), str(page)]))


@contextmanager
def described(run: Run, device: str, given: str | None, trust: bool) -> Iterator[Describer]:
    """What proposal flow described the boxes of a run with."""
    from visual_summaries.clustering.descriptors.deep import DeepEncoder
    from visual_summaries.clustering.descriptors.hog import describe

    counts = run.info["stages"].get("matching", {}).get("counts", {})
    if counts.get("descriptor") != "deep":
        yield describe
    elif not run.info["config"]["model"]:
        say("k-means is on HOG: the run was made from Python, its network is not at hand")
        yield describe
    else:
        with recorded_classifier(run.path, device, given, trust) as classifier:
            yield DeepEncoder(classifier, recorded_settings(run.path).appearance.deep).describe
