"""What a job made, as columns that are filtered, sorted and counted in milliseconds.

A manifest is read once, as JSON lines, of which an index keeps numbers alone: where each row lies,
its persons, cameras, scores and fate, some 110 bytes a composite. Rows themselves are read from the
file again, a page of them. `CompositeIndexes` (composite_indexes.py) keeps indexes; HTTP is left to
the routes.

Legend: N composites.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import orjson

from dgnet.arrays import Bools, Doubles, Integers
from dgnet.jobs.generation.manifest import SCORES, Score

Measure = Literal[
    "identity_consistency",
    "teacher_confidence",
    "realism_percentile",
    "judge_similarity",
    "kept_share",
]
"""What composites are sorted and filtered by: the scores of a manifest, and `kept_share`."""

Sort = Literal[
    "position",
    "identity_consistency",
    "teacher_confidence",
    "realism_percentile",
    "judge_similarity",
    "kept_share",
]
MEASURES: dict[Measure, tuple[int, int]] = {**SCORES, "kept_share": (0, 1)}
"""Lowest and highest value of each."""

NONE = -(2**63)
"""A camera that is not known."""
KEPT = -1
"""In place of the number of a reason."""
_BLOCK_BYTES = 2**16
"""Rows of a block are objects for a moment: larger blocks leave the processor's caches."""
_NUMBERS = (
    "position",
    "appearance_person",
    "structure_person",
    "appearance_camera",
    "structure_camera",
)
BYTES_A_ROW = 8 * (len(_NUMBERS) + 1 + len(MEASURES)) + 3 * 4


class DamagedManifest(Exception):
    """A file holds something else than rows of a manifest."""


class TooManyComposites(Exception):
    """An index would take more memory than it may."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which composites, in which order; what is None filters nothing."""

    person: int | None = None
    """Of the appearance or of the structure."""
    camera: int | None = None
    kept: bool | None = None
    dropped: str | None = None
    """The reason."""
    measure: Measure | None = None
    minimum: float | None = None
    maximum: float | None = None
    sort: Sort = "position"
    descending: bool = False
    after: int | None = None
    """Position of the last composite that was seen; in the plan it is there once."""
    limit: int


