"""Pictures of a world: the same again, true composites, joints and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dgnet.people.clothes.outfit import Skirt
from dgnet.people.drawing.appearance import for_child
from dgnet.people.figure import KEYPOINT_NAMES
from dgnet.people.images import eroded
from dgnet.people.world import World
from dgnet.people.writing.attributes import person_attributes


def test_equal_arguments_give_equal_pixels_in_any_order_and_world(world: World) -> None:
    first = world.picture(appearance=1, structure=1, camera=0, index=0)
    world.picture(appearance=2, structure=2, camera=1, index=3)
    fresh = World(seed=5, cameras=3)
    fresh.picture(appearance=3, structure=3, camera=2, index=1)
    again = fresh.picture(appearance=1, structure=1, camera=0, index=0)
    assert first.jpeg() == again.jpeg()
    assert (first.mask == again.mask).all()
    assert (first.keypoints == again.keypoints).all()


@pytest.mark.parametrize("change", [{"camera": 1}, {"index": 1}])
def test_another_camera_or_index_is_another_picture(world: World, change: dict[str, int]) -> None:
    one = world.picture(appearance=1, structure=1, camera=0, index=0)
    asked = {"camera": 0, "index": 0, **change}
    other = world.picture(appearance=1, structure=1, camera=asked["camera"], index=asked["index"])
    assert (one.pixels != other.pixels).mean() > 0.5


def test_another_seed_is_another_world() -> None:
    assert World(1, 1).appearance(1) != World(2, 1).appearance(1)
    assert World(1, 1).structure(1).shape != World(2, 1).structure(1).shape


def test_more_cameras_do_not_change_the_first_ones() -> None:
    few, many = World(9, 2), World(9, 6)
    assert few.cameras[1].sensor == many.cameras[1].sensor
    assert few.cameras[1].light == many.cameras[1].light


def test_a_composite_with_oneself_is_the_ordinary_picture(world: World) -> None:
    ordinary = world.picture(appearance=4, structure=4, camera=2, index=7)
    again = World(5, 3).picture(appearance=4, structure=4, camera=2, index=7)
    assert ordinary.jpeg() == again.jpeg()


def test_a_composite_keeps_joints_scene_and_camera_and_changes_the_clothes(world: World) -> None:
    structure = world.picture(appearance=2, structure=2, camera=0, index=0)
    composite = world.picture(appearance=1, structure=2, camera=0, index=0)
    assert composite.scene == structure.scene
    assert (composite.keypoints[:, :2] == structure.keypoints[:, :2]).all()
    both = (composite.mask > 0) & (structure.mask > 0)
    either = (composite.mask > 0) | (structure.mask > 0)
    assert both.sum() / either.sum() > 0.7
    apart = np.abs(composite.pixels.astype(int) - structure.pixels.astype(int)).max(2)
    # Blur reaches a little beyond the outline, and on the ground lies the shadow.
    above_ground = eroded(~either, 4)[:64]
    assert above_ground.sum() > 500
    assert (apart[:64][above_ground] > 12).mean() < 0.002
    assert (apart[both] > 12).mean() > 0.3


def test_joints_that_are_seen_lie_on_the_person(world: World) -> None:
    seen = 0
    for index in range(6):
        picture = world.picture(appearance=1, structure=1, camera=index % 3, index=index)
        height, width = picture.mask.shape
        for column, row, visible in picture.keypoints:
            inside = 0 <= column < width and 0 <= row < height
            assert (visible > 0) == inside
            if visible == 2:
                assert picture.mask[int(row), int(column)] == 255
                seen += 1
    assert seen > 40  # of 96


def test_the_head_is_above_the_hips_above_the_ankles(world: World) -> None:
    rows = dict(
        zip(
            KEYPOINT_NAMES,
            world.picture(appearance=3, structure=3, camera=1, index=2).keypoints[:, 1],
            strict=True,
        )
    )
    assert rows["head_top"] < rows["neck"] < rows["left_hip"] < rows["left_knee"]
    assert rows["left_knee"] < rows["left_ankle"]


def test_a_person_is_the_same_whatever_the_camera(world: World) -> None:
    before = person_attributes(world, 3, 3)
    for camera in range(3):
        world.picture(appearance=3, structure=3, camera=camera, index=camera)
    assert person_attributes(world, 3, 3) == before == person_attributes(World(5, 1), 3, 3)


def test_people_differ() -> None:
    world = World(5, 1)
    tops = {world.appearance(person).top.fabric.base.hexadecimal for person in range(1, 40)}
    assert len(tops) > 20


def test_some_people_share_an_outfit_but_not_skin_and_hair() -> None:
    world = World(5, 1)
    looks = [world.appearance(person) for person in range(1, 150)]
    tops: dict[str, list[int]] = {}
    for index, look in enumerate(looks):
        tops.setdefault(look.top.fabric.base.hexadecimal, []).append(index)
    shared = [indices for indices in tops.values() if len(indices) > 1]
    assert shared
    assert any(looks[group[0]].skin != looks[group[1]].skin for group in shared)


def test_some_people_are_children_and_dressed_as_such() -> None:
    world = World(5, 1)
    children = [person for person in range(1, 1001) if world.structure(person).child]
    assert 25 < len(children) < 80
    for person in children:
        structure, worn = world.structure(person), world.appearance(person)
        assert structure.face == replace(structure.face, beard=0.0, lipstick=0.0)
        assert structure.bicycle is None
        assert structure.bag is None or structure.bag.kind == "backpack"
        assert worn == for_child(worn)
        assert worn.top.sleeve >= 0.5
        assert worn.shoes.kind != "boots"
        assert worn.hair.name != "grey"


def test_short_clothes_are_longer_on_a_child_and_the_rest_is_kept() -> None:
    world = World(5, 1)
    looks = [world.appearance(person) for person in range(1, 300)]
    changed = 0
    for look in looks:
        worn = for_child(look)
        cut = worn.bottom.cut
        assert cut.hem <= -3.6 if isinstance(cut, Skirt) else cut.length >= 0.85
        assert worn.top.sleeve >= 0.5
        assert (worn.top.fabric, worn.bottom.fabric) == (look.top.fabric, look.bottom.fabric)
        assert (worn.shoes, worn.skin, worn.hair) == (look.shoes, look.skin, look.hair)
        changed += worn != look
    assert 0 < changed < len(looks)


def test_a_child_who_walks_by_is_smaller_than_an_adult() -> None:
    world = World(5, 1)
    heights: dict[bool, list[float]] = {True: [], False: []}
    for number in range(4, 9):  # the strangers of camera 0; one of these is a child
        stranger = world._strangers(number)  # pyright: ignore[reportPrivateUsage]
        sprite = world._sprites(0, number)  # pyright: ignore[reportPrivateUsage]
        heights[stranger.figure.structure.child].append(sprite.decimeters)
    assert len(heights[True]) == 1, "a world of this seed has other strangers: look for a child"
    assert np.median(heights[False]) == pytest.approx(18.5, abs=2)
    assert heights[True][0] < 0.9 * np.median(heights[False])


def test_a_size_of_two_shows_the_same_scene(world: World) -> None:
    small = world.picture(appearance=1, structure=1, camera=0, index=0)
    large = world.picture(appearance=1, structure=1, camera=0, index=0, size="256x128")
    assert large.pixels.shape == (256, 128, 3)
    np.testing.assert_allclose(large.keypoints[:, :2], 2 * small.keypoints[:, :2], atol=1e-6)
    halved = large.mask[::2, ::2] > 0
    assert (halved == (small.mask > 0)).mean() > 0.97


def test_yaw_turns_the_person(world: World) -> None:
    names = {name: i for i, name in enumerate(KEYPOINT_NAMES)}

    def shoulders(yaw: float) -> float:
        picture = world.picture(appearance=1, structure=1, camera=0, index=0, yaw=yaw)
        left, right = (
            picture.keypoints[names[f"{side}_shoulder"], 0] for side in ("left", "right")
        )
        return float(left - right)

    assert shoulders(0) > 5  # faces us: their left is on our right
    assert shoulders(180) < -5
    assert abs(shoulders(90)) < abs(shoulders(0)) / 2


def test_what_stands_in_front_counts_as_occlusion(world: World) -> None:
    """Among scenes with an occluder some hide part of the mask; without one nothing is hidden."""
    covered: list[float] = []
    for index in range(60):
        scene = world.scene(2, 0, index)
        if scene.occluder is None and not covered:
            assert world.picture(appearance=2, structure=2, camera=0, index=index).occlusion == 0
            covered.append(0)
        elif scene.occluder is not None:
            picture = world.picture(appearance=2, structure=2, camera=0, index=index)
            covered.append(picture.occlusion)
    assert max(covered) > 0.05
    assert all(0 <= share <= 1 for share in covered)


def test_scenes_can_be_changed_by_hand(world: World) -> None:
    scene = world.scene(1, 0, 0)
    assert replace(scene, yaw=10.0) != scene
