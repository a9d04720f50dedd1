"""Where data sets and jobs lie on the volume that front end and workers share.

DATA_ROOT/datasets/ID holds an uploaded data set, DATA_ROOT/jobs/ID what a generation job makes,
DATA_ROOT/jobs/ID.json the job's request, which outlives Redis. Any other folder below DATA_ROOT may
be named as a source. No torch here: the front end imports this module.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from dgnet.jobs.errors import StorageFailed, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAILED = frozenset(
    {
        errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENODEV, errno.ENXIO,
        errno.ENOTCONN, errno.EREMOTEIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EUCLEAN,
    }
)  # fmt: skip

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StorageSettings(BaseSettings):
    """What front end and workers must agree on."""

    model_config = SettingsConfigDict(env_prefix="DGNET_", frozen=True, extra="ignore")

    data_root: Path = Field(
        default=Path("dgnet-data"),
        description="Folder of data sets and generation jobs, shared by front end and workers.",
    )
    job_retention_seconds: float = Field(
        default=7 * 86_400.0,
        gt=0,
        description="What a generation job made is removed so long after it ended.",
    )
    job_destinations: str = Field(
        default="",
        description="Prefixes of URLs that sets may be uploaded to (s3://bucket/), by commas.",
    )

    def allows_destination(self, url: str) -> bool:
        """Whether a job may put its set to the URL: only below a prefix that the operator named.

        A prefix ends where a name ends, so that s3://bucket does not let s3://bucket-of-others in,
        and no step upwards leads out of it.
        """
        if {"..", "."} & set(unquote(url).split("/")):
            return False
        named = [prefix.strip().rstrip("/") for prefix in self.job_destinations.split(",")]
        return any(url == prefix or url.startswith(f"{prefix}/") for prefix in named if prefix)


def is_full(error: OSError) -> bool:
    """Whether there was no room for what was written."""
    return error.errno in _FULL


def storage_problem(error: OSError) -> StorageFull | StorageFailed | None:
    """What a front end says of a volume that is full or fails; None for any other error."""
    reason = os.strerror(error.errno) if error.errno is not None else ""
    if is_full(error):
        return StorageFull(
            f"the server's data root has no room ({reason}); delete what is not needed, or ask the "
            "operator for more"
        )
    if error.errno in _FAILED:
        return StorageFailed(
            f"the server's data root cannot be used now ({reason}); try again when its operator "
            "has mended it"
        )
    return None


@contextmanager
def storage_problems() -> Generator[None]:
    """Turns what the volume is to blame for into a StorageFull or StorageFailed."""
    try:
        yield
    except OSError as error:
        if (problem := storage_problem(error)) is None:
            raise
        raise problem from error


def dataset_folder(data_root: Path, dataset_id: str) -> Path:
    """Where an uploaded data set lies; a ValueError for what is no id."""
    return data_root / "datasets" / _checked(dataset_id)


def job_folder(data_root: Path, job_id: str) -> Path:
    """Where a generation job's files lie; a ValueError for what is no id."""
    return data_root / "jobs" / _checked(job_id)


def request_file(data_root: Path, job_id: str) -> Path:
    """The durable copy of a job's request: beside the folder, which holds the data set alone."""
    return data_root / "jobs" / f"{_checked(job_id)}.json"


def unsettled_request_file(data_root: Path, job_id: str) -> Path:
    """A request of which nobody knows yet whether the job was taken: a hidden name."""
    return data_root / "jobs" / f".{_checked(job_id)}.unsettled"


def resolve_below(root: Path, relative: Path | str) -> Path:
    """The real path of something below `root`, which may be a link but must not lead out of it.

    Raises ValueError with a message that names `relative` alone, so that it is safe to show.
    """
    if Path(relative).is_absolute():
        raise ValueError(f"{str(relative)!r} is absolute; expected a path below the data root")
    top = root.resolve()
    try:
        path = (top / relative).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # NUL bytes, circles of links
        raise ValueError(f"{str(relative)!r} is no path that can be followed") from error
    if not path.is_relative_to(top):
        raise ValueError(f"{str(relative)!r} leads out of the data root; expected a path below it")
    return path


def resolve_source(root: Path, relative: Path | str) -> Path:
    """The real path of a folder that data sets may be read from: as `resolve_below`, but no folder
    in which the service keeps data sets or jobs, however it is spelled.
    """
    path = resolve_below(root, relative)
    kept = (root.resolve() / name for name in ("datasets", "jobs"))
    if any(place.resolve().is_relative_to(path) for place in kept):
        raise ValueError(
            f"{str(relative)!r} holds data sets and jobs; expected one data set's folder"
        )
    return path


def is_folder(path: Path) -> bool:
    """Whether it is a folder; `Path.is_dir` raises for names that no file system takes."""
    return os.path.isdir(path)


def is_file(path: Path) -> bool:
    """Whether it is a file, whatever its name."""
    return os.path.isfile(path)


def refuse_links_out(root: Path, folder: Path) -> None:
    """Raises ValueError if a link in `folder`, or in what its links lead to, leads out of `root`.

    Readers follow links, so whoever can put one into a folder could have any file of the worker
    shown. Links that lead nowhere are the readers' business.
    """
    top, seen = root.resolve(), set[Path]()
    waiting = [folder.resolve()]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink():
                    target = Path(os.path.realpath(entry.path))
                    if not target.is_relative_to(top):
                        raise ValueError(
                            f"{os.path.relpath(entry.path, top)!r} is a link that leads out of the "
                            "data root; expected links that stay below it"
                        )
                    if os.path.isdir(target):
                        waiting.append(target)
                elif entry.is_dir():
                    waiting.append(Path(entry.path))


def _checked(identifier: str) -> str:
    if not _ID.fullmatch(identifier):
        raise ValueError(f"{identifier!r} is no id; expected letters, digits, - and _")
    return identifier
