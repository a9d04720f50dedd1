"""Sets on Hugging Face's hub: `hf://datasets/OWNER/NAME`.

The hub is a store of fsspec as others are, but each file that is written there alone is a commit of
its own, of which few a minute are allowed. So files go by the hundreds into one commit. What the
hub tells of each file (sha256 of large ones, git's own hash of others) says which are there
already, and afterwards that all have arrived; so nothing needs to be noted here.

A repository that is made here is private: who may see the set is for its owner to say, on the hub.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dgnet.files import file_sha256
from dgnet.generation.upload.store import CHUNK_BYTES, Store
from dgnet.jobs.generation.errors import GenerationError, UploadError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi, RepoFile

SCHEME = "hf://"
FILES_A_COMMIT = 256
BYTES_A_COMMIT = 2**30
MOST_FILES = 100_000
"""In a repository; the hub asks for no more, and packed layouts need few."""

Sent = Callable[[str, int], None]
"""Called with each file's name and how many bytes of it were sent."""


def is_on_hub(url: str) -> bool:
    return url.startswith(SCHEME)


class HubStore(Store):
    """As a store, with a repository that is made when something is written."""

    def __init__(self, url: str) -> None:
        place = re.fullmatch(r"hf://datasets/(\w[\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)/?", url)
        if place is None:
            raise GenerationError(
                f"{url[:200]} names no data set of the hub; expected hf://datasets/OWNER/NAME or a "
                "folder below it"
            )
        super().__init__(url)
        self._repository = place[1]
        self._prefix = place[2].lstrip("/")

    def is_empty(self) -> bool:
        """A new repository has a file of git's own."""
        return (
            self._prefix == "" and set(self.names("")) <= {".gitattributes"}
        ) or super().is_empty()

    def write(self, name: str, data: bytes) -> None:
        with self._telling("write", name):
            self._api.create_repo(
                self._repository, repo_type="dataset", private=True, exist_ok=True
            )
            self._system.invalidate_cache()  # it remembers that there was none
        super().write(name, data)

    def send(self, folder: Path, names: Iterable[str], sent: Sent) -> None:
        """Commit what is not there yet of a folder's files, and see that all are there then.

        Raises GenerationError for a file that is gone, UploadError where the hub fails.
        """
        there = self._listing()
        names = list(names)
        if len(names) > MOST_FILES:
            raise GenerationError(
                f"the set has {len(names)} files, and the hub takes {MOST_FILES}; make it with "
                "--output-layout parquet or webdataset, which has one for each shard"
            )
        for batch in _batches(folder, names, there):
            if batch.additions:
                with self._telling("write", f"{batch.names[0]} and others"):
                    self._api.create_commit(
                        self._repository,
                        self._operations(folder, batch.additions),
                        commit_message=f"Add {len(batch.additions)} files of a set",
                        repo_type="dataset",
                    )
            for name in batch.names:
                size = (folder / name).stat().st_size if name in batch.additions else 0
                sent(name, size)
        there = self._listing()
        for name in names:
            if not _is_same(there.get(name), folder / name):
                raise UploadError(f"{self.shown(name)} is not what was sent; push it again")

    def _operations(self, folder: Path, names: Iterable[str]) -> list[CommitOperationAdd]:
        from huggingface_hub import CommitOperationAdd

        return [CommitOperationAdd(self._path_in_repository(name), folder / name) for name in names]

    def _listing(self) -> dict[str, RepoFile]:
        from huggingface_hub import RepoFile

        start = f"{self._prefix}/" if self._prefix else ""
        with self._telling("list"):
            entries = self._api.list_repo_tree(
                self._repository, self._prefix or None, recursive=True, repo_type="dataset"
            )
            return {
                entry.path.removeprefix(start): entry
                for entry in entries
                if isinstance(entry, RepoFile)
            }

    def _path_in_repository(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @property
    def _api(self) -> HfApi:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        return HfApi()


@dataclass(kw_only=True)
class _Batch:
    names: list[str]
    additions: list[str]
    """Those of them that are not there."""
    size: int = 0


def _batches(folder: Path, names: list[str], there: dict[str, RepoFile]) -> Iterator[_Batch]:
    batch = _Batch(names=[], additions=[])
    for name in names:
        path = folder / name
        if not path.is_file():
            raise GenerationError(
                f"{name} is gone from {folder}: somebody removed it; remove the folder and "
                "generate anew"
            )
        batch.names.append(name)
        if not _is_same(there.get(name), path):
            batch.additions.append(name)
            batch.size += path.stat().st_size
        if len(batch.additions) >= FILES_A_COMMIT or batch.size >= BYTES_A_COMMIT:
            yield batch
            batch = _Batch(names=[], additions=[])
    if batch.names:
        yield batch


def _is_same(there: RepoFile | None, path: Path) -> bool:
    """By what the hub tells of a file: sha256 of a large one, else git's hash of it."""
    if there is None or there.size != path.stat().st_size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == file_sha256(path)
    digest = hashlib.sha1(b"blob %d\0" % there.size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return there.blob_id == digest.hexdigest()
