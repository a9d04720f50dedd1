"""A folder at a URL, of whatever store fsspec has: s3://, gs://, memory://, file:// and others.

Who may enter is the store's business: credentials come from the environment or its configuration,
never from a URL. What a store says when it fails may hold secrets, so it is told in our own words.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgnet.jobs.addresses import without_secrets
from dgnet.jobs.generation.errors import GenerationError, UploadError
from dgnet.jobs.generation.spec import url_problem

CHUNK_BYTES = 2**20
READ_BYTES = 16 * 2**20
"""At most so much of a small file, such as `job.json`, is read."""

CREDENTIAL_ERRORS = frozenset(
    {
        "PermissionError", "NoCredentialsError", "PartialCredentialsError",
        "LocalTokenNotFoundError", "GatedRepoError",
        "CredentialRetrievalError", "TokenRetrievalError", "ProfileNotFound",
    }
)  # fmt: skip
CONNECTION_ERRORS = frozenset(
    {
        "ConnectionError",
        "TimeoutError",
        "ClientConnectionError",
        "HTTPClientError",
        "gaierror",
        "NetworkError",
        "TimeoutException",
    }
)
"""By name, since the packages that define them need not be installed."""


@dataclass(frozen=True, kw_only=True)
class FileDigests:
    """What a file holds."""

    size: int
    md5: str
    """Not against forgers: it is what stores tell about a file without its being read."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileDigests:
        size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                size += len(chunk)
                md5.update(chunk)
                sha256.update(chunk)
        return cls(size=size, md5=md5.hexdigest(), sha256=sha256.hexdigest())


