"""Where this program keeps what it can make again: trained networks of the embedded world, compiled templates."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "VISUAL_SUMMARIES_CACHE"
"""The environment variable that names another folder than the user's cache folder."""


def cache_folder(name: str) -> Path:
    """The folder for one kind of files; it need not be there.

    Args:
        name: What is kept in it, for instance ``networks``.

    Returns:
        A folder of this name in ``VISUAL_SUMMARIES_CACHE`` where that is set, else in the user's cache folder.

    Examples:
        >>> cache_folder("networks").name
        'networks'
    """
    return Path(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("visual-summaries")) / name
