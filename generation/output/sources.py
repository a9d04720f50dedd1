"""Which source pictures changed while a job ran: shards say what each of them read.

A picture that was replaced by another one midway is two pictures under one name: composites of both
are in the set, and the card has to say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REPLACED = "replaced"
"""Noted of a picture whose size is not what it was when the job was opened: nobody need have read
the one before."""


class SeenSources:
    """sha256 of every source picture, as the shards read it first. Memory grows with the listing,
    not with the job.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        """Paths below the source folder."""
        self._first: dict[str, bytes] = {}

    def add(self, sources: Mapping[str, Iterable[str]]) -> None:
        """What one shard noted of each picture by its path: sha256, perhaps REPLACED."""
        for path, notes in sources.items():
            if REPLACED in notes:
                self.changed.add(path)
            for sha256 in notes:
                if sha256 != REPLACED:
                    self.is_as_before(path, sha256)

    def is_as_before(self, path: str, sha256: str) -> bool:
        """Whether the picture is still the one that was read first; noted as changed if not."""
        digest = bytes.fromhex(sha256)
        same = self._first.setdefault(path, digest) == digest
        if not same:
            self.changed.add(path)
        return same