class Store:
    """Names are paths below the URL, with forward slashes; any thread may call.

    Raises GenerationError for a URL that cannot be used, UploadError where the store fails.
    """

    def __init__(self, url: str) -> None:
        if problem := url_problem(url):
            raise GenerationError(f"the destination cannot be used: {problem}")
        self.url = url.rstrip("/")
        protocol = url.partition("://")[0]
        fsspec: Any = importlib.import_module("fsspec.core")
        options: dict[str, Any] = {"auto_mkdir": True} if protocol in ("file", "local") else {}
        try:
            # What others write meanwhile must be seen, so nothing is cached.
            self._system, self._root = fsspec.url_to_fs(
                self.url, use_listings_cache=False, skip_instance_cache=True, **options
            )
        except ImportError as error:
            extra = {"s3": "s3", "s3a": "s3", "hf": "hub"}.get(protocol)
            hint = str(error) if extra is None else f"pip install 'dgnet[{extra}]'"
            raise GenerationError(
                f"{protocol}:// needs a package that is not installed here: {hint}"
            ) from error
        except ValueError as error:
            raise GenerationError(
                f"{protocol}:// is no store that fsspec knows; expected s3://, gs://, file:// or "
                "another of its protocols"
            ) from error
        except Exception as error:
            raise UploadError(
                f"{without_secrets(self.url)} cannot be opened: {explained(error)}"
            ) from error

    def is_empty(self) -> bool:
        """Whether nothing lies below the URL; so too where it does not exist."""
        with self._telling("list"):
            try:
                entries: list[str] = self._system.ls(self._root, detail=False)
            except FileNotFoundError:
                return True
        own = self._root.strip("/")  # some stores list a marker of the folder itself
        return all(entry.strip("/") == own for entry in entries)

    def read(self, name: str) -> bytes | None:
        """The beginning of a file; None where there is none."""
        with self._telling("read", name):
            try:
                return self._system.cat_file(self._path(name), end=READ_BYTES)
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        with self._telling("write", name):
            self._system.pipe_file(self._path(name), data)

    def put(self, path: Path, name: str) -> None:
        """Create or replace a file."""
        with self._telling("write", name):
            self._system.put_file(str(path), self._path(name))

    def fetch(self, name: str, path: Path, *, most_bytes: int | None = None) -> int:
        """Write a file of the store to the path; how many bytes it has.

        Raises UploadError where it does not end after `most_bytes`, and where it has not the size
        that the store tells.
        """
        size = 0
        told = self._told(name)
        with (
            self._telling("read", name),
            self._system.open(self._path(name), "rb") as source,
            path.open("wb") as file,
        ):
            while chunk := source.read(CHUNK_BYTES):
                size += len(chunk)
                if most_bytes is not None and size > most_bytes:
                    break
                file.write(chunk)
        if most_bytes is not None and size > most_bytes:
            raise UploadError(
                f"{self.shown(name)} is larger than the {most_bytes} bytes it should have"
            )
        if told is not None and told[0] != size:
            raise UploadError(
                f"{self.shown(name)} did not arrive whole, {size} of {told[0]} bytes; try again"
            )
        return size

    def names(self, folder: str) -> list[str]:
        """Of what lies in a folder; none where there is no such folder."""
        with self._telling("list", folder):
            try:
                entries: list[str] = self._system.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return [entry.rstrip("/").rpartition("/")[2] for entry in entries]

    def shown(self, name: str) -> str:
        """The file's URL, as a message may have it."""
        return f"{without_secrets(self.url)}/{name}".rstrip("/")

    def has(self, name: str) -> bool:
        return self._told(name) is not None

    def holds(self, name: str, expected: FileDigests, *, arrived_before: bool = False) -> bool:
        """Whether the store tells the file's MD5, or what is read back has its sha256.

        Of what `arrived_before`, and was verified then, the size is enough where no MD5 is told.
        """
        told = self._told(name)
        if told is None or told[0] != expected.size:
            return False
        if told[1] == expected.md5 or (told[1] is None and arrived_before):
            return True
        return self._sha256(name) == expected.sha256

    def _told(self, name: str) -> tuple[int, str | None] | None:
        with self._telling("check", name):
            try:
                info: dict[str, Any] = self._system.info(self._path(name))
            except FileNotFoundError:
                return None
        return int(info["size"]), told_md5(info)

    def _sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._telling("read", name), self._system.open(self._path(name), "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextmanager
    def _telling(self, action: str, name: str = "") -> Generator[None]:
        try:
            yield
        except Exception as error:
            raise UploadError(f"cannot {action} {self.shown(name)}: {explained(error)}") from error


def told_md5(info: dict[str, Any]) -> str | None:
    """The MD5 that a store's description of a file holds, if it does.

    S3 tells it as ETag unless the file came in parts or is encrypted with a key of its own; in the
    second case the ETag looks like an MD5 and is none, so a difference proves nothing.
    """
    tag = str(info.get("ETag", "")).strip('"').lower()
    if re.fullmatch(r"[0-9a-f]{32}", tag):
        return tag
    encoded = info.get("md5Hash")  # Google's
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True).hex()
        except binascii.Error:
            return None
    return None


def explained(error: BaseException) -> str:
    """Why a store failed, without a word of its own: these may quote keys and signatures."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & CREDENTIAL_ERRORS or _code(error) in ("401", "403"):
        reason = (
            "not permitted; check the credentials in the environment or the store's configuration, "
            "and what they allow"
        )
    elif "FileNotFoundError" in kinds:
        reason = "there is no such bucket or folder; create it, or choose another destination"
    elif kinds & CONNECTION_ERRORS:
        reason = "the store does not answer; check its address and the network"
    elif isinstance(error, OSError) and error.errno is not None and error.strerror:
        reason = error.strerror
    else:
        reason = type(error).__name__
    code = _code(error)
    return f"{reason} ({code})" if code else reason


def _code(error: BaseException | None) -> str | None:
    """The code of an S3 error, such as NoSuchBucket, which is one word and safe, or HTTP's status
    of the hub's.
    """
    while error is not None:
        response: Any = getattr(error, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))  # pyright: ignore
            if re.fullmatch(r"\w{1,64}", code):
                return code
        elif isinstance(status := getattr(response, "status_code", None), int):
            return str(status)
        error = error.__cause__
    return None
