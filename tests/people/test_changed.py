"""The mask of what a change of clothes changes: all of it, nothing else, and no holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dgnet.people.arrays import Bools, Pixels
from dgnet.people.changed import changed_pixels
from dgnet.people.clothes.outfit import Appearance
from dgnet.people.development import decode_jpeg
from dgnet.people.materials import Part
from dgnet.people.render import Rendering, dress, render
from dgnet.people.scene import Scene
from dgnet.people.shading.light import Light, normalized
from dgnet.people.view import Margins
from dgnet.people.world import Truth, World

WIDER = 2
"""Pixels of 128 that blur and JPEG carry a change on."""


@pytest.fixture(scope="module")
def third() -> World:
    return World(5, 3, recipe=3)


def widened(mask: Pixels, by: int) -> Bools:
    rows, columns = mask.shape
    out = np.zeros((rows, columns), np.bool_)
    around = np.pad(mask > 0, by)
    for i in range(2 * by + 1):
        for j in range(2 * by + 1):
            out |= around[i : i + rows, j : j + columns]
    return out


def bare_scene(world: World) -> Scene:
    """A whole person, nobody else, nothing in front."""
    margins = Margins(top=0.04, bottom=0.06, shift=0.0, aspect=0.4)
    scene = world.scene(2, 0, 0)
    return replace(scene, bystanders=(), occluder=None, margins=margins)


def shown(world: World, worn: Appearance, scene: Scene) -> Rendering:
    dressed = dress(worn, world.structure(2))
    return render(dressed, scene, 128, 64, lambda number: world._sprites(0, number))  # pyright: ignore[reportPrivateUsage]


def truths(world: World, count: int) -> list[Truth]:
    return [
        world.truth(
            appearance=1 + number % 3,
            structure=4 + number % 4,
            camera=number % 3,
            index=number,
        )
        for number in range(count)
    ]


def test_nothing_changes_where_the_clothes_are_the_same(world: World, third: World) -> None:
    for one in (world, third):
        true = one.truth(appearance=2, structure=2, camera=0, index=0)
        assert not true.changed().any()


def test_both_pictures_are_the_ordinary_ones(third: World) -> None:
    true = third.truth(appearance=1, structure=2, camera=1, index=3)
    assert true.structure.scene == true.composite.scene
    for appearance, one in ((2, true.structure), (1, true.composite)):
        ordinary = third.picture(appearance=appearance, structure=2, camera=1, index=3)
        assert ordinary.jpeg() == one.jpeg()


def test_a_garment_of_the_same_color_is_changed_without_holes(third: World) -> None:
    scene, worn = bare_scene(third), third.appearance(2)
    plain = replace(worn.top.fabric, pattern="plain", motif=None, grain=0.0, specular=0.02)
    first = replace(worn, top=replace(worn.top, fabric=plain))
    # Another cloth that looks the same: what it is made of decides, not its color.
    second = replace(worn, top=replace(worn.top, fabric=replace(plain, seed=plain.seed + 1)))
    one, other = shown(third, first, scene), shown(third, second, scene)
    assert np.abs(one.linear - other.linear).max() < 1e-6
    mask = changed_pixels(one, other)
    figure, ids = one.dressed.figure, one.samples.ids
    on_top = (figure.parts[ids] == int(Part.TOP)) & (ids >= 0)
    whole = on_top.reshape(128, 3, 64, 3).all(axis=(1, 3))
    straps = one.dressed.strap[0] > 0
    assert whole.sum() > 300
    assert straps or (mask[whole] == 255).all()
    any_of_it = on_top.reshape(128, 3, 64, 3).any(axis=(1, 3))
    assert not mask[~any_of_it].any()


def test_straps_of_the_bag_stay(third: World) -> None:
    """A strap lies on both tops; only where it moves or its shadow does is anything changed."""
    person = next(
        n for n in range(1, 60)
        if (bag := third.structure(n).bag) is not None and bag.strap is not None
        and bag.strap.kind == "two"
    )  # fmt: skip
    scene = replace(third.scene(person, 0, 0), bystanders=(), occluder=None, yaw=0.0)
    worn = third.appearance(person)
    fabric = worn.top.fabric
    other_top = replace(worn.top, fabric=replace(fabric, seed=fabric.seed + 3))
    pictures = [
        render(dress(look, third.structure(person)), scene, 128, 64, lambda n: third._sprites(0, n))  # pyright: ignore[reportPrivateUsage]
        for look in (worn, replace(worn, top=other_top))
    ]
    mask = changed_pixels(*pictures)
    holes = (pictures[0].mask > 0) & (mask == 0)
    rows, columns = np.nonzero(holes[30:70])
    assert len(rows) > 20
    assert columns.min() < 32 < columns.max()  # one on each side


def test_other_shoes_change_feet_alone(third: World) -> None:
    scene, worn = bare_scene(third), third.appearance(2)
    shoes = replace(worn.shoes, fabric=replace(worn.shoes.fabric, seed=worn.shoes.fabric.seed + 1))
    mask = changed_pixels(
        shown(third, worn, scene), shown(third, replace(worn, shoes=shoes), scene)
    )
    rows, _ = np.nonzero(mask)
    assert len(rows) > 20
    assert rows.min() > 90


def test_other_clothes_have_another_shadow(third: World) -> None:
    """In low sun from the side, ground that neither figure covers is changed."""
    low = normalized(np.array([0.8, 0.5, 0.3]))
    light = Light(to_sun=low, sun=(1.8, 1.8, 1.7), sky=(0.5, 0.5, 0.5), ground=(0.2, 0.2, 0.2))
    scene = bare_scene(third)
    scene = replace(
        scene,
        camera=replace(scene.camera, light=light, indoors=False),
        margins=replace(scene.margins, aspect=0.7),
    )
    first = shown(third, third.appearance(2), scene)
    counted = 0
    for person in (1, 3, 4):
        other = shown(third, third.appearance(person), scene)
        either = ((first.mask > 0) | (other.mask > 0)).astype(np.uint8)
        counted += int(((changed_pixels(first, other) > 0) & ~widened(either, 1)).sum())
    assert counted > 20


def test_what_something_in_front_hides_is_not_changed(third: World) -> None:
    found = 0
    for index in range(60):
        scene = third.scene(2, 0, index)
        if scene.occluder is None or scene.occluder.kind == "person":
            continue
        true = third.truth(appearance=1, structure=2, camera=0, index=index)
        covered = ~true.renderings[0].uncovered
        assert not true.changed()[covered].any()
        found += int(covered.sum())
    assert found > 200


def test_the_mask_covers_whatever_differs_by_more_than_noise(world: World, third: World) -> None:
    for one in (world, third):
        differing = uncovered = 0
        for true in truths(one, 12):
            apart = np.abs(
                true.structure.recorded().astype(int) - true.composite.recorded().astype(int)
            ).max(2)
            mask = widened(true.changed(), WIDER)
            differing += int((apart > 24).sum())
            uncovered += int(((apart > 24) & ~mask).sum())
            linear = np.abs(true.renderings[0].linear - true.renderings[1].linear).max(2)
            assert (true.changed()[linear > 0.05] == 255).all()
        assert differing > 5000
        assert uncovered < 0.01 * differing


@pytest.mark.parametrize("recipe", [2, 3])
def test_a_copy_of_the_structure_is_right_outside_of_the_mask(recipe: int, world: World) -> None:
    one = world if recipe == 2 else World(5, 3, recipe=3)
    errors: list[float] = []
    for true in truths(one, 12):
        structure, composite = (
            decode_jpeg(picture.jpeg(one.recipe.truth_quality)).astype(int)
            for picture in (true.structure, true.composite)
        )
        outside = ~widened(true.changed(), WIDER)
        errors.append(float(np.abs(structure - composite)[outside].mean()))
    assert np.mean(errors) < 2.4


def test_both_sizes_have_nearly_the_same_mask(third: World) -> None:
    small = third.truth(appearance=1, structure=2, camera=0, index=1).changed()
    large = third.truth(appearance=1, structure=2, camera=0, index=1, size="256x128").changed()
    assert large.shape == (256, 128)
    assert ((large[::2, ::2] > 0) == (small > 0)).mean() > 0.93
