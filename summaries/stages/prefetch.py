"""Reads the frames of successive batches ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from visual_summaries.summaries.store import ImageRow, Run

Frames = list[npt.NDArray[np.uint8]]


def read_ahead(run: Run, batches: Sequence[Sequence[ImageRow]]) -> Iterator[Frames]:
    """The frames of each batch, uint8 (H, W, 3) each; the next batch is decoded while one is processed.

    At most two batches are in memory at a time.
    """

    def read(batch: Sequence[ImageRow]) -> Frames:
        return [run.frame(row.id) for row in batch]

    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: Future[Frames] | None = None
        for batch in batches:
            coming = pool.submit(read, batch)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
