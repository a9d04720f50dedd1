"""Where a set for a store is made first."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def work_folder(url: str) -> Path:
    """The same one for the same URL, so that `--resume` finds what is done."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    words = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")[-60:]
    digest = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:12]
    return cache / "dgnet" / "generate" / f"{words}-{digest}"
