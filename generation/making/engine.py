"""Makes one shard: a range of plan positions becomes picture files and manifest rows.

Work goes structure by structure, so that a structure is encoded once a shard and an appearance's
styles are at hand. Some batches are in flight at once: threads read pictures, give the device its
work and write composites, while the next batches are put together here. Memory is bounded by
blocks, batches and the shard's rows, whatever the size of the job, beside the codes that the job
keeps. A shard's batches follow from its positions alone: made again, it has the same bytes.

Legend: B composites of a batch, H x W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dgnet.arrays import Bools, Integers, Pixels
from dgnet.generation.making.codes import CodeBlocks
from dgnet.generation.making.judging import DIGITS, Embedded, Judging, Verdict
from dgnet.generation.making.kept_codes import CodeMemory, KeptCodes, Reading
from dgnet.generation.making.naming import Names
from dgnet.generation.making.near_duplicates import NearDuplicates
from dgnet.generation.making.shard_files import ShardFiles
from dgnet.generation.making.stages import Role, StageClock
from dgnet.generation.output.sources import REPLACED
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.plan import Plan
from dgnet.generation.pairing.source_pictures import Unreadable, read_source
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.manifest import Row, Written
from dgnet.jobs.generation.spec import GenerationSpec
from dgnet.model.codes import AppearanceCode, StructureCode
from dgnet.model.predictor import NonFiniteError, Predictor, Scene

STYLES_BYTES = 256 * 2**20
"""Of appearance styles kept: those of 32,000 pictures at the paper's sizes."""

STRUCTURES_BYTES = 64 * 2**20
"""Of structure codes kept: 64 at the paper's sizes. Work is sorted, so few are needed at once."""

APPEARANCE_PARTS = len(fields(AppearanceCode))

READ_AHEAD = 2
ENCODED_AHEAD = 1
"""In batches, of pictures and codes."""

IN_FLIGHT = 2
"""Batches that the device's thread has been given: one under way and one that waits."""

WRITES_AHEAD = 4
"""In batches: composites that wait for being written."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a range of positions; source pictures by their path."""

    rows: list[Row]
    """One for each position, in order."""
    unreadable: dict[str, str]
    """Pictures that were needed and could not be read, and why."""
    sources: dict[str, list[str]]
    """sha256 of every picture that was read, and REPLACED where its size was not the listing's any
    more."""


class Tried(NamedTuple):
    """What became of one pair."""

    pixels: Pixels | None
    """None where a picture could not be read, and once they are on their way to the disk."""
    kept_share: float | None
    """Of the structure picture's own pixels; None where there is no composite."""
    verdict: Verdict


