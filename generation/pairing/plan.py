"""Which pictures are paired: a pure function of listing, pairing and seed, evaluated by position.

No list of pairs is ever held, only arrays as long as the listing; ten million pairs take no more
memory than ten. Promises (docs/generation.md, tests): no pair twice, no picture with itself;
appearances of any two persons differ in count by at most one until a person has no pair left; a
longer plan contains the shorter one; the same on every machine and however it is cut.

Positions go person by person, a person's structures being neighbors on their cycle: a range of
positions needs few pictures, so that codes are computed about once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dgnet.arrays import Integers
from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.round_robin import RoundRobin, build_round_robin
from dgnet.generation.pairing.water_filling import fill
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import GenerationSpec, Pairing
from dgnet.model.data.picture import NO_CAMERA

VERSION = b"dgnet-plan-1"
"""Part of the key: a change of the arithmetic must change it."""


class Plan:
    """The pairs of a listing; `window` evaluates some of them."""

    def __init__(self, listing: Listing, pairing: Pairing, seed: int) -> None:
        _require_pairable(listing, pairing)
        key = hashlib.blake2b(
            f"{listing.digest}\n{pairing}\n{seed}".encode(), key=VERSION, digest_size=32
        ).digest()
        persons = np.array(listing.persons, dtype=np.int64)
        slot_of_person = np.empty_like(persons)
        slot_of_person[keyed_order(key, map(str, listing.persons))] = np.arange(len(persons))
        slots = slot_of_person[np.searchsorted(persons, listing.person_ids)]
        order = keyed_order(key, listing.paths)
        self.pairing: Pairing = pairing
        self._round_robin: RoundRobin = build_round_robin(pairing, slots, listing.camera_ids, order)
        self._person_pairs = np.zeros_like(persons)
        np.add.at(self._person_pairs, self._round_robin.slots, self._round_robin.capacities)
        self._single_group = len(self._round_robin.slots) == len(persons)

    @property
    def pairs(self) -> int:
        """The most there are."""
        return int(self._person_pairs.sum())

    @property
    def fewest_pairs_of_a_person(self) -> int:
        return int(self._person_pairs.min())

    @property
    def structure_order(self) -> Integers:
        """All pictures, those near each other that a range of positions needs as structures."""
        order = self._round_robin.cycles.astype(np.int64)
        _, first = np.unique(order, return_index=True)
        return order[np.sort(first)]

    @property
    def appearance_order(self) -> Integers:
        """All pictures, those near each other that a range of positions needs as appearances."""
        return self._round_robin.appearances

    def amount(self, spec: GenerationSpec) -> int:
        """How many composites a spec asks for; a GenerationError if there are fewer pairs."""
        persons = len(self._person_pairs)
        if spec.per_identity is not None:
            if spec.per_identity > self.fewest_pairs_of_a_person:
                raise GenerationError(
                    f"per_identity is {spec.per_identity}, but with the pairing {self.pairing} a "
                    f"person has only {self.fewest_pairs_of_a_person} pairs; expected at most that"
                )
            return spec.per_identity * persons
        assert spec.count is not None
        if spec.count > self.pairs:
            raise GenerationError(
                f"count is {spec.count}, but the pairing {self.pairing} of these pictures has only "
                f"{self.pairs} pairs; expected at most that"
            )
        return spec.count

    def window(self, start: int, stop: int) -> Window:
        """The pairs that a plan of `stop` composites has beyond one of `start`, in order."""
        if not 0 <= start <= stop <= self.pairs:
            raise ValueError(f"window {start}..{stop} is not within the {self.pairs} pairs")
        before, after = self._shares(start), self._shares(stop)
        return Window(start, self._round_robin, before, np.cumsum(after - before))

    def _shares(self, amount: int) -> Integers:
        """Visits of each group in a plan of `amount` composites."""
        per_person = fill(self._person_pairs, amount)
        if self._single_group:
            return per_person
        capacities = self._round_robin.capacities
        ends = np.cumsum(np.bincount(self._round_robin.slots))
        shares = [
            fill(capacities[start:end], int(share))
            for start, end, share in zip(np.r_[0, ends[:-1]], ends, per_person, strict=True)
        ]
        return np.concatenate(shares)


@dataclass(frozen=True)
class Window:
    """A stretch of a plan, positions `start` to `start + len`."""

    start: int
    _round_robin: RoundRobin
    _first_visits: Integers
    _ends: Integers

    def __len__(self) -> int:
        return int(self._ends[-1])

    def pairs(self, first: int, last: int) -> tuple[Integers, Integers]:
        """Appearance and structure pictures of the positions first <= position < last."""
        places = np.arange(first - self.start, last - self.start)
        if len(places) and not 0 <= places[0] <= places[-1] < len(self):
            raise IndexError(f"positions {first} to {last} are not all within the window")
        groups = np.searchsorted(self._ends, places, side="right")
        begins = np.where(groups > 0, self._ends[groups - 1], 0)
        return self._round_robin.pairs(groups, self._first_visits[groups] + places - begins)


def keyed_order(key: bytes, names: Iterable[str]) -> Integers:
    """An order of the names that only the key and the names decide."""
    digests = b"".join(
        hashlib.blake2b(name.encode("utf-8", "surrogateescape"), key=key, digest_size=8).digest()
        for name in names
    )
    return np.argsort(np.frombuffer(digests, dtype=">u8"), kind="stable")


def _require_pairable(listing: Listing, pairing: Pairing) -> None:
    if len(listing) < 2:
        raise GenerationError(f"{listing.root} has one picture of a person; pairs take two")
    if pairing != "full_grid" and len(listing.persons) < 2:
        raise GenerationError(
            f"{listing.root} has pictures of one person only, but the pairing {pairing} takes two "
            "persons; choose full_grid or another data set"
        )
    if pairing in ("same_camera", "cross_camera"):
        unknown = int((listing.camera_ids == NO_CAMERA).sum())
        if unknown:
            raise GenerationError(
                f"the camera of {unknown} of {len(listing)} pictures is not known, but the pairing "
                f"{pairing} needs all; choose cross_identity, or a pattern with (?P<camera>...)"
            )
