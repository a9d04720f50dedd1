"""Opens every picture of a data set once: is it whole, how large is it, which content has it.

Pictures are decoded to the end, since a truncated file opens without complaint. Threads do it, for
decoders and hashes let go of Python's lock; no picture outlives its own inspection.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

Progress = Callable[[int, int], None]
"""Called with the number of files inspected and of all files."""

# Far beyond any crop of a person; as much is decoded at a time in each thread, 3 bytes a pixel.
MAX_PIXELS = 2**26

# Results that wait in memory, and how soon an interruption is heard.
_FILES_AT_A_TIME = 512


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What one file turned out to be. Sizes in pixels; `problem` says why it cannot be used."""

    digest: bytes = b""
    width: int = 0
    height: int = 0
    problem: str | None = None


def inspect_files(paths: Iterable[Path], progress: Progress | None = None) -> dict[Path, FileFacts]:
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


def inspect_file(path: Path) -> FileFacts:
    """Hashes and decodes one file; never raises because of what is in it."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        with Image.open(path) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return FileFacts(problem=f"{width}x{height} pixels are too many to decode")
            picture.load()
    except MemoryError:
        raise
    except UnidentifiedImageError:
        return FileFacts(problem="its content is of no known format")
    except Exception as error:  # decoders raise anything at damaged bytes
        return FileFacts(problem=str(error).replace(str(path), path.name) or type(error).__name__)
    return FileFacts(digest=digest, width=width, height=height)


def _chunks(paths: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(paths), _FILES_AT_A_TIME):
        yield paths[start : start + _FILES_AT_A_TIME]
