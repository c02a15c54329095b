"""Object proposals, and the matching of parts between all images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from clustering.descriptors import describe
from clustering.matching import Features, mirror
from clustering.proposals import ProposalOptions, choose, not_redundant, selective_search
from clustering.similarity import similarity
from summaries.progress import Tick
from summaries.settings import Settings
from summaries.store import (
    Run,
    digest,
    read_npz,
    remove_others,
    write_npz,
)


def run_proposals(
    path: Path, options: ProposalOptions, *, seed: int, jobs: int, key: str, tick: Tick
) -> dict[str, int]:
    """Finds the object proposals of all frames, an image a core; images that have theirs are left alone."""
    run = Run(path)
    hashes = {row.id: row.sha256 for row in run.images if row.status == "ok"}
    missing = []
    for image in run.ids:
        file = _proposals_path(path, image)
        if not file.exists() or str(read_npz(file)["key"]) != digest([key, hashes[image]]):
            missing.append(image)
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(selective_search)(run.frame(image), options, seed) for image in missing
    )
    for done, (image, boxes) in enumerate(zip(missing, results, strict=True)):
        write_npz(_proposals_path(path, image), boxes=boxes, key=np.array(digest([key, hashes[image]])))
        tick(done + 1, len(missing))
    return {"images": len(run.ids), "images kept": len(run.ids) - len(missing)}


def _proposals_path(path: Path, image: str) -> Path:
    return path / "work" / "proposals" / f"{image}.npz"


def run_matching(path: Path, settings: Settings, *, jobs: int, tick: Tick) -> dict[str, float]:
    """Chooses the parts, matches all pairs of images, removes redundant parts: writes ``work/similarity.npz``."""
    run = Run(path)
    ids = run.ids
    chosen, sizes = [], []
    features = path / "work" / "features"
    for image in ids:
        proposals = choose(read_npz(_proposals_path(path, image))["boxes"], run.mask(image).binary, settings.proposals)
        frame = run.frame(image)
        arrays = {"descriptors": describe(frame, proposals.boxes)}
        if settings.similarity.mirrored:
            turned = np.ascontiguousarray(frame[:, ::-1])
            arrays["mirrored"] = describe(turned, mirror(proposals.boxes, frame.shape[1]))
        write_npz(features / f"{image}.npz", compress=False, **arrays)
        chosen.append(proposals)
        sizes.append((frame.shape[0], frame.shape[1]))

    def load(index: int) -> Features:
        arrays = read_npz(features / f"{ids[index]}.npz")
        return Features(arrays["descriptors"], chosen[index].boxes, sizes[index], arrays.get("mirrored"))

    found = similarity(load, [p.kept for p in chosen], settings.similarity, jobs=jobs, progress=tick)
    stays = []
    for index, proposals in enumerate(chosen):
        of_image = np.flatnonzero(found.image == index)
        alone = not_redundant(proposals.boxes[found.proposal[of_image]], found.quality[of_image], settings.proposals)
        stays.append(of_image[alone])
    parts = np.concatenate(stays) if stays else np.zeros(0, np.int64)
    boxes = [chosen[i].boxes[j] for i, j in zip(found.image[parts], found.proposal[parts], strict=True)]
    regions = [chosen[i].region[j] for i, j in zip(found.image[parts], found.proposal[parts], strict=True)]
    write_npz(
        path / "work" / "similarity.npz",
        matrix=found.matrix[np.ix_(parts, parts)],
        image=found.image[parts],
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        region=np.array(regions, np.int32),
    )
    remove_others(features, set())
    per_image = np.bincount(found.image[parts], minlength=len(ids))
    return {
        "proposals": sum(len(p.boxes) for p in chosen),
        "on the mask": len(found.image),
        "parts": len(parts),
        "parts an image, mean": round(float(per_image.mean()), 1),
        "parts an image, least": int(per_image.min()),
        "parts an image, most": int(per_image.max()),
    }
