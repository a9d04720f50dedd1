"""Keeps embeddings between runs, for exactly these weights and exactly these files.

One `.npz` a list of pictures, its name the hash of all that the embeddings depend on: weights,
arithmetic, version of the code, and path, size and time of change of every file. Something else
means another name, so nothing is ever out of date. A file that does not hold what its name promises
is made again. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from dgnet.arrays import Embeddings
from dgnet.files import replaced_file
from dgnet.model.data.picture import DatasetError, Picture
from dgnet.paths import local_path
from dgnet.release import RELEASE

CacheState = Literal["read", "written", "replaced"]
"""Found; made for the first time; found broken and made again."""

# Raise it whenever the same weights begin to embed the same files differently.
_FORMAT = 2

# What numpy and its zip reader raise for a damaged file; TypeError for a bare array.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class _BrokenError(ValueError):
    """The file is not the embeddings of these pictures."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingCache:
    """A folder of embeddings; any number of processes may share it."""

    directory: str | Path
    model: str
    """sha256 of the weights."""
    precision: str
    """Arithmetic that the networks really use, such as float32 on cpu."""

    def embeddings(
        self, pictures: Sequence[Picture], root: str | Path, compute: Callable[[], Embeddings]
    ) -> tuple[Embeddings, CacheState]:
        """Embeddings (N, D) of pictures below `root`, computed only where none are kept."""
        path = self.path_of(pictures, root)
        state: CacheState = "written"
        try:
            return _read(path, len(pictures)), "read"
        except FileNotFoundError:
            pass
        except _BrokenError:
            state = "replaced"
        embeddings = compute()
        with replaced_file(path, make_parents=True) as part, part.open("xb") as file:
            np.savez(file, embeddings=embeddings.astype(np.float32, copy=False))
        return embeddings, state

    def path_of(self, pictures: Sequence[Picture], root: str | Path) -> Path:
        """Where the embeddings of these pictures are kept."""
        try:
            stats = [picture.path.stat() for picture in pictures]
        except OSError as error:
            raise DatasetError(f"{error.filename}: not a readable picture ({error})") from error
        listing = [
            [os.path.relpath(picture.path, root), stat.st_size, stat.st_mtime_ns]
            for picture, stat in zip(pictures, stats, strict=True)
        ]
        key = [_FORMAT, RELEASE, self.model, self.precision, listing]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        return local_path(self.directory) / f"embeddings-{digest[:32]}.npz"


def _read(path: Path, count: int) -> Embeddings:
    try:
        # Opened here, as numpy leaves files open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            embeddings = arrays["embeddings"]
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise _BrokenError(str(error)) from error
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or len(embeddings) != count:
        raise _BrokenError(f"{embeddings.dtype} {embeddings.shape}")
    return cast("Embeddings", embeddings)
