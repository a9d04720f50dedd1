"""The real pictures that a job pairs, in an order that no file system can change.

Only people are paired: junk and distractors are left out. The digest names exactly these pictures;
plan and resumption hang on it. The digest of sizes tells whether they were replaced by others;
times tell nothing, since a copy of a data set is the same data set. Nothing is opened here.

Legend: N pictures.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dgnet.arrays import Integers
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import Origin
from dgnet.jobs.generation.spec import SourceSpec
from dgnet.model.data.layouts import DataSet, read_dataset
from dgnet.model.data.picture import NO_CAMERA, DatasetError, Picture

_BROKEN_PICTURE = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP})
"""What the file itself is to blame for; anything else is the storage's fault."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Pictures by number 0..N-1, sorted by person, then by path below `root`."""

    root: Path
    layout: str
    paths: tuple[str, ...]
    """Below `root`, with forward slashes."""
    person_ids: Integers
    camera_ids: Integers
    names: dict[int, str]
    """What the data set calls its persons, where that is not the id."""
    warnings: tuple[str, ...] = ()
    clothes: tuple[str | None, ...] | None = None
    """What the data set calls each picture's clothes; None where it tells of nobody's."""

    @classmethod
    def read(cls, source: SourceSpec) -> Listing:
        """Read the split of a data set; what is wrong with it is a GenerationError."""
        if source.folder is None:
            raise GenerationError(
                f"source.dataset is {source.dataset}, a data set of a server; expected "
                "source.folder, since this job is made here"
            )
        try:
            dataset = read_dataset(
                source.folder,
                source.layout,
                source.pattern,
                junk=source.junk,
                distractors=source.distractors,
            )
            return cls.of(dataset, dataset.split(source.split))
        except DatasetError as error:
            raise GenerationError(str(error)) from error

    @classmethod
    def of(cls, dataset: DataSet, pictures: tuple[Picture, ...]) -> Listing:
        people = sorted(
            (picture for picture in pictures if picture.shows_a_person),
            key=lambda picture: (
                picture.person_id,
                picture.path.relative_to(dataset.root).as_posix(),
                picture.camera_id,
            ),
        )
        rows = [
            (
                picture.person_id,
                picture.path.relative_to(dataset.root).as_posix(),
                picture.camera_id,
            )
            for picture in people
        ]
        clothes = tuple(picture.clothes_id for picture in people)
        if not rows:
            raise GenerationError(
                f"{dataset.root}: none of {len(pictures)} pictures shows a person (junk and "
                "distractors are not paired)"
            )
        return cls(
            root=dataset.root,
            layout=dataset.layout,
            paths=tuple(path for _, path, _ in rows),
            person_ids=np.array([person for person, _, _ in rows], dtype=np.int64),
            camera_ids=np.array([camera for _, _, camera in rows], dtype=np.int64),
            names=dict(dataset.person_names),
            warnings=dataset.warnings,
            clothes=clothes if any(clothes) else None,
        )

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def persons(self) -> tuple[int, ...]:
        """Sorted ids."""
        return tuple(np.unique(self.person_ids).tolist())

    @cached_property
    def digest(self) -> str:
        """sha256 over path, person and camera of every picture, and clothes where they are told."""
        digest = hashlib.sha256()
        people, cameras = self.person_ids.tolist(), self.camera_ids.tolist()
        for path, person, camera in zip(self.paths, people, cameras, strict=True):
            digest.update(f"{person}\t{camera}\t{path}\n".encode("utf-8", "surrogateescape"))
        for clothes in self.clothes or ():
            digest.update(f"{clothes}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    @cached_property
    def sizes(self) -> tuple[int | None, ...]:
        """Bytes of each picture when the job was opened; None for what could not be looked at."""
        return tuple(_size(self.root / path) for path in self.paths)

    @cached_property
    def sizes_digest(self) -> str:
        """sha256 over path and bytes of every picture."""
        digest = hashlib.sha256()
        for path, size in zip(self.paths, self.sizes, strict=True):
            digest.update(f"{size}\t{path}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def person_name(self, person_id: int) -> str:
        return self.names.get(person_id, str(person_id))

    def camera(self, number: int) -> int | None:
        """None where it is not known."""
        camera = int(self.camera_ids[number])
        return None if camera == NO_CAMERA else camera

    def origin(self, number: int) -> Origin:
        """What a manifest tells of a picture that was taken for a composite."""
        return Origin(
            path=self.paths[number],
            person=int(self.person_ids[number]),
            camera=self.camera(number),
            clothes=None if self.clothes is None else self.clothes[number],
            clothes_told=self.clothes is not None,
        )


def _size(path: Path) -> int | None:
    """None for what cannot be looked at: whoever needs the picture says why."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def require_source(listing: Listing, path: str, error: BaseException) -> None:
    """Raise GenerationError if a picture of the listing could not be read because its storage fails
    or because it is gone: such a picture is not broken, and without it the data set is another one.
    """
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else None
        if number is not None and number not in _BROKEN_PICTURE:
            raise GenerationError(
                f"{path} cannot be reached in {listing.root} "
                f"({os.strerror(number)}) though it was there when the job began; bring the source "
                "back and resume"
            ) from error
        cause = cause.__cause__
