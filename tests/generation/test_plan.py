"""The plan's promises, for listings of any shape."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgnet.generation.pairing.listing import Listing
from dgnet.generation.pairing.plan import Plan
from dgnet.generation.pairing.water_filling import fill
from dgnet.jobs.generation.errors import GenerationError
from dgnet.jobs.generation.spec import Pairing, spec_from
from dgnet.model.data.check.pairs import pairs_of
from dgnet.model.data.picture import Picture

People = list[list[int]]
"""The cameras of each person's pictures."""

PEOPLE = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=2, max_size=6)
PAIRINGS: tuple[Pairing, ...] = ("cross_identity", "same_camera", "cross_camera", "full_grid")
Pair = tuple[int, int]


def listing_of(people: People) -> Listing:
    rows = [(person, camera) for person, cameras in enumerate(people, 1) for camera in cameras]
    return Listing(
        root=Path("nowhere"),
        layout="market1501",
        paths=tuple(f"{number:06d}.jpg" for number in range(len(rows))),
        person_ids=np.array([person for person, _ in rows]),
        camera_ids=np.array([camera for _, camera in rows]),
        names={},
    )


def every_pair(plan: Plan, start: int, stop: int, chunk: int = 1000) -> list[Pair]:
    window = plan.window(start, stop)
    pairs: list[Pair] = []
    for first in range(start, stop, chunk):
        appearances, structures = window.pairs(first, min(first + chunk, stop))
        pairs += zip(appearances.tolist(), structures.tolist(), strict=True)
    return pairs


def allowed(listing: Listing, pairing: Pairing) -> set[Pair]:
    """By the definition of each pairing."""
    people: list[int] = listing.person_ids.tolist()
    cameras: list[int] = listing.camera_ids.tolist()

    def fits(a: int, s: int) -> bool:
        match pairing:
            case "cross_identity":
                return people[a] != people[s]
            case "same_camera":
                return people[a] != people[s] and cameras[a] == cameras[s]
            case "cross_camera":
                return people[a] != people[s] and cameras[a] != cameras[s]
            case "full_grid":
                return a != s

    everyone = range(len(listing))
    return {(a, s) for a in everyone for s in everyone if fits(a, s)}


@given(people=PEOPLE, pairing=st.sampled_from(PAIRINGS), seed=st.integers(0, 2**63 - 1))
@settings(deadline=None)
def test_a_full_plan_has_each_allowed_pair_once(
    people: People, pairing: Pairing, seed: int
) -> None:
    listing = listing_of(people)
    plan = Plan(listing, pairing, seed)
    pairs = every_pair(plan, 0, plan.pairs)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == allowed(listing, pairing)


@given(
    people=PEOPLE,
    pairing=st.sampled_from(PAIRINGS),
    share=st.floats(0, 1),
    chunk=st.integers(1, 20),
)
@settings(deadline=None)
def test_persons_are_balanced_until_their_pairs_run_out_however_the_plan_is_cut(
    people: People, pairing: Pairing, share: float, chunk: int
) -> None:
    listing = listing_of(people)
    plan = Plan(listing, pairing, 5)
    count = round(plan.pairs * share)
    pairs = every_pair(plan, 0, count, chunk)
    assert pairs == every_pair(plan, 0, count)
    persons = listing.person_ids.tolist()
    most = Counter(persons[appearance] for appearance, _ in allowed(listing, pairing))
    counts = dict.fromkeys(listing.persons, 0) | Counter(persons[a] for a, _ in pairs)
    open_counts = [counts[person] for person in counts if counts[person] < most[person]]
    if open_counts:
        assert max(counts.values()) - min(open_counts) <= 1


@given(people=PEOPLE, pairing=st.sampled_from(PAIRINGS), shares=st.tuples(*[st.floats(0, 1)] * 2))
@settings(deadline=None)
def test_a_longer_plan_is_the_shorter_one_and_a_window(
    people: People, pairing: Pairing, shares: tuple[float, float]
) -> None:
    plan = Plan(listing_of(people), pairing, 5)
    short, long = sorted(round(plan.pairs * share) for share in shares)
    parts = every_pair(plan, 0, short) + every_pair(plan, short, long)
    assert sorted(parts) == sorted(every_pair(plan, 0, long))


