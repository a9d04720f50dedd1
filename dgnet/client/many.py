"""Many composites in few requests: every appearance on every structure, lists of pairs, walks.

What is asked for is cut into parts within a server's default bounds. A server that allows less
refuses a part with 413: it is then asked for in halves, and so is every other that is no smaller.
One of a release without these routes is asked for one composite at a time, with a warning.

Legend: N appearances, M structures, K composites, H x W pixels of the model, uint8 RGB.
"""

from __future__ import annotations

import io
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from dgnet.arrays import Pixels
from dgnet.client.connection import Connection, ReportProgress, no_report
from dgnet.client.errors import DGNetError
from dgnet.client.parts import COMPOSITES_PER_REQUEST, Grid, Pairs, Part, Walk, cut
from dgnet.client.sent_files import BYTES_PER_REQUEST, sent_files
from dgnet.client.wires import Wire
from dgnet.jobs.contract import Scene
from dgnet.jobs.media_types import NPZ
from dgnet.pictures import AnyPicture, AnyPictures, as_list, is_single, name_of

# One is made while the other is read, sent or written; more would hold up the grids of others.
REQUESTS_AT_ONCE: Final = 2
_TOO_MUCH: Final = frozenset({"too-many-pictures", "too-many-composites", "body-too-large"})