class CompositeIndex:
    """Columns of N rows, which lie in one or more files of JSON lines."""

    def __init__(self, parts: Sequence[Path], columns: dict[str, Any], reasons: Sequence[str]):
        self.parts = tuple(parts)
        self.reasons = tuple(reasons)
        self._columns = columns

    @classmethod
    def empty(cls) -> CompositeIndex:
        return cls((), _columns(0, [], {}), ())

    def __len__(self) -> int:
        return len(self._columns["position"])

    @property
    def size_bytes(self) -> int:
        return len(self) * BYTES_A_ROW

    def with_parts(self, paths: Iterable[Path], *, max_rows: int) -> CompositeIndex:
        """This index and the rows of more files, as far as they are there: the first that is gone
        ends it. TooManyComposites beyond `max_rows`, DamagedManifest for what are no rows.
        """
        reasons = {reason: number for number, reason in enumerate(self.reasons)}
        blocks, parts, rows = [self._columns], list(self.parts), len(self)
        for path in paths:
            read: list[dict[str, Any]] = []
            try:
                for offset, lines in _blocks(path):
                    read.append(_columns(len(parts), _loads(lines), reasons))
                    lengths = np.array([len(line) for line in lines], dtype=np.int32)
                    read[-1]["length"] = lengths
                    ends = np.cumsum(lengths + 1, dtype=np.int64)
                    read[-1]["offset"] = offset + ends - lengths - 1
                    rows += len(lines)
                    if rows > max_rows:
                        raise TooManyComposites
            except FileNotFoundError:
                break
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DamagedManifest(path.name) from error
            blocks += read
            parts.append(path)
        columns = {name: np.concatenate([b[name] for b in blocks]) for name in self._columns}
        return CompositeIndex(parts, columns, list(reasons))

    def select(self, choice: Choice) -> tuple[int, Integers, bool]:
        """How many are chosen in all; the rows of the page in their order; whether more follow.

        Composites without the value that they are sorted by come last, whichever way it goes; equal
        ones by position. Raises KeyError for an `after` that no row has.
        """
        wanted = self._wanted(choice)
        total = int(wanted.sum())
        keys, positions = self._keys(choice), self._columns["position"]
        if choice.after is not None:
            last = self.row_of(choice.after)
            key = keys[last]
            wanted &= (keys > key) | ((keys == key) & (positions > choice.after))
        rows = np.flatnonzero(wanted)
        more = len(rows) > choice.limit
        if more:  # a part of so many is sorted, not all of them
            cut = np.partition(keys[rows], choice.limit - 1)[choice.limit - 1]
            rows = rows[keys[rows] <= cut]
        order = np.lexsort((positions[rows], keys[rows]))[: choice.limit]
        return total, rows[order], more

    def row_of(self, position: int) -> int:
        """The row of a position; KeyError if there is none."""
        found = np.flatnonzero(self._columns["position"] == position)
        if not len(found):
            raise KeyError(position)
        return int(found[0])

    def lines(self, rows: Iterable[int]) -> list[bytes]:
        """The rows as the manifest has them; FileNotFoundError if it is gone."""
        found: list[bytes] = []
        for row in rows:
            with self.part_of(row).open("rb") as file:
                file.seek(int(self._columns["offset"][row]))
                found.append(file.read(int(self._columns["length"][row])))
        return found

    def part_of(self, row: int) -> Path:
        """The file that holds a row."""
        return self.parts[int(self._columns["part"][row])]

    def dropped(self) -> dict[str, int]:
        """Composites by the reason why they were dropped."""
        counts = np.bincount(
            self._columns["reason"][self._columns["reason"] != KEPT], minlength=len(self.reasons)
        )
        return dict(zip(self.reasons, counts.tolist(), strict=True))

    def persons(self) -> list[int]:
        """Those that give an appearance or a structure, sorted."""
        return _unique(self._columns, "person")

    def cameras(self) -> list[int]:
        return [camera for camera in _unique(self._columns, "camera") if camera != NONE]

    def values(self, measure: Measure, *, kept: bool) -> Doubles:
        """The recorded values of kept or of dropped composites."""
        values = self._columns[measure]
        fate = (self._columns["reason"] == KEPT) == kept
        return values[fate & ~np.isnan(values)]

    def _wanted(self, choice: Choice) -> Bools:
        column = self._columns
        wanted = np.ones(len(self), dtype=bool)
        for name, value in (("person", choice.person), ("camera", choice.camera)):
            if value is not None:
                wanted &= (column[f"appearance_{name}"] == value) | (
                    column[f"structure_{name}"] == value
                )
        if choice.kept is not None:
            wanted &= (column["reason"] == KEPT) == choice.kept
        if choice.dropped is not None:
            known = choice.dropped in self.reasons
            wanted &= column["reason"] == self.reasons.index(choice.dropped) if known else np.False_
        if choice.measure is not None:
            values = column[choice.measure]  # comparisons with NaN are false
            wanted &= ~np.isnan(values)
            if choice.minimum is not None:
                wanted &= values >= choice.minimum
            if choice.maximum is not None:
                wanted &= values <= choice.maximum
        return wanted

    def _keys(self, choice: Choice) -> Doubles:
        values = self._columns[choice.sort].astype(np.float64)
        return np.nan_to_num(-values if choice.descending else values, nan=np.inf)


def loads(line: bytes) -> dict[str, Any]:
    """One row. Names of files may hold what orjson takes for no text."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)


def _loads(lines: list[bytes]) -> list[dict[str, Any]]:
    try:
        return orjson.loads(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        return [loads(line) for line in lines]


def _blocks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Lines of a file, some megabytes at a time, and where the first of them begins."""
    with path.open("rb") as file:
        offset, rest = 0, b""
        while block := file.read(_BLOCK_BYTES):
            whole, newline, after = (rest + block).rpartition(b"\n")
            if newline:
                yield offset, whole.split(b"\n")
                offset += len(whole) + 1
            rest = after


def _columns(part: int, rows: list[dict[str, Any]], reasons: dict[str, int]) -> dict[str, Any]:
    """All columns but where the rows lie; `reasons` learns those that are new."""
    for row in rows:
        if row["dropped"] is not None:
            reasons.setdefault(row["dropped"], len(reasons))
    columns: dict[str, Any] = {
        name: np.array(
            [NONE if (value := row[name]) is None else value for row in rows], dtype=np.int64
        )
        for name in _NUMBERS
    }
    columns["offset"] = np.zeros(len(rows), dtype=np.int64)
    columns["length"] = np.zeros(len(rows), dtype=np.int32)
    columns["part"] = np.full(len(rows), part, dtype=np.int32)
    columns["reason"] = np.array(
        [KEPT if row["dropped"] is None else reasons[row["dropped"]] for row in rows],
        dtype=np.int32,
    )
    scores = [cast("dict[Score, float | None]", row["scores"]) for row in rows]
    for name in SCORES:  # None becomes NaN
        columns[name] = np.array([found.get(name) for found in scores], dtype=np.float64)
    columns["kept_share"] = np.array([row.get("kept_share") for row in rows], dtype=np.float64)
    return columns


def _unique(columns: dict[str, Any], name: str) -> list[int]:
    both = np.concatenate([np.unique(columns[f"{role}_{name}"]) for role in _ROLES])
    return np.unique(both).tolist()


_ROLES = ("appearance", "structure")
