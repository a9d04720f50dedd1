"""The rooms of the house: folders of the repository that are packages of `dgnet` by a link."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.name for path in (ROOT / "dgnet").iterdir() if path.is_symlink())
FOLDERS = ["benchmarks", "dgnet", *ROOMS, "tests"]


def sources(suffix: str = ".py") -> list[Path]:
    """Every file of ours with this suffix, once: links are not followed, what was made elsewhere
    stays as it came.
    """
    found = (path for name in FOLDERS for path in sorted((ROOT / name).rglob(f"*{suffix}")))
    return [path for path in found if "vendor" not in path.parts]
