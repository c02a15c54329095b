"""A small run folder as the gallery meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from visual_summaries.summaries.files import write_csv, write_json, write_npz, write_png
from visual_summaries.summaries.names import write_names
from visual_summaries.summaries.store import ImageRow, MaskRow, PartRow, Run
from visual_summaries.summaries.summary import Member, Summary

SIDE = 64
WEIRD = 'a "b" <c>&#%é'
IDS = [f"image-{k:02d}" for k in range(12)] + [WEIRD, "<script>alert(1)</script>".replace("/", "")]

MakeRun = Callable[..., Run]


def _write_image(path: Path, image: str, seed: int) -> None:
    """A frame with a coloured blob on a gradient, and masks that show the blob."""
    ramp = np.linspace(40, 220, SIDE, dtype=np.float32)
    frame = np.stack([np.tile(ramp, (SIDE, 1)), np.tile(ramp[:, None], (1, SIDE)), np.full((SIDE, SIDE), 90)], 2)
    frame = np.ascontiguousarray(frame.astype(np.uint8))
    blob = np.zeros((SIDE, SIDE), np.uint8)
    centre = (20 + seed % 5 * 5, 24 + seed % 3 * 7)
    cv2.circle(blob, centre, 11, 255, -1)
    cv2.circle(frame, centre, 11, (200, 60 + seed, 40), -1)
    write_png(path / "frames" / f"{image}.png", frame)
    smooth = cv2.GaussianBlur(blob, (0, 0), 4).astype(np.float16) / 255
    write_npz(path / "masks" / f"{image}.npz", smooth=smooth, crisp=(blob > 0).astype(np.float16))
    write_png(path / "masks" / f"{image}.png", blob > 0)


def _cluster(number: int, images: list[str], first: int, kept: bool) -> Summary:
    members = [
        Member(
            first + k,
            image,
            (8.0, 10.0, 40.5, 44.0),
            1.0 if k == 0 else 0.9 - 0.02 * k,
            0.4 if images[1:] else None,
        )
        for k, image in enumerate(images)
    ]
    reason = "" if kept else f"<b>loose</b> cluster {number}"
    ssim = 0.4 if images[1:] else None
    dropped = ({"part": 0, "image": images[0], "reason": "too few alike"},) if number == 0 else ()
    return Summary(number, "", first, tuple(members), ssim, kept, reason, {"mean_similarity": 0.71}, dropped)


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """Writes a run folder; clusters are given by their images and whether they are kept."""
    monkeypatch.setattr(
        "visual_summaries.summaries.pages.drawing.SIDE", 128
    )  # the page is the subject here, not its pictures

    def make(
        name: str = "class #1 & %",
        clusters: tuple[tuple[list[str], bool], ...] = (
            (IDS, True),
            ([WEIRD, "image-03", "image-01"], True),
            (["image-05"], True),
            (["image-02", "image-04"], False),
            (["image-07"], False),
        ),
        ids: list[str] = IDS,
        names: dict[int, str] | None = None,
    ) -> Run:
        path = tmp_path / name
        target = {"index": 497, "name": 'church <"building">', "wordnet": "n03028079"}
        model = {"spec": "demo", "name": "A <network> & more"}
        info = {"format": 1, "versions": {}, "seed": 0, "model": model, "target": target, "config": {}}
        info |= {"frame": {"size": [SIDE, SIDE]}}
        write_json(path / "run.json", info)
        for seed, image in enumerate(ids):
            _write_image(path, image, seed)
        rows = [ImageRow(i, i, "0", SIDE, SIDE, "ok", "", 497, 0.9) for i in ids]
        rows.append(ImageRow("broken & <gone>", "x", "0", None, None, "skipped", "is no <image>", None, None))
        write_csv(path / "images.csv", ImageRow, rows)
        figures = (0.9, 0.05, 0.06, 0.07, 0.94, 0.93, -0.02, 0.3, 0.2, 0.18, 300, 1.5)
        write_csv(path / "masks.csv", MaskRow, [MaskRow(i, *figures) for i in ids])
        parts: list[PartRow] = []
        summaries: list[Summary] = []
        for number, (images, kept) in enumerate(clusters):
            summary = _cluster(number, images, len(parts), kept)
            summaries.append(summary)
            parts += [
                PartRow(m.part, m.image, 0, *m.box, number, int(k == 0), m.similarity)
                for k, m in enumerate(summary.members)
            ]
        write_csv(path / "parts.csv", PartRow, parts)
        write_json(path / "summaries.json", [s.to_json() for s in summaries])
        write_names(path, {1: 'the <i>"spire"</i> & co'} if names is None else names, summaries)
        return Run(path)

    return make
