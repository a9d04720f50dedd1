"""Many composites of a few pictures: every one is encoded once, and its code decoded many times.

A grid goes to the device in pieces of `batch` rows, and all grids of a worker together have one
piece in the batcher at a time: what arrives meanwhile, such as a single swap, has waited longer
than the next piece and goes before it. Grids take turns, piece by piece.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from dgnet.arrays import Pixels
from dgnet.jobs.contract import GridCell, GridJob, Scene
from dgnet.jobs.errors import BadJob
from dgnet.worker.batcher import DeviceCall, Served
from dgnet.worker.device import DeviceThread

GRIDS_AT_ONCE = 2
"""So many a worker holds: one on the device, one arriving. Their codes fill its memory."""

CPU_BATCH = 2
CUDA_BATCH = 32


class GridModel(Protocol):
    """What grids need of a predictor. Codes are its own: rows of them are taken by `codes[rows]`,
    and parts put together by `type(codes).cat(parts)`.
    """

    def appearance_styles(self, images: Pixels) -> Any:
        """Codes of pictures (B, H, W, 3) that give the clothes."""
        ...

    def structure_codes(self, images: Pixels) -> Any:
        """Codes of pictures (B, H, W, 3) that give pose and scene."""
        ...

    def compose(self, appearances: Any, structures: Any, *, scene: Scene | None) -> Pixels:
        """Composites (B, H, W, 3) of codes, row by row."""
        ...

    def interpolate(
        self,
        first: Any,
        second: Any,
        shares: Sequence[float],
        structures: Any,
        *,
        scene: Scene | None,
    ) -> Pixels:
        """Composites (B, H, W, 3) between two appearances, `shares` (B,) of the second."""
        ...


@dataclass(frozen=True)
class _Codes:
    appearances: Any
    structures: Any
    scene: Scene | None


@dataclass(frozen=True)
class _Cell:
    cell: GridCell
    codes: _Codes


def default_batch(device_name: str) -> int:
    """So few rows that a single swap hardly waits for them, and on a GPU enough to fill it."""
    return CUDA_BATCH if device_name.startswith("cuda") else CPU_BATCH


def grid_calls(model: GridModel) -> dict[str, DeviceCall]:
    """The device calls of grids, by the kind of what they take."""
    return {
        "appearance": lambda images: _rows(model.appearance_styles(np.stack(images)), len(images)),
        "structure": lambda images: _rows(model.structure_codes(np.stack(images)), len(images)),
        "cell": lambda cells: _composites(model, cells),
    }


class GridWork:
    """All grids of one worker."""

    def __init__(
        self, serve: Callable[[str, object], Awaitable[Served]], device: DeviceThread, batch: int
    ) -> None:
        """`serve` sends one item of a kind to the batcher."""
        self._serve = serve
        self._device = device
        self._batch = batch
        self._turn = asyncio.Lock()  # first come, first served

    async def run(self, job: GridJob) -> list[Served]:
        """The composites of a checked job, in the order of its cells; raises as one fails."""
        codes = _Codes(
            appearances=await self._encoded("appearance", job.appearance_images),
            structures=await self._encoded("structure", job.structure_images),
            scene=job.scene,
        )
        return await self._served("cell", [_Cell(cell, codes) for cell in job.cells])

    async def _encoded(self, kind: str, images: Pixels) -> Any:
        parts: list[Any] = [one.output for one in await self._served(kind, list(images))]
        codes = cast("Any", type(parts[0]))
        return await self._device.run(lambda: codes.cat(parts))

    async def _served(self, kind: str, items: Sequence[object]) -> list[Served]:
        served: list[Served] = []
        for start in range(0, len(items), self._batch):
            async with self._turn:
                served += await all_served(
                    self._serve(kind, item) for item in items[start : start + self._batch]
                )
        return served


async def all_served(answers: Any) -> list[Served]:
    """All answers, once none is under way any more; raises the first error among them."""
    ended = await asyncio.gather(*answers, return_exceptions=True)
    served = [answer for answer in ended if isinstance(answer, Served)]
    for answer in ended:
        if isinstance(answer, BaseException):
            raise answer
    return served


def check_cells(job: GridJob) -> None:
    """Raises BadJob for a job without cells, or with one that names a picture that is not there."""
    appearances, structures = len(job.appearance_images), len(job.structure_images)
    for cell in job.cells:
        second = cell.appearance if cell.second is None else cell.second
        if not (
            0 <= cell.appearance < appearances
            and 0 <= second < appearances
            and 0 <= cell.structure < structures
            and math.isfinite(cell.weight)
            and 0 <= cell.weight <= 1
        ):
            raise BadJob(
                f"{cell} arrived with {appearances} appearances and {structures} structures; "
                "expected positions of these, and a weight from 0 to 1"
            )
    if not job.cells:
        raise BadJob("a grid without a cell arrived; expected at least one")


def _rows(codes: Any, count: int) -> list[Any]:
    return [codes[row : row + 1] for row in range(count)]


def _composites(model: GridModel, cells: Sequence[_Cell]) -> list[Pixels]:
    """Composites of cells of one job: there is one piece of one grid in the batcher at a time."""
    codes = cells[0].codes
    found: dict[int, Pixels] = {}
    plain = [n for n, one in enumerate(cells) if one.cell.second is None]
    between = [n for n, one in enumerate(cells) if one.cell.second is not None]
    for rows in (plain, between):
        if not rows:
            continue
        chosen = [cells[row].cell for row in rows]
        first = codes.appearances[[cell.appearance for cell in chosen]]
        structures = codes.structures[[cell.structure for cell in chosen]]
        if rows is plain:
            composites = model.compose(first, structures, scene=codes.scene)
        else:
            second = codes.appearances[[cell.second for cell in chosen]]
            weights = [cell.weight for cell in chosen]
            composites = model.interpolate(first, second, weights, structures, scene=codes.scene)
        found |= dict(zip(rows, composites, strict=True))
    return [found[row] for row in range(len(cells))]
