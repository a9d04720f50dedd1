"""Which structures a person's appearances may meet, laid out so that every visit is arithmetic.

A *group* is the pictures that one person has of one class; a *cycle* holds the structure pictures
that a class may meet, in keyed order. What a class is, the pairing decides: the camera, or one for
all. A group's visits go round its cycle from a starting point of its own, the starting points
being spread evenly: thus structures are used evenly by all groups together. Pictures that the group
may not meet are skipped. Each round takes, for a structure, the next of the group's appearances, so
that after as many rounds as there are appearances each pair has been met exactly once.

Legend: N pictures, G groups, C classes. Everything is integer arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgnet.arrays import Bools, Integers
from dgnet.jobs.generation.spec import Pairing


@dataclass(frozen=True, kw_only=True)
class RoundRobin:
    """Groups and cycles of one listing; arrays with one value a group unless said otherwise."""

    slots: Integers
    """Position of the group's person in the keyed order of persons; never falling."""
    capacities: Integers
    """Pairs that a group has."""
    appearances: Integers
    """Picture numbers (N), group after group."""
    starts: Integers
    """Where a group's appearances begin in `appearances`."""
    sizes: Integers
    cycles: NDArray[np.int32]
    """Picture numbers, cycle after cycle."""
    cycle_starts: Integers
    lengths: Integers
    """Of the group's cycle."""
    offsets: Integers
    """Where on its cycle a group begins."""
    periods: Integers
    """Visits after which the skipped ranks repeat."""
    per_period: Integers
    """Visits of a period that are not skipped."""
    skip_keys: Integers
    """Group * `stride` + (skipped rank - skipped ranks before it in the group); sorted."""
    skip_starts: Integers
    stride: int

    def pairs(self, groups: Integers, visits: Integers) -> tuple[Integers, Integers]:
        """Appearance and structure pictures of visits 0 <= visit < capacity."""
        rounds, rest = np.divmod(visits, self.per_period[groups])
        before = np.searchsorted(self.skip_keys, groups * self.stride + rest, side="right")
        ranks = rest + before - self.skip_starts[groups]
        lengths = self.lengths[groups]
        # With a period of one round `ranks` stays below the length, else it counts the rounds.
        rounds = rounds * (self.periods[groups] // lengths) + ranks // lengths
        ranks %= lengths
        places = (self.offsets[groups] + ranks) % lengths
        structures = self.cycles[self.cycle_starts[groups] + places].astype(np.int64)
        turns = (ranks + rounds) % self.sizes[groups]
        return self.appearances[self.starts[groups] + turns], structures


def build_round_robin(
    pairing: Pairing, slots: Integers, cameras: Integers, order: Integers
) -> RoundRobin:
    """Lay out a listing: each picture's person as a slot (N), its camera (N), and the keyed order
    of all pictures (N).
    """
    by_camera = pairing in ("same_camera", "cross_camera")
    classes = np.unique(cameras, return_inverse=True)[1] if by_camera else np.zeros_like(cameras)
    count = int(classes.max()) + 1
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    appearances = np.lexsort((places, classes, slots))
    keys = slots[appearances] * count + classes[appearances]
    group_keys, starts, sizes = np.unique(keys, return_index=True, return_counts=True)
    group_slots, group_classes = np.divmod(group_keys, count)
    person_ends = np.cumsum(np.bincount(slots))

    cycles: list[NDArray[np.int32]] = []
    lengths, offsets, periods = (np.zeros_like(starts) for _ in range(3))
    skips: list[Integers] = [np.empty(0, np.int64)] * len(group_keys)
    for label in range(count):
        cycle = order[_may_meet(pairing, classes[order], label)]
        cycles.append(cycle.astype(np.int32))
        places[:] = -1
        places[cycle] = np.arange(len(cycle))
        groups = np.flatnonzero(group_classes == label)
        lengths[groups] = periods[groups] = len(cycle)
        offsets[groups] = np.arange(len(groups)) * len(cycle) // len(groups)
        for group in groups.tolist():
            slot = int(group_slots[group])
            own = appearances[person_ends[slot - 1] if slot else 0 : person_ends[slot]]
            found = places[own][places[own] >= 0]
            if not len(cycle) or not len(found):
                continue
            ranks = (found - offsets[group]) % len(cycle)
            if pairing == "full_grid":
                ranks = _ranks_with_itself(ranks, len(cycle))
                periods[group] = len(cycle) * sizes[group]
            skips[group] = np.sort(ranks) - np.arange(len(ranks))

    skipped = np.array([len(skip) for skip in skips], dtype=np.int64)
    stride = int(periods.max()) + 1
    cycle_lengths = np.array([len(cycle) for cycle in cycles], dtype=np.int64)
    per_period = periods - skipped
    rounds = np.where(periods == lengths, sizes, 1)
    return RoundRobin(
        slots=group_slots,
        capacities=per_period * rounds,
        appearances=appearances,
        starts=starts,
        sizes=sizes,
        cycles=np.concatenate(cycles),
        cycle_starts=(np.cumsum(cycle_lengths) - cycle_lengths)[group_classes],
        lengths=lengths,
        offsets=offsets,
        periods=periods,
        per_period=per_period,
        skip_keys=np.concatenate([skip + g * stride for g, skip in enumerate(skips)]),
        skip_starts=np.cumsum(skipped) - skipped,
        stride=stride,
    )


def _may_meet(pairing: Pairing, classes: Integers, label: int) -> Bools:
    """Which pictures, given their classes, lie on the cycle of class `label`."""
    if pairing == "same_camera":
        return classes == label
    if pairing == "cross_camera":
        return classes != label
    return np.ones(len(classes), np.bool_)


def _ranks_with_itself(ranks: Integers, length: int) -> Integers:
    """Where picture u of a group, whose rank on the cycle is `ranks[u]`, would meet itself.

    It is picture (rank + round) mod n's turn: u's at round (u - rank) mod n.
    """
    count = len(ranks)
    return (np.arange(count) - ranks) % count * length + ranks
