"""``python -m visual_summaries`` is the command ``visual-summaries``."""

import sys

from visual_summaries.summaries.cli import main

sys.exit(main())
