"""A data root that becomes read-only or full at will: a file system of its own where that can be
mounted (as root), else a folder whose permissions are taken away.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

SIZE = "8m"


class Volume:
    """`folder` is the data root."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted

    def lock(self) -> None:
        """Nothing can be written or removed."""
        if self.is_mounted:
            self._mount("remount,ro")
        else:
            self._permit(0o555)

    def unlock(self) -> None:
        if self.is_mounted:
            self._mount("remount,rw")
        else:
            self._permit(0o755)

    def fill(self) -> Path:
        """Leaves no byte; the file that takes the room."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break
        return ballast

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True)

    def _permit(self, mode: int) -> None:
        folders = [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(mode)


@contextmanager
def volume(folder: Path) -> Generator[Volume]:
    """A new, empty volume at `folder`."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    is_mounted = (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    made = Volume(folder, is_mounted=is_mounted)
    try:
        yield made
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        else:
            made.unlock()
