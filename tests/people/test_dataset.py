"""Pictures rendered while training."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from dgnet.people.dataset import RenderedPictures, RenderedTruths
from dgnet.people.world import World

PICTURES = RenderedPictures(seed=5, people=3, pictures=4, cameras=3)


def test_an_item_is_the_picture_of_its_world() -> None:
    pixels, label, camera = PICTURES[5]
    assert label == 1
    world = World(5, 3)
    expected = world.picture(appearance=2, structure=2, camera=camera, index=1).recorded()
    assert (pixels == expected).all()
    assert pixels.dtype == np.uint8
    assert pixels.shape == (128, 64, 3)
    assert pixels.flags.writeable  # torch warns of tensors that must not be written


def test_another_epoch_has_the_same_people_in_other_pictures() -> None:
    later = PICTURES.at_epoch(1)
    assert later[5][1] == 1
    assert (later[5][0] != PICTURES[5][0]).mean() > 0.5


def test_a_copy_in_another_process_gives_the_same_items() -> None:
    copy = pickle.loads(pickle.dumps(PICTURES))  # noqa: S301  as a loader's worker gets it
    assert (copy[0][0] == PICTURES[0][0]).all()


def test_batches_take_every_item_once_and_group_people() -> None:
    pictures = RenderedPictures(seed=5, people=10, pictures=6)
    batches = list(pictures.batches(epoch=2, people_a_batch=4, pictures_a_person=3))
    assert sorted(n for batch in batches for n in batch) == list(range(60))
    assert [len(batch) for batch in batches] == [12, 12, 6, 12, 12, 6]
    assert all(set(Counter(n // 6 for n in batch).values()) == {3} for batch in batches)
    assert batches == list(pictures.batches(epoch=2, people_a_batch=4, pictures_a_person=3))
    assert batches != list(pictures.batches(epoch=3, people_a_batch=4, pictures_a_person=3))


def test_loops_over_items_end() -> None:
    with pytest.raises(IndexError, match="item 12 of 12"):
        PICTURES[12]


def test_triples_show_two_people_and_the_true_composite() -> None:
    truths = RenderedTruths(seed=5, people=6, cameras=2, triples=30)
    appearance, structure, composite = truths[0]
    assert appearance.shape == structure.shape == composite.shape == (128, 64, 3)
    assert (structure != composite).any()
    pairs = {truths.people_of(number) for number in range(30)}
    assert len(pairs) == 30
    assert all(first != second for first, second in pairs)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="5 people, true composites need 6"):
        RenderedTruths(seed=1, people=5)
    with pytest.raises(ValueError, match="expected one of each"):
        RenderedPictures(seed=1, people=0)
