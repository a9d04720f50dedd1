"""Shapes, joints, poses and clothes on the body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dgnet.people.bicycle import SADDLE_HEIGHT
from dgnet.people.body.grids import subdivide, triangles_of
from dgnet.people.body.mesh import normals_of, skinned, smoothed
from dgnet.people.body.pose import Pose, rotations
from dgnet.people.body.shape import BodyShape, memberships, morphed
from dgnet.people.body.skeleton import about_x, about_y
from dgnet.people.body.template import template
from dgnet.people.clothes.outfit import Top
from dgnet.people.clothes.shells import LAYER_GAP, over, top_shell
from dgnet.people.colors import Paint
from dgnet.people.drawing.appearance import draw_appearance
from dgnet.people.drawing.scene import draw_pose
from dgnet.people.drawing.structure import draw_structure
from dgnet.people.figure import KEYPOINT_NAMES, build_figure, posed
from dgnet.people.materials import Fabric
from dgnet.people.structure import Bicycle

AVERAGE = BodyShape(
    gender=1, age=0, muscle=1, weight=0.5, height=0.5, stomach=0, origins=(0, 0.5, 0.5)
)
CLOTH = Fabric.plain(Paint("grey", (0.2, 0.2, 0.2)))


def height(shape: BodyShape) -> float:
    """Decimeters from sole to crown."""
    body = template()
    return float(np.ptp(body.skin.lift(morphed(body.assets, shape))[:, 1]))


def test_average_people_are_as_tall_as_people_are() -> None:
    assert 16 < height(AVERAGE) < 18
    assert 15 < height(replace(AVERAGE, gender=0)) < 16.5


def test_height_grows_with_its_parameter() -> None:
    heights = [height(replace(AVERAGE, height=h)) for h in (0.3, 0.5, 0.7)]
    assert heights == sorted(heights)
    assert heights[2] - heights[0] > 1


def test_children_are_as_tall_as_children_are() -> None:
    heights = [height(replace(AVERAGE, youth=youth)) for youth in (0, 0.5, 1, 1.5)]
    assert heights == sorted(heights, reverse=True)
    assert 14 < heights[1] < 16
    assert 12 < heights[2] < 14.5
    assert 8.5 < heights[3] < 11


@pytest.mark.parametrize("youth", [0.0, 0.3, 1.0, 1.4])
def test_ages_share_a_person_whole(youth: float) -> None:
    holds = memberships(replace(AVERAGE, youth=youth, age=0.3))
    ages = [holds[age] for age in ("baby", "child", "young", "old")]
    assert sum(ages) == pytest.approx(1)
    assert min(ages) >= 0


@pytest.mark.parametrize("x", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_memberships_of_one_property_sum_to_one(x: float) -> None:
    holds = memberships(replace(AVERAGE, weight=x, muscle=x, gender=x))
    assert holds["minweight"] + holds["averageweight"] + holds["maxweight"] == pytest.approx(1)
    assert holds["female"] + holds["male"] == pytest.approx(1)
    assert holds["minmuscle"] + holds["averagemuscle"] == pytest.approx(1)


def test_subdividing_a_square_gives_four_around_its_center() -> None:
    quads, means = subdivide(np.array([[0, 1, 2, 3]], np.int32), 4)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    points = np.concatenate([corners, corners[means].mean(1)])
    assert len(quads) == 4
    assert {tuple(point) for point in points[4:]} == {
        (0.5, 0, 0), (1, 0.5, 0), (0.5, 1, 0), (0, 0.5, 0), (0.5, 0.5, 0),
    }  # fmt: skip
    areas = [float(np.ptp(points[quad][:, 0]) * np.ptp(points[quad][:, 1])) for quad in quads]
    assert areas == [0.25] * 4
    # All four still face the same way.
    assert (normals_of(points, triangles_of(quads))[:, 2] > 0.99).all()


def test_smoothing_moves_a_spike_to_the_mean_of_its_neighbors() -> None:
    points = np.array([[0, 0, 0], [1, 3, 0], [2, 0, 0]], np.float32)
    starts, neighbors = np.array([0, 0, 2, 2], np.int32), np.array([0, 2], np.int32)
    half = np.full(3, 0.5, np.float32)
    assert smoothed(points, starts, neighbors, half, 1).tolist() == [
        [0, 0, 0],
        [1, 1.5, 0],
        [2, 0, 0],
    ]


def test_skinning_blends_transforms_by_weight() -> None:
    still = np.eye(3, 4, dtype=np.float32)
    lifted = still.copy()
    lifted[1, 3] = 4
    moved = skinned(
        np.array([[1, 1, 1]], np.float32),
        np.array([[1, 0]], np.int32),
        np.array([[0.75, 0.25]], np.float32),
        np.stack([still, lifted]),
    )
    assert moved.tolist() == [[1, 4, 1]]


def test_without_rotations_the_body_only_turns() -> None:
    skeleton = template().skeleton
    joints = skeleton.base_joints
    transforms = skeleton.transforms(joints, {}, 90)
    for transform in transforms:
        np.testing.assert_allclose(transform[:, :3], about_y(90), atol=1e-6)
        np.testing.assert_allclose(transform[:, 3], 0, atol=1e-6)


def test_a_bent_knee_moves_what_is_below_it_and_nothing_above() -> None:
    skeleton = template().skeleton
    joints = skeleton.base_joints
    transforms = skeleton.transforms(joints, {"calf_l": about_x(40)}, 0)

    def moved(bone: str) -> float:
        i = skeleton.index[bone]
        place = transforms[i, :, :3] @ joints[i] + transforms[i, :, 3]
        return float(np.linalg.norm(place - joints[i]))

    assert moved("foot_l") > 2
    assert [moved(bone) for bone in ("calf_l", "thigh_l", "foot_r", "head")] == pytest.approx(
        [0, 0, 0, 0], abs=1e-5
    )


def test_elbow_angles_are_those_of_the_pose_whatever_the_rest_pose() -> None:
    skeleton = template().skeleton
    joints = skeleton.base_joints
    pose = Pose(stride=0)
    pose = replace(pose, arms={side: replace(arm, elbow=90) for side, arm in pose.arms.items()})
    transforms = skeleton.transforms(joints, rotations(pose, skeleton, joints), 0)

    def place(bone: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        i = skeleton.index[bone]
        return transforms[i, :, :3] @ joints[i] + transforms[i, :, 3]

    for side in "lr":
        upper = place(f"lowerarm_{side}") - place(f"upperarm_{side}")
        fore = place(f"hand_{side}") - place(f"lowerarm_{side}")
        cosine = upper @ fore / np.linalg.norm(upper) / np.linalg.norm(fore)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(90, abs=1)


def test_crossed_arms_bring_both_hands_before_the_chest() -> None:
    skeleton = template().skeleton
    joints = skeleton.base_joints
    pose = Pose(action="arms_crossed", stride=0)
    pose = replace(
        pose, arms={side: replace(arm, swing=22, elbow=105, twist=64)
                    for side, arm in pose.arms.items()},
    )  # fmt: skip
    transforms = skeleton.transforms(joints, rotations(pose, skeleton, joints), 0)
    for side, sign in (("l", 1), ("r", -1)):
        i = skeleton.index[f"hand_{side}"]
        wrist = transforms[i, :, :3] @ joints[i] + transforms[i, :, 3]
        assert wrist[2] > 1.5  # in front
        assert sign * wrist[0] < 0.8  # towards the other side: shoulders are at 1.7


def test_surface_coordinates_run_from_shoulder_to_wrist_and_hip_to_ankle() -> None:
    body = template()
    tights = body.tights
    wrist = body.skeleton.base_joints[body.skeleton.index["hand_l"]]
    nearest = int(np.linalg.norm(tights.canonical - wrist, axis=1).argmin())
    assert tights.arm_position[nearest] == pytest.approx(2, abs=0.15)
    knee = body.skeleton.base_joints[body.skeleton.index["calf_r"]]
    nearest = int(np.linalg.norm(tights.canonical - knee, axis=1).argmin())
    assert tights.leg_position[nearest] == pytest.approx(1, abs=0.15)
    chest = np.linalg.norm(tights.canonical - [0, 3.5, 1.2], axis=1).argmin()
    assert tights.arm_position[chest] == -1
    assert tights.leg_position[chest] == -1


def test_a_hem_lies_where_it_was_asked_for() -> None:
    body = template()
    vertices = morphed(body.assets, AVERAGE)
    joints = body.skeleton.joints(vertices)
    top = Top(kind="t-shirt", fabric=CLOTH, sleeve=0.7, sleeve_radius=0.6, hem=0.5)
    shell = top_shell(body, vertices, joints, top)
    inside = shell.inside >= 0
    torso = body.tights.arm < 0.3
    assert body.tights.canonical[inside & torso, 1].min() == pytest.approx(0.5, abs=0.1)
    sleeve = body.tights.arm_position[inside & (body.tights.arm > 0.9)]
    assert sleeve.max() == pytest.approx(0.7, abs=0.06)


def test_an_outer_layer_lies_over_the_inner_one() -> None:
    body = template()
    vertices = morphed(body.assets, AVERAGE)
    joints = body.skeleton.joints(vertices)
    shirt = Top(kind="t-shirt", fabric=CLOTH, sleeve=1.9, sleeve_radius=0.6, offset=0.3)
    tight = replace(shirt, offset=0.05, looseness=0.2, sleeve_radius=0.4)
    inner = top_shell(body, vertices, joints, shirt)
    outer = over(body, top_shell(body, vertices, joints, tight), [inner])
    normals = normals_of(outer.vertices, body.tights.triangles)
    gap = ((outer.vertices - inner.vertices) * normals).sum(1)[inner.inside > 0]
    assert np.quantile(gap, 0.02) > 0.5 * LAYER_GAP


def test_sleeves_of_a_child_are_as_narrow_as_the_child_is_small() -> None:
    body = template()
    top = Top(kind="t-shirt", fabric=CLOTH, sleeve=0.9, sleeve_radius=0.8)

    def girth(youth: float) -> float:
        """Median distance of the sleeve's end from the elbow."""
        vertices = morphed(body.assets, replace(AVERAGE, youth=youth))
        joints = body.skeleton.joints(vertices)
        shell = top_shell(body, vertices, joints, top)
        end = (body.tights.arm_position > 0.8) & (body.tights.arm_position < 1)
        left = end & (body.tights.canonical[:, 0] > 0)
        elbow = joints[body.skeleton.index["lowerarm_l"]]
        return float(np.median(np.linalg.norm(shell.vertices[left] - elbow, axis=1)))

    assert girth(1.0) < 0.85 * girth(0.0)


