"""Makes one shard: a range of plan positions becomes picture files and manifest rows.

Work goes structure by structure, so that a structure is encoded once a shard and an appearance's
styles are at hand; the device decodes full batches while threads read the next pictures and write
the last composites. Memory is bounded by blocks, batches and the shard's rows, whatever the size of
the job. A shard's batches follow from its positions alone: made again, it has the same bytes.

Legend: B composites of a batch, H x W pixels.
"""

from __future__ import annotations

import hashlib
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
from dgnet.generation.making.encoding import encode_composite
from dgnet.generation.making.judging import DIGITS, Embedded, Judging, Verdict
from dgnet.generation.making.naming import Names
from dgnet.generation.making.near_duplicates import NearDuplicates
from dgnet.generation.making.stages import StageClock
from dgnet.generation.output.publication import make_below
from dgnet.generation.output.sources import REPLACED
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.plan import Plan
from dgnet.generation.pairing.source_pictures import read_source
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

BATCHES_AHEAD = 2
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
    """None where a picture could not be read."""
    kept_share: float | None
    """Of the structure picture's own pixels; None where there is no composite."""
    verdict: Verdict


class Engine:
    """Makes shards of one job; close it to end its threads."""

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
        self._orders = plan.appearance_order, plan.structure_order

    def close(self) -> None:
        """End the threads; what they have begun is finished."""
        for threads in (self._readers, self._writers):
            threads.shutdown(cancel_futures=True)

    def make(
        self,
        first: int,
        appearances: Integers,
        structures: Integers,
        folder: Path,
        progress: Callable[[int], None],
    ) -> Made:
        """Composites of the pairs at positions `first`, `first` + 1, ..., written below `folder`.

        `progress` hears how many more are done.
        """
        sources: dict[int, set[str]] = {}
        styles, structure_codes = self._codes_of(appearances, structures, sources)
        work = np.lexsort(
            (
                styles.places(appearances),
                structure_codes.places(structures),
                # So many appearances as are kept at once: each is encoded once a shard, and a
                # structure once for each such part.
                styles.places(appearances) // styles.capacity,
            )
        )
        verdicts: dict[int, Verdict] = {}
        kept_shares: dict[int, float | None] = {}
        written: dict[int, Written] = {}
        unfinished: deque[tuple[int, Future[Written]]] = deque()
        duplicates = self._duplicates()
        batches = [work[start : start + self._batch] for start in range(0, len(work), self._batch)]
        try:
            for number, batch in enumerate(batches):
                for ahead in batches[number : number + 1 + BATCHES_AHEAD]:
                    styles.read_ahead(appearances[ahead])
                    structure_codes.read_ahead(structures[ahead])
                made = self._composed(
                    *styles.codes(appearances[batch]), *structure_codes.codes(structures[batch]),
                    appearances[batch], structures[batch],
                )  # fmt: skip
                for place, (pixels, kept_share, verdict) in zip(batch.tolist(), made, strict=True):
                    verdicts[place], kept_shares[place] = verdict, kept_share
                    if pixels is None or verdict.dropped is not None:
                        continue
                    person = int(self._listing.person_ids[appearances[place]])
                    if duplicates and not duplicates.admits(person, pixels):
                        verdicts[place] = replace(verdict, dropped="near_duplicate")
                        continue
                    name = self._name(
                        first + place, int(appearances[place]), int(structures[place])
                    )
                    writing = self._writers.submit(self._write, folder, name, pixels)
                    unfinished.append((place, writing))
                self._finish(unfinished, written, leave=WRITES_AHEAD * self._batch)
                progress(len(batch))
            self._finish(unfinished, written, leave=0)
        finally:
            for _, future in unfinished:  # a folder that is still written to cannot be removed
                if not future.cancel():
                    future.exception()
        paths = self._listing.paths
        failures = styles.failures | structure_codes.failures
        pairs = zip(appearances.tolist(), structures.tolist(), strict=True)
        return Made(
            rows=[
                self._row(
                    first + place, *pair, verdicts[place], kept_shares[place], written.get(place)
                )
                for place, pair in enumerate(pairs)
            ],
            unreadable={paths[picture]: why for picture, why in sorted(failures.items())},
            sources={paths[picture]: sorted(notes) for picture, notes in sorted(sources.items())},
        )

    def _codes_of(
        self, appearances: Integers, structures: Integers, sources: dict[int, set[str]]
    ) -> tuple[CodeBlocks, CodeBlocks]:
        """Of a shard's own pictures alone: blocks of the whole listing would encode all of it for
        every shard of a large one.
        """
        shape = (self._predictor.height, self._predictor.width, 3)
        by_appearance, by_structure = self._orders

        def read(picture: int) -> Pixels:
            return self._read(picture, sources)

        styles = CodeBlocks(
            by_appearance[np.isin(by_appearance, appearances)], block_size=self._batch,
            capacity_bytes=STYLES_BYTES, picture_shape=shape, read=read,
            encode=self._encode_appearance, stage="appearance codes",
            threads=self._readers, clock=self._clock,
        )  # fmt: skip
        structure_codes = CodeBlocks(
            by_structure[np.isin(by_structure, structures)], block_size=self._batch,
            capacity_bytes=STRUCTURES_BYTES, picture_shape=shape, read=read,
            encode=lambda pixels: self._predictor.structure_codes(pixels).tensors(),
            stage="structure codes", threads=self._readers, clock=self._clock,
        )  # fmt: skip
        return styles, structure_codes

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
        self,
        position: int,
        appearance: int,
        structure: int,
        verdict: Verdict,
        kept_share: float | None,
        written: Written | None,
    ) -> Row:
        return Row(
            position=position,
            written=written,
            appearance=self._listing.origin(appearance),
            structure=self._listing.origin(structure),
            labels=verdict.labels,
            scores=verdict.scores,
            dropped=verdict.dropped,
            scene=None if kept_share is None else self._scene,
            kept_share=kept_share,
        )

    def _finish(
        self,
        unfinished: deque[tuple[int, Future[Written]]],
        written: dict[int, Written],
        *,
        leave: int,
    ) -> None:
        """Wait until at most `leave` files are unwritten; note what the others hold."""
        with self._clock.stage("wait for writing"):
            while len(unfinished) > leave:
                place, future = unfinished.popleft()
                written[place] = future.result()

    def _write(self, folder: Path, name: str, pixels: Pixels) -> Written:
        path = folder / name
        with self._clock.stage("write"):
            data = encode_composite(pixels, self._spec.output)
            try:
                path.write_bytes(data)
            except FileNotFoundError:
                make_below(folder, path.parent)  # never more: the folder may have been closed
                path.write_bytes(data)
            return Written(name, hashlib.sha256(data).hexdigest(), len(data))

    def _read(self, picture: int, sources: dict[int, set[str]]) -> Pixels:
        def note(sha256: str, size_bytes: int) -> None:
            expected = self._listing.sizes[picture]
            same = expected is None or size_bytes == expected
            sources.setdefault(picture, set()).update((sha256,) if same else (sha256, REPLACED))

        height, width = self._predictor.height, self._predictor.width
        path = self._listing.paths[picture]
        return read_source(self._listing, path, height=height, width=width, note=note).pixels

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