class Engine:
    """Makes shards of one job; close it to end its threads and forget its codes."""

    def __init__(
        self,
        spec: GenerationSpec,
        listing: Listing,
        plan: Plan,
        predictor: Predictor,
        judging: Judging,
        *,
        batch: int,
        threads: int,
        memory: CodeMemory,
        clock: StageClock,
    ) -> None:
        self._spec = spec
        self._listing = listing
        self._predictor = predictor
        self._scene: Scene = predictor.chosen_scene(spec.scene)
        self._judging = judging
        self._clock = clock
        self._batch = batch
        self._names = Names(spec.output, listing.persons, listing.names)
        self._embedders = judging.embedders
        self._readers = ThreadPoolExecutor(threads, "dgnet-read")
        self._writers = ThreadPoolExecutor(threads, "dgnet-write")
        # One: batches side by side on a CPU took more of its time (docs/benchmarks.md).
        self._device = ThreadPoolExecutor(1, "dgnet-device")
        self._orders: dict[Role, Integers] = {
            "appearance": plan.appearance_order,
            "structure": plan.structure_order,
        }
        pictures, most = len(listing.paths), plan.amount(spec) + spec.top_up
        self._kept: dict[Role, KeptCodes] = {
            "structure": KeptCodes(pictures, most, memory),
            "appearance": KeptCodes(pictures, most, memory),
        }

        self._code_bytes: dict[Role, int] = {}
        """Of one picture; known once one was encoded."""

    def close(self) -> None:
        """End the threads; what they have begun is finished."""
        for threads in (self._device, self._readers, self._writers):
            threads.shutdown(cancel_futures=True)
        for kept in self._kept.values():
            kept.close()

    def make(
        self,
        first: int,
        appearances: Integers,
        structures: Integers,
        folder: Path,
        progress: Callable[[int], None],
    ) -> Callable[[], Made]:
        """Composites of the pairs at positions `first`, `first` + 1, ..., written below `folder`.

        `progress` hears how many more are done. What is returned waits for the last files, in
        whatever thread, and must be called; by then the next shard may be under way.
        """
        styles = self._codes_of("appearance", appearances)
        structure_codes = self._codes_of("structure", structures)
        files = ShardFiles(folder, self._spec.output, self._writers, self._clock)
        flying: deque[tuple[Integers, Future[list[Tried]]]] = deque()
        tried: dict[int, Tried] = {}
        duplicates = self._duplicates()

        def land(*, leave: int) -> None:
            """Take what the device made, in order, until so few batches are in flight."""
            while len(flying) > leave:
                batch, future = flying.popleft()
                with self._clock.stage("wait for device"):
                    made = future.result()
                for place, one in zip(batch.tolist(), made, strict=True):
                    tried[place] = one._replace(pixels=None)
                    if one.pixels is None or one.verdict.dropped is not None:
                        continue
                    appearance, structure = int(appearances[place]), int(structures[place])
                    person = int(self._listing.person_ids[appearance])
                    if duplicates and not duplicates.admits(person, one.pixels):
                        dropped = replace(one.verdict, dropped="near_duplicate")
                        tried[place] = tried[place]._replace(verdict=dropped)
                        continue
                    name = self._name(first + place, appearance, structure)
                    files.write(place, name, one.pixels)
                with self._clock.stage("wait for writing"):
                    files.wait(leave=WRITES_AHEAD * self._batch)
                progress(len(batch))

        try:
            if not self._code_bytes:
                # Structures first: what they leave of the job's memory is for appearances, which
                # few shards share.
                self._code_bytes["structure"] = structure_codes.code_bytes()
                self._code_bytes["appearance"] = styles.code_bytes()
            together = styles.capacity(self._code_bytes["appearance"])
            work = np.lexsort(
                (
                    styles.places(appearances),
                    structure_codes.places(structures),
                    # So many appearances as a shard keeps at once: each is encoded once a shard,
                    # and a structure once for each such part.
                    styles.places(appearances) // together,
                )
            )
            batches = [
                work[start : start + self._batch] for start in range(0, len(work), self._batch)
            ]
            for number, batch in enumerate(batches):
                for ahead in batches[number : number + 1 + READ_AHEAD]:
                    styles.read_ahead(appearances[ahead])
                    structure_codes.read_ahead(structures[ahead])
                for ahead in batches[number : number + 1 + ENCODED_AHEAD]:
                    styles.encode_ahead(appearances[ahead])
                    structure_codes.encode_ahead(structures[ahead])
                codes = (
                    *styles.codes(appearances[batch]), *structure_codes.codes(structures[batch]),
                    appearances[batch], structures[batch],
                )  # fmt: skip
                flying.append((batch, self._device.submit(self._composed, *codes)))
                land(leave=IN_FLIGHT)
            land(leave=0)
        except BaseException:
            styles.close()
            structure_codes.close()
            for _, future in flying:
                future.cancel()
            files.cancel()
            raise

        def finish() -> Made:
            try:
                files.wait(leave=0)
            except BaseException:
                files.cancel()
                raise
            return self._made(first, appearances, structures, tried, files, styles, structure_codes)

        return finish

    def _made(
        self,
        first: int,
        appearances: Integers,
        structures: Integers,
        tried: dict[int, Tried],
        files: ShardFiles,
        *codes: CodeBlocks,
    ) -> Made:
        """What the index of a shard and its part of the manifest say."""
        paths = self._listing.paths
        failures: dict[int, str] = {}
        sources: dict[int, set[str]] = {}
        for blocks in codes:
            failures |= blocks.failures
            for picture, notes in blocks.sources.items():
                sources.setdefault(picture, set()).update(notes)
        pairs = zip(appearances.tolist(), structures.tolist(), strict=True)
        return Made(
            rows=[
                self._row(first + place, *pair, tried[place], files.written.get(place))
                for place, pair in enumerate(pairs)
            ],
            unreadable={paths[picture]: why for picture, why in sorted(failures.items())},
            sources={paths[picture]: sorted(notes) for picture, notes in sorted(sources.items())},
        )

    def _codes_of(self, role: Role, pictures: Integers) -> CodeBlocks:
        """Of a shard's own pictures alone: blocks of the whole listing would encode all of it for
        every shard of a large one.
        """
        order = self._orders[role]
        encode, capacity_bytes = {
            "appearance": (self._encode_appearance, STYLES_BYTES),
            "structure": (self._encode_structure, STRUCTURES_BYTES),
        }[role]
        return CodeBlocks(
            order[np.isin(order, pictures)], role=role, block_size=self._batch,
            capacity_bytes=capacity_bytes, read=self._read, encode=encode,
            picture_shape=(self._predictor.height, self._predictor.width, 3),
            kept=self._kept[role], readers=self._readers, device=self._device, clock=self._clock,
        )  # fmt: skip

    def _composed(
        self,
        styles: tuple[Tensor, ...],
        appearance_readable: Bools,
        structure_codes: tuple[Tensor, ...],
        structure_readable: Bools,
        appearances: Integers,
        structures: Integers,
    ) -> list[Tried]:
        """What became of each pair."""
        good = np.flatnonzero(appearance_readable & structure_readable)
        made = [
            Tried(None, None, Verdict(dropped=f"unreadable_{role}"))
            for role in np.where(appearance_readable, "structure", "appearance")
        ]
        if not len(good):
            return made
        chosen = torch.as_tensor(good, device=self._predictor.device)
        try:
            with self._clock.stage("decode"):
                composed = self._predictor.composed(
                    AppearanceCode(*(part[chosen] for part in styles[:APPEARANCE_PARTS])),
                    StructureCode(*(part[chosen] for part in structure_codes)),
                    scene=self._scene,
                )
            with self._clock.stage("judge"):
                embeddings: Embedded = {
                    name: rows[chosen].cpu().numpy()
                    for name, rows in zip(self._embedders, styles[APPEARANCE_PARTS:], strict=True)
                }
                verdicts = self._judging(
                    composed.pictures, appearances[good], structures[good], embeddings
                )
        except NonFiniteError as error:
            pairs = zip(appearances[good].tolist(), structures[good].tolist(), strict=True)
            paths = self._listing.paths
            raise GenerationError(
                str(
                    error.of(
                        [
                            f"{paths[appearance]} on {paths[structure]}"
                            for appearance, structure in pairs
                        ]
                    )
                )
            ) from error
        shares = np.round(composed.kept_shares.astype(np.float64), DIGITS).tolist()
        tried = zip(composed.pictures, shares, verdicts, strict=True)
        for place, (pixels, kept_share, verdict) in zip(good.tolist(), tried, strict=True):
            made[place] = Tried(pixels, kept_share, verdict)
        return made

    def _name(self, position: int, appearance: int, structure: int) -> str:
        person = int(self._listing.person_ids[appearance])
        return self._names.path(person, self._listing.camera(structure), position)

    def _row(
        self, position: int, appearance: int, structure: int, tried: Tried, written: Written | None
    ) -> Row:
        return Row(
            position=position,
            written=written,
            appearance=self._listing.origin(appearance),
            structure=self._listing.origin(structure),
            labels=tried.verdict.labels,
            scores=tried.verdict.scores,
            dropped=tried.verdict.dropped,
            scene=None if tried.kept_share is None else self._scene,
            kept_share=tried.kept_share,
        )

    def _read(self, picture: int) -> Reading:
        notes: tuple[str, ...] = ()

        def note(sha256: str, size_bytes: int) -> None:
            nonlocal notes
            expected = self._listing.sizes[picture]
            notes = (sha256,) if expected in (None, size_bytes) else (sha256, REPLACED)

        height, width = self._predictor.height, self._predictor.width
        path = self._listing.paths[picture]
        try:
            read = read_source(self._listing, path, height=height, width=width, note=note)
        except Unreadable as error:
            return Reading(None, str(error), notes)
        return Reading(read.pixels, notes=notes)

    def _encode_structure(self, pixels: Pixels) -> tuple[Tensor, ...]:
        return self._predictor.structure_codes(pixels).tensors()

    def _encode_appearance(self, pixels: Pixels) -> tuple[Tensor, ...]:
        parts = self._predictor.appearance_styles(pixels).tensors()
        embeddings = (
            torch.as_tensor(embed(pixels), device=parts[0].device)
            for embed in self._embedders.values()
        )
        return *parts, *embeddings

    def _duplicates(self) -> NearDuplicates | None:
        most_bits = self._spec.keep.near_duplicates
        return None if most_bits is None else NearDuplicates(most_bits)
