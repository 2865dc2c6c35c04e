"""Where what costs time to find out or to build is kept, and may be lost."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Ours in the cache of this user; it may not be there yet. None where there is no home."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return cache / "vedette" if cache.is_absolute() else None