def test_riders_sit_on_the_saddle_with_their_hands_at_the_handlebar() -> None:
    random = np.random.default_rng(0)
    cloth = Fabric.plain(Paint("red", (0.4, 0.02, 0.02)))
    appearance = draw_appearance(random, feminine=False)
    structure = replace(
        draw_structure(random), shape=AVERAGE, bag=None, bicycle=Bicycle(frame=cloth, ridden=True)
    )
    figure = build_figure(appearance, structure)
    for seed in range(5):
        pose = draw_pose(np.random.default_rng(seed), structure)
        assert pose.action == "cycling"
        body = posed(figure, pose, 0.0, 0.0)
        joints = dict(zip(KEYPOINT_NAMES, body.keypoints, strict=True))
        assert (joints["left_hip"][1] + joints["right_hip"][1]) / 2 > SADDLE_HEIGHT
        for side in ("left", "right"):
            assert joints[f"{side}_ankle"][1] > 0.9  # clear of the ground
            wrist = joints[f"{side}_wrist"]
            assert wrist[1] == pytest.approx(10.5, abs=2)
            assert wrist[2] > 3  # in front of the hips
        wheels = body.vertices[figure.apart_from :]
        assert wheels[:, 1].min() == pytest.approx(0, abs=0.05)


def test_who_pushes_a_bicycle_walks_beside_it() -> None:
    random = np.random.default_rng(0)
    cloth = Fabric.plain(Paint("red", (0.4, 0.02, 0.02)))
    bicycle = Bicycle(frame=cloth, ridden=False, side="r")
    structure = replace(draw_structure(random), shape=AVERAGE, bag=None, bicycle=bicycle)
    figure = build_figure(draw_appearance(random, feminine=False), structure)
    pose = draw_pose(random, structure)
    body = posed(figure, pose, 0.0, 0.0)
    assert pose.action == "pushing_bicycle"
    assert body.vertices[figure.apart_from :, 0].max() < 0  # all of it on the right
    assert body.vertices[figure.apart_from :, 1].min() == pytest.approx(0, abs=0.05)
