"""Slow definitions of tests/reference are found from here, whatever way pytest was started."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # for `tests.reference`
    sys.path.insert(0, str(ROOT))
