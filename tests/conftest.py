"""What all tests share."""

import os

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def steady_threads():
    """Runs of one session are compared byte for byte: they take the same threads, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS") or str(torch.get_num_threads()))
        yield


@pytest.fixture(autouse=True)
def denormals_rounded():
    """On before torch has threads, as `load_classifier` sees to it; no test leaves it off for the others."""
    torch.set_flush_denormal(True)