class ManyComposites(ABC):
    """Part of `AsyncClient`; every method raises DGNetError."""

    _wire: Wire
    _connection: Connection

    @abstractmethod
    async def _singles(
        self,
        pairs: Sequence[tuple[AnyPicture, AnyPicture]],
        *,
        scene: Scene | None,
        model: str | None,
        progress: ReportProgress,
    ) -> Pixels:
        """Composites (K, H, W, 3) of pairs of appearance and structure, a request for each."""

    async def grid(
        self,
        appearances: AnyPictures,
        structures: AnyPictures,
        *,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> Pixels:
        """Every appearance on every structure, (N, M, H, W, 3); `progress` hears of composites.

        Pictures, `scene` and `model` are those of `swap`. An error's `index` is the place of the
        picture at fault, structures after appearances.
        """
        rows, columns = as_list(appearances), as_list(structures)
        _require(rows, "appearance")
        _require(columns, "structure")
        whole = Grid(
            appearances=tuple(enumerate(rows)), structures=tuple(enumerate(columns, len(rows)))
        )
        tiles = whole.tiles()
        try:
            made = await self._all([tile for row in tiles for tile in row], scene, model, progress)
        except _Unserved as unserved:
            unserved.tell(model)
            pairs = [(row, column) for row in rows for column in columns]
            singles = await self._singles(pairs, scene=scene, model=model, progress=progress)
            return singles.reshape(len(rows), len(columns), *singles.shape[1:])
        across = len(tiles[0])
        return np.concatenate(
            [
                np.concatenate(made[start : start + across], axis=1)
                for start in range(0, len(made), across)
            ]
        )

    async def swap_pairs(
        self,
        pairs: Sequence[tuple[AnyPicture, AnyPicture]],
        *,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> Pixels:
        """A composite for each pair of appearance and structure, (K, H, W, 3); `progress` hears of
        composites.

        A picture that is in several pairs, as the same path or object, is sent once a request.
        Pictures, `scene` and `model` are those of `swap`. An error's `index` is that of the first
        pair with the picture at fault.
        """
        if not pairs:
            raise DGNetError("no pair given; expected at least one")
        parts = Pairs(pairs=tuple(enumerate(pairs))).parts()
        try:
            return np.concatenate(await self._all(parts, scene, model, progress))
        except _Unserved as unserved:
            unserved.tell(model)
            return await self._singles(pairs, scene=scene, model=model, progress=progress)

    async def interpolate(
        self,
        first: AnyPicture,
        second: AnyPicture,
        structure: AnyPictures,
        *,
        steps: int = 5,
        weights: Sequence[float] | None = None,
        scene: Scene | None = None,
        model: str | None = None,
        progress: ReportProgress = no_report,
    ) -> Pixels:
        """From the clothes of `first` to those of `second`: a composite for each weight of the
        second, (K, H, W, 3), or (K, M, H, W, 3) where `structure` is several.

        Weights lie within 0 and 1; without them there are so many equal steps, both ends among
        them. `progress` hears of composites. An error's `index` is the place of the picture at
        fault: 0 and 1 for the appearances, then structures. A server of a release without walks is
        an error: single swaps cannot make them.
        """
        if weights is None:
            if steps < 2:
                raise DGNetError(f"steps is {steps}; expected at least 2, for both ends")
            weights = [step / (steps - 1) for step in range(steps)]
        if not weights or not all(0 <= weight <= 1 for weight in weights):
            raise DGNetError(f"weights are {list(weights)}; expected at least one, from 0 to 1")
        structures = as_list(structure)
        _require(structures, "structure")
        parts = [
            Walk(ends=(first, second), structure=(place, picture), weights=some)
            for place, picture in enumerate(structures, 2)
            for some in cut(weights, COMPOSITES_PER_REQUEST)
        ]
        try:
            made = await self._all(parts, scene, model, progress)
        except _Unserved as unserved:
            raise unserved.refusal("a walk cannot be made of single swaps") from unserved
        steps_of_all = np.concatenate(made)  # (M * K, H, W, 3)
        shape = (len(structures), len(weights), *steps_of_all.shape[1:])
        walks = steps_of_all.reshape(shape).swapaxes(0, 1)
        return walks[:, 0] if is_single(structure) else walks

    async def _all(
        self,
        parts: Sequence[Part],
        scene: Scene | None,
        model: str | None,
        progress: ReportProgress,
    ) -> list[Pixels]:
        """The composites of each part; _Unserved where the server has no such route."""
        params = {"scene": scene, "model": model}
        asked = {name: value for name, value in params.items() if value is not None}
        total, made = sum(part.count for part in parts), 0
        bound = _Bound()

        def done(place: int) -> None:
            nonlocal made
            made += parts[place].count
            progress(made, total)

        calls = [partial(self._made, part, asked, bound) for part in parts]
        return await self._wire.all(calls, done, at_once=REQUESTS_AT_ONCE)

    async def _made(self, part: Part, asked: dict[str, str], bound: _Bound) -> Pixels:
        halves = part.halves()
        if halves and part.count >= bound.refused_composites:
            return await self._joined(part, halves, asked, bound)
        sent = part.sent()
        names = [name_of(one.picture, one.place) for one in sent]
        pictures = [(one.picture, name) for one, name in zip(sent, names, strict=True)]
        files = await sent_files(self._wire, pictures)
        if halves and sum(len(file) for file in files) > BYTES_PER_REQUEST:
            return await self._joined(part, halves, asked, bound)
        form: list[tuple[str, tuple[str | None, bytes]]] = [
            (one.role, (one.role, file)) for one, file in zip(sent, files, strict=True)
        ]
        form += [(name, (None, value.encode())) for name, value in part.fields().items()]
        try:
            response = await self._connection.request(
                "POST",
                part.path,
                params={**asked, **part.params()},
                headers={"Accept": NPZ},
                files=form,
            )
        except DGNetError as error:
            if halves and error.code in _TOO_MUCH:
                bound.refused_composites = min(bound.refused_composites, part.count)
                return await self._joined(part, halves, asked, bound)
            if _is_unserved(error):
                raise _Unserved(part.path, error) from error
            if error.index is None or error.index >= len(sent):
                raise
            raise error.about(names[error.index], sent[error.index].place) from error
        with np.load(io.BytesIO(response.content), allow_pickle=False) as arrays:
            return arrays["composites"]

    async def _joined(
        self, part: Part, halves: Sequence[Part], asked: dict[str, str], bound: _Bound
    ) -> Pixels:
        made = [await self._made(half, asked, bound) for half in halves]
        return np.concatenate(made, axis=part.halves_axis)


@dataclass(kw_only=True)
class _Bound:
    """What a server was found to refuse, within one call."""

    refused_composites: float = math.inf


class _Unserved(Exception):
    """The server has no such route, or no worker for it."""

    def __init__(self, path: str, error: DGNetError) -> None:
        super().__init__(f"POST {path} is not served ({error})")
        self.error = error

    def tell(self, model: str | None) -> None:
        """Warn that single swaps take its place; DGNetError where they would mean another thing."""
        if model is not None and self.error.status != 503:
            # Such a release knows no `model` either, and would pass it over.
            raise self.refusal(f"nor may it know model={model!r}")
        warnings.warn(f"{self}: asks for one composite at a time, which is slower", stacklevel=3)

    def refusal(self, why: str) -> DGNetError:
        return DGNetError(
            f"{self}, and {why}: update the server",
            status=self.error.status,
            code=self.error.code,
            request_id=self.error.request_id,
            retry_after_seconds=self.error.retry_after_seconds,
        )


def _is_unserved(error: DGNetError) -> bool:
    """Whether an older release answered: its front end, which has no such route, or a newer one
    before workers that make one composite at a time.
    """
    absent = error.status in (404, 405) and error.code != "unknown-model"
    return absent or error.code == "no-worker"


def _require(pictures: Sequence[AnyPicture], role: str) -> None:
    if not pictures:
        raise DGNetError(f"no {role} picture given; expected at least one")
