"""Object proposals, and the matching of parts between all images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from visual_summaries.clustering.clusters.matched import Matched
from visual_summaries.clustering.descriptors.choose import deep_encoder
from visual_summaries.clustering.descriptors.hog import describe
from visual_summaries.clustering.descriptors.projection import learn
from visual_summaries.clustering.matching.pairs import all_pairs, encode, nearest_pairs
from visual_summaries.clustering.matching.proposal_flow import Features, mirror
from visual_summaries.clustering.matching.similarity import ON_DEVICE, similarity
from visual_summaries.clustering.matching.tiles import Tile
from visual_summaries.clustering.options import ProposalOptions, count_neighbours
from visual_summaries.clustering.parts.part_boxes import PartBoxes
from visual_summaries.clustering.parts.proposals import choose, not_redundant, selective_search
from visual_summaries.masks.errors import UserError
from visual_summaries.masks.networks.classifier import Classifier
from visual_summaries.summaries.arrays import Array, read_arrays
from visual_summaries.summaries.backend import in_processes, in_threads
from visual_summaries.summaries.files import digest, write_npz
from visual_summaries.summaries.folders import inside, remove_files
from visual_summaries.summaries.progress import Tick, progress, say
from visual_summaries.summaries.settings import Settings
from visual_summaries.summaries.similarity_file import write_matched
from visual_summaries.summaries.store import Run

Network = Callable[[], AbstractContextManager[Classifier]]
"""Gives the network under explanation, to be used inside its context."""

Describer = Callable[[NDArray[np.uint8], NDArray[np.float32]], NDArray[np.float32]]
"""Gives the descriptors (M, D) of the boxes (M, 4) of an image."""


def run_proposals(
    path: Path, options: ProposalOptions, *, seed: int, jobs: int, key: str, tick: Tick
) -> dict[str, int]:
    """Finds the object proposals of all frames, an image a core; images that have theirs are left alone."""
    run = Run(path)
    hashes = {row.id: row.sha256 for row in run.images if row.status == "ok"}
    missing = []
    for image in run.ids:
        found = read_again(_proposals_path(path, image), PROPOSALS)
        if found is None or str(found["key"]) != digest([key, hashes[image]]):
            missing.append(image)
    searches = (partial(selective_search, run.frame(image), options, seed) for image in missing)
    results = in_processes(searches, count=len(missing), jobs=jobs)
    for done, (image, boxes) in enumerate(zip(missing, results, strict=True)):
        write_npz(_proposals_path(path, image), boxes=boxes, key=np.array(digest([key, hashes[image]])))
        tick(done + 1, len(missing))
    return {"images": len(run.ids), "images kept": len(run.ids) - len(missing)}


PROPOSALS = {"boxes": Array("f", ("boxes", 4)), "key": Array("U", ())}
BASIS = {"basis": Array("f", ("long", "short"))}
TILE = {"found": Array("u", ("bytes",)), "values": Array("f", ("values",), 0)}


def read_again(path: Path, schema: Mapping[str, Array], **sides: int) -> dict[str, NDArray[Any]] | None:
    """Arrays of an intermediate file; None where it is missing or damaged, and has to be made again."""
    try:
        return read_arrays(path, schema, **sides)
    except UserError as error:
        if path.exists():
            say(f"  {error}: it is made again")
        return None


def _proposals_path(path: Path, image: str) -> Path:
    return inside(path, "work", "proposals", f"{image}.npz")


class TileFolder:
    """Similarities of pairs of images in a folder, a tile a file (see `clustering.matching.tiles.Store`).

    Attributes:
        folder: The folder.
        new: Numbers of the tiles that were not there before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.new: set[int] = set()

    def __contains__(self, number: object, /) -> bool:
        return read_again(self._file(number), TILE) is not None

    def __getitem__(self, number: int, /) -> Tile:
        return Tile(**read_arrays(self._file(number), TILE))

    def __setitem__(self, number: int, tile: Tile, /) -> None:
        write_npz(self._file(number), compress=False, found=tile.found, values=tile.values)
        self.new.add(number)

    def _file(self, number: object) -> Path:
        return self.folder / f"{number}.npz"


