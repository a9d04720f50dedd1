"""Pictures rendered while training: map-style data sets without files, for any loader.

Items depend on world, epoch and number alone, so workers need no seeds and an epoch can be repeated
exactly. Dressing a figure takes as long as a picture of it: take the numbers in the order of
`batches`, which brings the pictures of a person together in one worker:

    pictures = RenderedPictures(seed=7, people=1000)
    loader = DataLoader(pictures, batch_sampler=pictures.batches(epoch=0), num_workers=2)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dgnet.people.arrays import Pixels
from dgnet.people.randomness import Purpose, stream
from dgnet.people.recipes import DEFAULT_RECIPE, recipe_of
from dgnet.people.world import SizeName, World, shared_world

PEOPLE_A_GROUP = 6
"""Triples come from all pairs of so many people: fewer figures to dress."""
TRUTHS_A_GROUP = PEOPLE_A_GROUP * (PEOPLE_A_GROUP - 1)


def pair_of_group(random: np.random.Generator, people: range, place: int) -> tuple[int, int]:
    """The pair of this number, from 0, of a group that is drawn from these people.

    Where they are too few for a group, all of them make one, and pairs come again.
    """
    group = random.choice(people, min(PEOPLE_A_GROUP, len(people)), replace=False)
    pairs = list(itertools.permutations(group.tolist(), 2))
    return pairs[int(random.permutation(len(pairs))[place % len(pairs)])]


@dataclass(frozen=True, kw_only=True)
class _Source:
    seed: int
    people: int
    cameras: int = 8
    size: SizeName = "128x64"
    first_person: int = 1
    epoch: int = 0
    recipe: int = DEFAULT_RECIPE

    def __post_init__(self) -> None:
        recipe_of(self.recipe)
        if self.people < 1 or self.cameras < 1:
            raise ValueError(
                f"{self.people} people before {self.cameras} cameras: expected one of each at least"
            )

    @property
    def world(self) -> World:
        """The world of this process: a loader's worker makes its own."""
        return shared_world(self.seed, self.cameras, self.recipe)


@dataclass(frozen=True, kw_only=True)
class RenderedPictures(_Source):
    """Ordinary pictures; item n is (pixels (H, W, 3) uint8, label, camera), labels from 0.

    Attributes:
        pictures: Of each person, in each epoch; another epoch has other poses and places.
    """

    pictures: int = 16

    def __len__(self) -> int:
        return self.people * self.pictures

    def __getitem__(self, number: int) -> tuple[Pixels, int, int]:
        if not 0 <= number < len(self):
            raise IndexError(f"item {number} of {len(self)}")
        label, picture = divmod(number, self.pictures)
        person = self.first_person + label
        index = self.epoch * self.pictures + picture
        cameras = self.world.cameras_of(person, min(3, self.cameras), min(6, self.cameras))
        camera = cameras[index % len(cameras)]
        shown = self.world.picture(
            appearance=person, structure=person, camera=camera, index=index, size=self.size
        )
        return shown.recorded(), label, camera

    def at_epoch(self, epoch: int) -> RenderedPictures:
        """The same people in other pictures."""
        return replace(self, epoch=epoch)

    def batches(
        self, epoch: int = 0, people_a_batch: int = 8, pictures_a_person: int = 4
    ) -> Iterator[list[int]]:
        """Numbers of batches of some pictures of each of some people, all once, in random order.

        What is left over when people or pictures do not divide makes smaller batches.
        """
        random = stream(self.seed, Purpose.ORDER, epoch)
        for first in range(0, self.pictures, pictures_a_person):
            labels = [int(label) for label in random.permutation(self.people)]
            last = min(self.pictures, first + pictures_a_person)
            for start in range(0, self.people, people_a_batch):
                yield [
                    label * self.pictures + picture
                    for label in labels[start : start + people_a_batch]
                    for picture in range(first, last)
                ]


@dataclass(frozen=True, kw_only=True)
class RenderedTruths(_Source):
    """True composites; item n is (appearance, structure, truth), pixels (H, W, 3) uint8 each.

    With `changed`, the mask of what the change of clothes changed follows: (H, W) uint8, 255 or 0.

    Attributes:
        triples: In each epoch. Item n belongs to block n // 30, whose triples are all pairs of six
            people: take numbers of a block together.
    """

    triples: int = 3000
    changed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.people < PEOPLE_A_GROUP:
            raise ValueError(f"{self.people} people, true composites need {PEOPLE_A_GROUP}")

    def __len__(self) -> int:
        return self.triples

    def people_of(self, number: int) -> tuple[int, int]:
        """Who gives appearance and structure of a triple."""
        block, place = divmod(number, TRUTHS_A_GROUP)
        random = stream(self.seed, Purpose.ORDER, self.epoch, block)
        people = range(self.first_person, self.first_person + self.people)
        return pair_of_group(random, people, place)

    def __getitem__(self, number: int) -> tuple[Pixels, ...]:
        if not 0 <= number < len(self):
            raise IndexError(f"item {number} of {len(self)}")
        first, second = self.people_of(number)
        random = stream(self.seed, Purpose.TRUTH, self.epoch, number)
        cameras = random.integers(self.cameras, size=2)
        indices = random.integers(1 << 20, size=2)
        appearance = self.world.picture(
            appearance=first,
            structure=first,
            camera=int(cameras[0]),
            index=int(indices[0]),
            size=self.size,
        )
        true = self.world.truth(
            appearance=first,
            structure=second,
            camera=int(cameras[1]),
            index=int(indices[1]),
            size=self.size,
        )
        shown = tuple(one.recorded() for one in (appearance, true.structure, true.composite))
        return (*shown, true.changed()) if self.changed else shown

    def at_epoch(self, epoch: int) -> RenderedTruths:
        """Other triples of the same people."""
        return replace(self, epoch=epoch)
