"""Contact sheets: many pictures on one, to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dgnet.people.arrays import Pixels
from dgnet.people.randomness import Purpose, stream
from dgnet.people.world import SizeName, World
from dgnet.pictures.sheets import grid, lines

GAP = 2
"""Pixels between pictures."""


def people_sheet(world: World, people: Sequence[int], pictures: int, size: SizeName) -> Pixels:
    """A row for each person, with pictures of different cameras."""
    rows: list[list[Pixels]] = []
    for person in people:
        cameras = world.cameras_of(person, len(world.cameras), len(world.cameras))
        rows.append(
            [
                world.picture(
                    appearance=person,
                    structure=person,
                    camera=cameras[index % len(cameras)],
                    index=index,
                    size=size,
                ).recorded()
                for index in range(pictures)
            ]
        )
    return grid(rows, gap=GAP)


def mixed_sheet(world: World, first: int, rows: int, columns: int, size: SizeName) -> Pixels:
    """A different person, camera and pose in every place, row by row from person `first`."""
    pictures: list[Pixels] = []
    for person in range(first, first + rows * columns):
        camera = world.cameras_of(person, 1, 1)[0]
        picture = world.picture(
            appearance=person, structure=person, camera=camera, index=0, size=size
        )
        pictures.append(picture.recorded())
    return grid(lines(pictures, across=columns), gap=GAP)


def swap_sheet(world: World, people: Sequence[int], size: SizeName) -> Pixels:
    """True composites of all pairs: appearances down the side, structures along the top."""
    cameras = {
        person: int(stream(world.seed, Purpose.ORDER, person).integers(len(world.cameras)))
        for person in people
    }

    def picture(appearance: int, structure: int) -> Pixels:
        return world.picture(
            appearance=appearance,
            structure=structure,
            camera=cameras[structure],
            index=0,
            size=size,
        ).recorded()

    head: list[Pixels | None] = [None, *(picture(person, person) for person in people)]
    rows = [[picture(one, one), *(picture(one, other) for other in people)] for one in people]
    return grid([head, *rows], gap=GAP)


def truth_sheet(world: World, first: int, columns: int, size: SizeName) -> Pixels:
    """True composites, one a column: structure, appearance, truth, and what the clothes changed."""
    places: list[list[Pixels]] = []
    for person in range(first, first + columns):
        random = stream(world.seed, Purpose.ORDER, person)
        cameras = [int(camera) for camera in random.integers(len(world.cameras), size=2)]
        appearance = world.picture(
            appearance=person, structure=person, camera=cameras[0], index=0, size=size
        )
        true = world.truth(
            appearance=person, structure=person + 1, camera=cameras[1], index=0, size=size
        )
        shown = [one.recorded() for one in (true.structure, appearance, true.composite)]
        places.append([*shown, np.repeat(true.changed()[:, :, None], 3, axis=2)])
    return grid([list(row) for row in zip(*places, strict=True)], gap=GAP)
