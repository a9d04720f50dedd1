"""Prepares pictures and encodes composites without stalling the event loop.

Small work is done at once and waits for no thread; it stalls the loop for about a millisecond.
Larger work goes to a small pool of threads. Pillow releases the interpreter lock while it works,
so where one front-end process has cores to spare, `inline_pixels=0` lets it use them.

Kilobytes can hold megapixels. So a request's headers are judged together before anything is
decoded, its pictures are decoded one after the other, of which only the small result stays, and
all requests share one budget of pixels that are decoded at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dgnet.arrays import Pixels
from dgnet.jobs.contract import ModelInfo
from dgnet.pictures import PixelBudget
from dgnet.service.encoding import encode_composite
from dgnet.service.pictures import ArrivedPicture, PreparedPicture, open_picture
from dgnet.service.problems import TOO_MANY_PICTURES, Problem
from dgnet.service.settings import ServiceSettings

# Headers of larger files are read in a thread too: a PNG's text chunks can hide megabytes.
INLINE_BYTES = 262_144
# What one request decodes before another one's pictures have their turn in the thread.
TURN_PIXELS = 2**20
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
        self._budget = PixelBudget(settings.max_decoded_pixels)
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="picture_pool")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def prepare(
        self, sources: Sequence[Source], model: ModelInfo
    ) -> list[PreparedPicture | Problem]:
        """Each picture at the model's size, or the problem that it has, in order.

        Raises a Problem if all of them together are too much to decode.
        """

        def open_all() -> list[ArrivedPicture | Problem]:
            return [self._open(source) for source in sources]

        size_bytes = sum(len(source.data) for source in sources)
        opened = await self._do(open_all, inline=size_bytes <= INLINE_BYTES)

        pixels = sum(_pixels(picture) for picture in opened)
        if pixels > self._settings.max_request_pixels:
            raise Problem(
                TOO_MANY_PICTURES,
                f"The {len(sources)} pictures of the request announce {pixels} pixels together; at "
                f"most {self._settings.max_request_pixels} are accepted. Scale them down, or send "
                "several requests.",
            )
        inline = pixels <= self._settings.inline_pixels
        prepared: list[PreparedPicture | Problem] = []
        for turn in [opened] if inline else _turns(opened):
            prepared += await self._do(lambda turn=turn: self._prepare(turn, model), inline=inline)
        return prepared

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
        self, composite: Pixels, media_type: str, *, size: tuple[int, int] | None = None
    ) -> bytes:
        """A composite as a file of `media_type`, resized to `size` (width, height) if given."""
        pixels = size[0] * size[1] if size else composite.shape[0] * composite.shape[1]

        def encode() -> bytes:
            with self._budget.taken(pixels):
                return encode_composite(composite, media_type, self._settings, size=size)

        return await self._do(encode, inline=pixels <= self._settings.inline_pixels)

    async def write(self, work: Callable[[], bytes], *, pixels: int) -> bytes:
        """What `work` makes of pictures that have so many pixels together, in a thread."""

        def within_budget() -> bytes:
            with self._budget.taken(pixels):
                return work()

        return await self._do(within_budget, inline=False)

    def _open(self, source: Source) -> ArrivedPicture | Problem:
        try:
            return open_picture(source.data, self._settings, label=source.label)
        except Problem as problem:
            return problem

    def _prepare(
        self, turn: Sequence[ArrivedPicture | Problem], model: ModelInfo
    ) -> list[PreparedPicture | Problem]:
        def prepare(picture: ArrivedPicture) -> PreparedPicture | Problem:
            try:
                return picture.prepare(width=model.width, height=model.height, budget=self._budget)
            except Problem as problem:
                return problem

        return [picture if isinstance(picture, Problem) else prepare(picture) for picture in turn]

    async def _do(self, work: Callable[[], T], *, inline: bool) -> T:
        if inline:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _pixels(picture: ArrivedPicture | Problem) -> int:
    return 0 if isinstance(picture, Problem) else picture.pixel_count


def _turns(
    pictures: Sequence[ArrivedPicture | Problem],
) -> Iterator[list[ArrivedPicture | Problem]]:
    """Pictures in order, as many at a time as have `TURN_PIXELS` together, and at least one."""
    turn: list[ArrivedPicture | Problem] = []
    pixels = 0
    for picture in pictures:
        if turn and pixels + _pixels(picture) > TURN_PIXELS:
            yield turn
            turn, pixels = [], 0
        turn.append(picture)
        pixels += _pixels(picture)
    yield turn