def run_matching(
    path: Path, settings: Settings, network: Network, *, device: str, jobs: int, key: str, tick: Tick
) -> dict[str, Any]:
    """Chooses the parts, matches pairs of images, removes redundant parts: writes ``work/similarity.npz``.

    What was computed under the same key before a kill is not computed again. A GPU matches several pairs at once, and
    its sums differ from the processor's by roundings; a run that moves to another device keeps what it has.
    """
    run = Run(path)
    ids = run.ids
    pairs = _pairs(run, settings.similarity.pairs, network)
    work = inside(path, "work", "matching", digest([key, pairs.tolist()]))
    for other in sorted(work.parent.iterdir()) if work.parent.is_dir() else ():
        if other != work:
            remove_files(other)
    masks = [run.mask(image).binary for image in ids]
    chosen = [
        choose(read_arrays(_proposals_path(path, image), PROPOSALS)["boxes"], mask, settings.proposals)
        for image, mask in zip(ids, masks, strict=True)
    ]
    files = [work / "features" / f"{image}.npz" for image in ids]
    boxes_of = [proposals.boxes for proposals in chosen]
    deep = _describe_all(run, boxes_of, files, settings, network, jobs)
    sizes = [(mask.shape[0], mask.shape[1]) for mask in masks]
    features = Array("f", ("boxes", "numbers"))
    described = {"descriptors": features, "mirrored": replace(features, optional=True)}

    def load(index: int) -> Features:
        arrays = read_arrays(files[index], described, boxes=len(chosen[index].boxes))
        return Features(arrays["descriptors"], chosen[index].boxes, sizes[index], arrays.get("mirrored"))

    options = settings.similarity
    if deep:
        options = replace(options, matching=replace(options.matching, power=settings.appearance.power))
    tiles = TileFolder(work / "tiles")
    found = similarity(
        load,
        [p.kept for p in chosen],
        options,
        pairs=pairs,
        store=tiles,
        each=partial(in_threads, jobs=min(jobs, ON_DEVICE) if device.startswith("cuda") else jobs),
        device=torch.device(device) if device.startswith("cuda") else None,
        progress=tick,
    )
    stays, looked = [], []
    for index, proposals in enumerate(chosen):
        of_image = np.flatnonzero(found.image == index)
        quality = found.quality[of_image]
        alone = of_image[not_redundant(proposals.boxes[found.proposal[of_image]], quality, settings.proposals)]
        best = of_image[np.argsort(-quality, kind="stable")[: settings.proposals.max_candidates]]
        stays.append(alone)
        looked.append(np.union1d(alone, best))
    parts, boxes = (np.concatenate(indices) if indices else np.zeros(0, np.int64) for indices in (stays, looked))
    places = list(zip(found.image[boxes], found.proposal[boxes], strict=True))
    matched = Matched(
        similarity=found.between(boxes, parts),
        owner=found.image[boxes],
        parts=np.searchsorted(boxes, parts),
        where=PartBoxes(
            corners=np.array([chosen[i].boxes[j] for i, j in places], np.float32).reshape(-1, 4),
            region=np.array([chosen[i].region[j] for i, j in places], np.int32),
        ),
        pairs=None if len(pairs) == len(all_pairs(len(ids))) else pairs,
    )
    write_matched(path / "work" / "similarity.npz", matched)
    remove_files(work.parent)
    per_image = np.bincount(found.image[parts], minlength=len(ids))
    return {
        "descriptor": "deep" if deep else "hog",
        "pairs": len(pairs),
        "pairs kept": len(pairs) - sum(len(found.tiles[number]) for number in tiles.new),
        "proposals": sum(len(p.boxes) for p in chosen),
        "on the mask": len(found.image),
        "parts": len(parts),
        "parts an image, mean": round(float(per_image.mean()), 1),
        "parts an image, least": int(per_image.min()),
        "parts an image, most": int(per_image.max()),
    }


def _pairs(run: Run, wanted: str, network: Network) -> NDArray[np.int64]:
    """The pairs of images to match, by their indices among the run's."""
    neighbours = count_neighbours(wanted)
    if neighbours is None or neighbours >= len(run.ids) - 1:
        return all_pairs(len(run.ids))
    with network() as classifier:
        return nearest_pairs(encode(classifier, map(run.frame, run.ids)), neighbours)


def _describe_all(
    run: Run,
    boxes: Sequence[NDArray[np.float32]],
    files: Sequence[Path],
    settings: Settings,
    network: Network,
    jobs: int,
) -> bool:
    """Writes the descriptors of all images that have none yet; tells whether they are deep ones."""

    def write(index: int, describer: Describer) -> None:
        if not files[index].exists():
            frame = run.frame(run.ids[index])
            _describe(frame, boxes[index], settings.similarity.mirrored, describer, files[index])

    with ExitStack() as stack:
        tick = stack.enter_context(progress("descriptors", "images"))
        encoder = None
        if settings.appearance.descriptor != "hog":
            encoder = deep_encoder(stack.enter_context(network()), settings.appearance)
        if encoder is not None:
            reduced = _reduced(run, boxes, files, encoder.describe, settings.appearance.numbers)
            for index in range(len(files)):
                write(index, reduced)
                tick(index + 1, len(files))
            return True
        # Threads, with one BLAS thread each, for the reasons of clustering.matching.similarity.
        stack.enter_context(threadpool_limits(limits=1))
        calls = (partial(write, index, describe) for index in range(len(files)))
        written = in_threads(calls, count=len(files), jobs=jobs)
        for done, _ in enumerate(written, 1):
            tick(done, len(files))
    return False


def _reduced(
    run: Run, boxes: Sequence[NDArray[np.float32]], files: Sequence[Path], describer: Describer, numbers: int
) -> Describer:
    """A describer in fewer numbers, by a basis that is made once of some of the images, and kept beside the files."""
    if not any(map(len, boxes)):
        return describer
    file = files[0].parents[1] / "basis.npz"
    if read_again(file, BASIS) is None:

        def describe_one(index: int) -> NDArray[np.float32]:
            return describer(run.frame(run.ids[index]), boxes[index])

        directions = learn([len(one) for one in boxes], describe_one, numbers, seed=0)
        write_npz(file, compress=False, basis=directions)
    directions = read_arrays(file, BASIS)["basis"]

    def reduced(frame: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.float32]:
        described = describer(frame, places)
        with threadpool_limits(limits=1):  # sums must not depend on how many threads there are
            shorter: NDArray[np.float32] = described @ directions
        return shorter

    return reduced


def _describe(
    frame: NDArray[np.uint8], boxes: NDArray[np.float32], mirrored: bool, describer: Describer, file: Path
) -> None:
    arrays = {"descriptors": describer(frame, boxes)}
    if mirrored:
        turned = np.ascontiguousarray(frame[:, ::-1])
        arrays["mirrored"] = describer(turned, mirror(boxes, frame.shape[1]))
    write_npz(file, compress=False, **arrays)
