"""Settings of the front end, read from the environment (`DGNET_...`) by whoever composes it.

Nothing is read at import: `ServiceSettings()` reads the environment once and is then frozen.
`docs/configuration.md` names every field; a test holds it to that.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9._~-]+")
MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE


class ServiceSettings(BaseSettings):
    """Limits, waits and encodings of the HTTP API. Every field is `DGNET_<NAME>` outside."""

    model_config = SettingsConfigDict(env_prefix="DGNET_", frozen=True, extra="ignore")

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="Accepted bearer keys, separated by commas; empty: no key is asked"
    )

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names that this service answers to where no key is asked, by commas, beside "
        "loopback names and IP addresses; `*.example.org` takes all below, `*` any",
    )

    max_head_bytes: int = Field(
        default=32_768, ge=1024, description="Longest first line and headers of a request"
    )
    head_timeout_seconds: float = Field(
        default=10.0, gt=0, description="Longest time that these take to arrive"
    )
    body_idle_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Time in which a body, sent or fetched, must go on, or its connection is cut",
    )
    min_bytes_per_second: float = Field(
        default=1024.0, ge=0, description="How fast, on the average of that time; 0: at all"
    )
    max_followers: int = Field(
        default=500, ge=1, description="Requests that follow jobs' events at once, in a process"
    )

    max_body_bytes: int = Field(
        default=10 * MEBIBYTE, ge=1024, description="Largest request body, counted while streaming"
    )
    max_held_bytes: int = Field(
        default=256 * MEBIBYTE,
        ge=1024,
        description="Bytes of request bodies in memory at once before answers turn 503",
    )
    max_picture_bytes: int = Field(
        default=5 * MEBIBYTE, ge=128, description="Largest encoded picture"
    )
    max_picture_pixels: int = Field(
        default=16_000_000, ge=1, description="Most pixels of a picture, judged from its header"
    )
    max_picture_side: int = Field(
        default=4096, ge=1, description="Longest side of a picture in pixels, from its header"
    )
    max_pictures: int = Field(default=64, ge=1, description="Most pictures in one request")
    default_model: str | None = Field(
        default=None,
        description="Id or version of the model for requests that name none; unset: the one that "
        "most ready workers serve",
    )
    max_composites: int = Field(
        default=256, ge=1, description="Most composites of a grid, a list of pairs or a walk"
    )
    max_request_pixels: int = Field(
        default=256_000_000,
        ge=1,
        description="Most pixels of all pictures of a request together, from their headers",
    )
    max_decoded_pixels: int = Field(
        default=32_000_000,
        ge=1,
        description="Pixels that all requests together have decoded at once; further ones wait",
    )

    request_timeout_seconds: float = Field(
        default=30.0, gt=0, description="Longest wait for a worker when the client names none"
    )
    max_wait_seconds: float = Field(
        default=120.0, gt=0, description="Longest wait that `Prefer: wait=N` can ask for"
    )
    retry_after_seconds: float = Field(
        default=2.0, gt=0, description="Retry-After of a 429 or 503 when nothing better is known"
    )

    decode_threads: int = Field(
        default=2, ge=1, description="Threads that decode and encode large pictures"
    )
    inline_pixels: int = Field(
        default=262_144,
        ge=0,
        description="Requests with fewer pixels are decoded on the event loop, without a thread",
    )

    png_compress_level: int = Field(
        default=1, ge=0, le=9, description="zlib level of PNG answers; higher is smaller and slower"
    )
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="Quality of JPEG answers")
    webp_quality: int = Field(default=90, ge=1, le=100, description="Quality of WebP answers")

    max_upload_bytes: int = Field(
        default=8 * GIBIBYTE, ge=1024, description="Largest archive of a data set"
    )
    max_unpacked_bytes: int = Field(
        default=16 * GIBIBYTE, ge=1024, description="Most bytes that come out of an archive"
    )
    max_unpack_ratio: float = Field(
        default=50.0, gt=1, description="Most bytes that come out for each byte of an archive"
    )
    max_archive_members: int = Field(
        default=200_000, ge=1, description="Most members of an archive, folders included"
    )
    max_archive_depth: int = Field(
        default=8, ge=1, description="Most folders above a file of an archive, and the file"
    )
    min_free_bytes: int = Field(
        default=GIBIBYTE,
        ge=0,
        description="Uploads are refused when less would stay free on the data root's volume",
    )
    max_uploads: int = Field(
        default=4, ge=1, description="Archives that are received or unpacked at once"
    )
    upload_idle_seconds: float = Field(
        default=30.0, gt=0, description="An upload that sends nothing for so long is given up"
    )

    max_index_bytes: int = Field(
        default=256 * MEBIBYTE,
        ge=1024,
        description="Memory of a process for the composites of jobs that are looked through",
    )

    access_log: Literal["all", "errors"] = Field(
        default="errors",
        description="Which requests get a log line: `all`, or `errors` (status 400 and above)",
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        keys = _split(value)
        if isinstance(value, str) and value and not keys:
            raise ValueError(
                "it holds separators or blanks alone, as ${A},${B} does when neither is set: that "
                "would open the service; give a key, or leave it empty to ask for none"
            )
        return keys

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        return _split(value)

    @field_validator("allowed_hosts")
    @classmethod
    def _only_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _HOST.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no host name; expected names without scheme and port, such as "
                    "dgnet.example.org"
                )
        return names

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.max_picture_bytes > self.max_body_bytes:
            raise ValueError(
                f"max_picture_bytes ({self.max_picture_bytes}) exceeds max_body_bytes "
                f"({self.max_body_bytes}): no such picture could arrive; raise DGNET_MAX_BODY_BYTES"
            )
        for name in ("max_request_pixels", "max_decoded_pixels"):
            limit: int = getattr(self, name)
            if self.max_picture_pixels > limit:
                raise ValueError(
                    f"max_picture_pixels ({self.max_picture_pixels}) exceeds {name} ({limit}): no "
                    f"such picture could be decoded; raise DGNET_{name.upper()}"
                )
        if self.max_body_bytes > self.max_held_bytes:
            raise ValueError(
                f"max_body_bytes ({self.max_body_bytes}) exceeds max_held_bytes "
                f"({self.max_held_bytes}): no such body could arrive; raise DGNET_MAX_HELD_BYTES"
            )
        return self


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
