"""Keeps the indexes of composites: one for each job that was lately looked at, within a bound.

A job that is done has one manifest, which does not change; of one under way the shards that are
there are read, each once. Least recently used indexes make room. One index is made at a time, in a
thread: whoever asks for another one meanwhile waits.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from pathlib import Path

from dgnet.jobs.generation.jobs import GenerationJob
from dgnet.jobs.generation.manifest import MANIFEST
from dgnet.jobs.storage import job_folder
from dgnet.service.composite_index import BYTES_A_ROW, CompositeIndex

SHARDS_FOLDER = "shards"
"""As `generation` lays them out: a folder for each, with its part of the manifest."""

_File = tuple[str, int, int]
"""Path, time and inode: a shard or manifest that was made anew is another one."""


class CompositeIndexes:
    """Indexes by job; `of` gives the one that is true now."""

    def __init__(self, data_root: Path, *, max_bytes: int) -> None:
        self._data_root = data_root
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[frozenset[_File], CompositeIndex]] = OrderedDict()
        self._making = asyncio.Lock()

    @property
    def max_composites(self) -> int:
        """Of one job."""
        return self._max_bytes // BYTES_A_ROW

    @property
    def kept_bytes(self) -> int:
        """Memory that the indexes take."""
        return sum(index.size_bytes for _, index in self._kept.values())

    async def of(self, job: GenerationJob) -> CompositeIndex:
        """The index of what there is of a job; raises TooManyComposites."""
        folder = job_folder(self._data_root, job.job_id)
        files = await asyncio.to_thread(_manifests, folder, done=job.state == "done")
        if (kept := self._found(job.job_id, files)) is not None:
            return kept
        async with self._making:
            if (kept := self._found(job.job_id, files)) is not None:
                return kept
            before, index = self._kept.get(job.job_id, (frozenset(), CompositeIndex.empty()))
            if not before <= files:  # a shard was made anew, or the job is done
                before, index = frozenset[_File](), CompositeIndex.empty()
            index = await asyncio.to_thread(
                index.with_parts,
                sorted(Path(path) for path, _, _ in files - before),
                max_rows=self.max_composites,
            )
            read = {str(part) for part in index.parts}  # shards may go meanwhile
            self._keep(job.job_id, frozenset(file for file in files if file[0] in read), index)
            return index

    def _found(self, job_id: str, files: frozenset[_File]) -> CompositeIndex | None:
        kept = self._kept.get(job_id)
        if kept is None or kept[0] != files:
            return None
        self._kept.move_to_end(job_id)
        return kept[1]

    def _keep(self, job_id: str, files: frozenset[_File], index: CompositeIndex) -> None:
        self._kept[job_id] = files, index
        self._kept.move_to_end(job_id)
        while self.kept_bytes > self._max_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)


def _manifests(folder: Path, *, done: bool) -> frozenset[_File]:
    """The manifest of a job that is done; else the parts of its shards."""
    if done:
        return frozenset([_facts(folder / MANIFEST)])
    found: list[_File] = []
    try:
        shards = os.listdir(folder / SHARDS_FOLDER)
    except FileNotFoundError:  # none yet, or the set is being put together
        return frozenset()
    for shard in shards:
        path = folder / SHARDS_FOLDER / shard / MANIFEST
        try:
            if not shard.startswith("."):  # else it is being written
                found.append(_facts(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
    return frozenset(found)


def _facts(path: Path) -> _File:
    facts = path.stat()
    return str(path), facts.st_mtime_ns, facts.st_ino