@given(sizes=st.lists(st.integers(1, 9), min_size=3, max_size=12), share=st.floats(0, 1))
@settings(deadline=None)
def test_structures_are_used_evenly_by_all_persons_together(sizes: list[int], share: float) -> None:
    listing = listing_of([[1] * size for size in sizes])
    persons, pictures, largest = len(sizes), len(listing), max(sizes)
    plan = Plan(listing, "cross_identity", 5)
    # As long as nobody has met all structures once; see docs/generation.md for the bound.
    count = round(persons * (pictures - largest) * share)
    used = Counter(structure for _, structure in every_pair(plan, 0, count))
    counts = [used[picture] for picture in range(pictures)]
    assert max(counts) - min(counts) <= 2 + -(-(1 + largest) * persons // pictures)


@given(people=st.lists(st.integers(1, 5), min_size=2, max_size=6), share=st.floats(0, 1))
@settings(deadline=None)
def test_a_persons_structures_and_appearances_take_turns(people: list[int], share: float) -> None:
    listing = listing_of([[1] * size for size in people])
    plan = Plan(listing, "cross_identity", 9)
    pairs = every_pair(plan, 0, round(plan.pairs * share))
    persons = listing.person_ids.tolist()
    for person in listing.persons:
        mine = [pair for pair in pairs if persons[pair[0]] == person]
        others = [number for number, other in enumerate(persons) if other != person]
        used = Counter(structure for _, structure in mine)
        counts = [used[number] for number in others]
        assert max(counts) - min(counts) <= 1


def test_a_plan_is_the_same_on_every_machine() -> None:
    listing = listing_of([[1, 2, 3, 1], [2, 2], [1, 3, 3], [3], [1, 2, 2, 3, 3]])
    digest = hashlib.sha256()
    for pairing in PAIRINGS:
        plan = Plan(listing, pairing, 20190416)
        digest.update(repr(every_pair(plan, 0, plan.pairs // 2)).encode())
    assert digest.hexdigest() == "006d99d48ea74f5630f09e07ca8b63e17ce989d0d235c5dfc0a509708b4f4b25"


def test_seed_and_listing_change_the_plan() -> None:
    people = [[1, 2, 3, 1], [2, 2], [1, 3, 3], [3], [1, 2, 2, 3, 3]]
    pairs = every_pair(Plan(listing_of(people), "cross_identity", 1), 0, 20)
    assert pairs != every_pair(Plan(listing_of(people), "cross_identity", 2), 0, 20)
    people[0][0] = 9
    assert pairs != every_pair(Plan(listing_of(people), "cross_identity", 1), 0, 20)


def test_ten_million_pairs_take_little_memory_and_little_work() -> None:
    draws = np.random.default_rng(0)
    sizes: list[int] = draws.integers(2, 33, 751).tolist()
    people = [[1 + number % 6 for number in range(size)] for size in sizes]
    listing = listing_of(people)
    tracemalloc.start()
    try:
        plan = Plan(listing, "cross_identity", 0)
        window = plan.window(0, 10_000_000)
        for first in range(0, 10_000_000, 2_500_000):
            appearances, structures = window.pairs(first, first + 4096)
            assert (listing.person_ids[appearances] != listing.person_ids[structures]).all()
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_a_range_of_positions_needs_few_pictures() -> None:
    # As in DG-Market: ten composites a picture; a shard of a thousand needs few codes.
    listing = listing_of([[1] * 17] * 751)
    appearances, structures = Plan(listing, "cross_identity", 0).window(0, 127_670).pairs(0, 1024)
    assert len(set(appearances.tolist())) <= 7 * 17
    assert len(set(structures.tolist())) <= 1024 / 3


def test_more_than_there_are_is_an_error_that_says_how_many_there_are() -> None:
    plan = Plan(listing_of([[1, 2], [1, 2, 3]]), "cross_identity", 0)
    assert plan.pairs == 12
    with pytest.raises(GenerationError, match=r"count is 13.*has only 12 pairs"):
        plan.amount(spec_from({"source": {"folder": "."}, "count": 13}))
    plan = Plan(listing_of([[1, 1], [1, 2, 3]]), "same_camera", 0)
    with pytest.raises(GenerationError, match=r"per_identity is 3.*has only 2 pairs"):
        plan.amount(spec_from({"source": {"folder": "."}, "per_identity": 3}))
    assert plan.amount(spec_from({"source": {"folder": "."}, "per_identity": 2})) == 4


def test_pairings_that_the_data_set_does_not_allow_say_what_to_do() -> None:
    with pytest.raises(GenerationError, match="of one person only"):
        Plan(listing_of([[1, 2]]), "cross_identity", 0)
    with pytest.raises(GenerationError, match="camera of 1 of 3 pictures is not known"):
        Plan(listing_of([[1, -1], [2]]), "cross_camera", 0)


def test_water_filling_by_hand() -> None:
    assert fill(np.array([5, 1, 3]), 6).tolist() == [3, 1, 2]
    assert fill(np.array([5, 1, 3]), 9).tolist() == [5, 1, 3]
    assert fill(np.array([5, 0, 3]), 0).tolist() == [0, 0, 0]


@given(people=PEOPLE)
@settings(deadline=None)
def test_the_check_of_a_data_set_counts_the_same_pairs(people: People) -> None:
    listing = listing_of(people)
    pictures = [
        Picture(path=Path(path), person_id=int(person), camera_id=int(camera))
        for path, person, camera in zip(
            listing.paths, listing.person_ids, listing.camera_ids, strict=True
        )
    ]
    counted = pairs_of(pictures)
    for pairing in PAIRINGS:
        plan = Plan(listing, pairing, seed=0)
        assert counted[pairing].all == plan.pairs
        assert counted[pairing].fewest_of_a_person == plan.fewest_pairs_of_a_person
