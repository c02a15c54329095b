"""``python -m summaries`` is ``visual-summaries``."""

from visual_summaries.summaries.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
