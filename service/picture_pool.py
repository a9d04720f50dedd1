"""Prepares pictures and encodes composites without stalling the event loop.

Small work is done at once and waits for no thread; it stalls the loop for about a millisecond.
Larger work goes to a small pool of threads. Pillow releases the interpreter lock while it works,
so where one front-end process has cores to spare, `inline_pixels=0` lets it use them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dgnet.jobs.contract import ModelInfo, UInt8Array
from dgnet.service.encoding import encode_composite
from dgnet.service.pictures import OpenedPicture, PreparedPicture, open_picture
from dgnet.service.problems import Problem
from dgnet.service.settings import ServiceSettings

# Headers of larger files are read in a thread too: a PNG's text chunks can hide megabytes.
INLINE_BYTES = 262_144
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """Bytes of one picture as they arrived, and the name that messages give it."""

    data: bytes
    label: str


class PicturePool:
    """Decoding and encoding for one app; `close` ends its threads."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="picture_pool")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def prepare(
        self, sources: Sequence[Source], model: ModelInfo
    ) -> list[PreparedPicture | Problem]:
        """Each picture at the model's size, or the problem that it has, in order."""

        def open_all() -> list[OpenedPicture | Problem]:
            return [self._open(source) for source in sources]

        size_bytes = sum(len(source.data) for source in sources)
        opened = await self._do(open_all, inline=size_bytes <= INLINE_BYTES)

        def prepare_all() -> list[PreparedPicture | Problem]:
            return [_prepare(picture, model) for picture in opened]

        pixels = sum(
            picture.pixel_count for picture in opened if isinstance(picture, OpenedPicture)
        )
        return await self._do(prepare_all, inline=pixels <= self._settings.inline_pixels)

    async def prepare_or_refuse(
        self, sources: Sequence[Source], model: ModelInfo
    ) -> list[PreparedPicture]:
        """All pictures at the model's size; raises the first picture's problem, with its index."""
        prepared: list[PreparedPicture] = []
        for index, picture in enumerate(await self.prepare(sources, model)):
            if isinstance(picture, Problem):
                picture.extensions.setdefault("index", index)
                raise picture
            prepared.append(picture)
        return prepared

    async def encode(
        self, composite: UInt8Array, media_type: str, *, size: tuple[int, int] | None = None
    ) -> bytes:
        """A composite as a file of `media_type`, resized to `size` (width, height) if given."""
        pixels = size[0] * size[1] if size else composite.shape[0] * composite.shape[1]
        return await self._do(
            lambda: encode_composite(composite, media_type, self._settings, size=size),
            inline=pixels <= self._settings.inline_pixels,
        )

    def _open(self, source: Source) -> OpenedPicture | Problem:
        try:
            return open_picture(source.data, self._settings, label=source.label)
        except Problem as problem:
            return problem

    async def _do(self, work: Callable[[], T], *, inline: bool) -> T:
        if inline:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _prepare(picture: OpenedPicture | Problem, model: ModelInfo) -> PreparedPicture | Problem:
    if isinstance(picture, Problem):
        return picture
    try:
        return picture.prepare(width=model.width, height=model.height)
    except Problem as problem:
        return problem
