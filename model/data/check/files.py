"""Opens every picture of a data set once: is it whole, how large is it, which content has it.

Pictures are decoded to the end by what training reads them with, since a truncated file opens
without complaint. Threads do it, for decoders and hashes let go of Python's lock; no picture
outlives its own inspection, and `pictures` bounds what is decoded at once.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from dgnet.paths import local_path
from dgnet.pictures import FILE_LIMITS, PictureRefused, open_picture, read_file

ReportProgress = Callable[[int, int], None]
"""Called with the number of files inspected and of all files."""

# Tests shrink it.
MAX_PIXELS = FILE_LIMITS.pixels

# Results that wait in memory, and how soon an interruption is heard.
_FILES_AT_A_TIME = 512


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What one file turned out to be: the sizes in pixels of the upright picture, or `problem`,
    why it cannot be used.
    """

    digest: bytes = b""
    width: int = 0
    height: int = 0
    problem: str | None = None


def inspect_files(
    paths: Iterable[Path], progress: ReportProgress | None = None
) -> dict[Path, FileFacts]:
    """The facts of each file."""
    unique = list(dict.fromkeys(paths))
    facts: dict[Path, FileFacts] = {}
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 1)) as threads:
        for chunk in _chunks(unique):
            for path, found in zip(chunk, threads.map(inspect_file, chunk), strict=True):
                facts[path] = found
                if progress is not None:
                    progress(len(facts), len(unique))
    return facts


def inspect_file(path: str | Path) -> FileFacts:
    """Hashes and decodes one file; never raises because of what is in it."""
    path = local_path(path)
    try:
        data = read_file(path)
        width, height = open_picture(data, replace(FILE_LIMITS, pixels=MAX_PIXELS)).upright_size()
    except (PictureRefused, OSError) as error:
        return FileFacts(problem=str(error).replace(str(path), path.name))
    return FileFacts(digest=hashlib.sha256(data).digest(), width=width, height=height)


def _chunks(paths: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(paths), _FILES_AT_A_TIME):
        yield paths[start : start + _FILES_AT_A_TIME]
