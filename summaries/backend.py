"""How much of the machine a run takes: cores, threads and processes."""

from __future__ import annotations

import os
import sys


def cores() -> int:
    """Cores that this process may use: its affinity and its container's quota count, >= 1."""
    from joblib import cpu_count  # here, because it is slow to import

    allowed = [int(cpu_count())]
    if sys.version_info >= (3, 13):
        allowed.append(os.process_cpu_count() or 1)
    return min(allowed)
