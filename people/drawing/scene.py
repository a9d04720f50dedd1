"""Draws a scene: pose, viewpoint, place, crop, who else is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgnet.people.body.pose import SIDES, Action, Arm, Leg, Pose, Side
from dgnet.people.colors import linear
from dgnet.people.randomness import choose, choose_from
from dgnet.people.scene import Bystander, Camera, Occluder, OccluderKind, Scene
from dgnet.people.structure import Bag, BagKind, Structure
from dgnet.people.view import Margins

SPRITES_PER_CAMERA = 12
OCCLUDERS: dict[OccluderKind, float] = {"person": 1, "pole": 0.6, "hedge": 0.6, "railing": 0.8}
ARM_ACTIONS: dict[Action, float] = {
    "walking": 70, "phone_to_ear": 4, "looking_at_phone": 6, "holding_strap": 5,
    "hands_in_pockets": 6, "arms_behind_back": 1.5, "hands_together": 4, "arms_crossed": 1.5,
    "hand_to_face": 2,
}  # fmt: skip
BOTH_ARMS: tuple[Action, ...] = (
    "hands_in_pockets", "arms_behind_back", "hands_together", "arms_crossed",
)  # fmt: skip
"""What mostly takes both arms."""
STRAPPED: tuple[BagKind, ...] = ("backpack", "shoulder bag")


def draw_scene(
    random: np.random.Generator, camera: Camera, structure: Structure, yaw: float | None = None
) -> Scene:
    """A scene before a camera; what a person carries shapes the pose."""
    if yaw is None:
        yaw = _yaw(random, camera.facing)
    strangers = 0
    if random.random() < 0.35:
        strangers = int(random.integers(1, 4))
    return Scene(
        camera=camera,
        pose=draw_pose(random, structure),
        yaw=float(yaw) % 360,
        fold_seed=float(random.uniform(0, 90)),
        pitch_degrees=float(np.clip(camera.pitch_degrees + random.normal(0, 1.5), 3, 28)),
        distance=camera.distance * float(np.exp(random.normal(0, 0.15))),
        origin=(float(random.uniform(-45, 45)), float(random.uniform(-12, 14))),
        margins=_margins(random),
        exposure=float(np.exp(random.normal(0, 0.11))),
        quality=int(np.clip(camera.sensor.quality + random.integers(-6, 7), 40, 95)),
        bystanders=tuple(_bystander(random) for _ in range(strangers)),
        occluder=_occluder(random) if random.random() < 0.13 else None,
        development_seed=int(random.integers(1 << 31)),
    )


def _yaw(random: np.random.Generator, facing: float | None) -> float:
    """Along the way that people take before this camera, mostly."""
    if facing is None or random.random() < 0.3:
        return float(random.uniform(0, 360))
    return facing + float(random.normal(0, 28))


def _margins(random: np.random.Generator) -> Margins:
    """Mostly a careful box; sometimes what a bad detector gives."""
    spread = 3.0 if random.random() < 0.1 else 1.0
    aspect = float(np.clip(random.normal(0.385, 0.045), 0.31, 0.52))
    return Margins(
        top=float(np.clip(random.normal(0.04, 0.04 * spread), -0.14, 0.25)),
        bottom=float(np.clip(random.normal(0.035, 0.035 * spread), -0.28, 0.25)),
        shift=float(np.clip(random.normal(0, 0.05 * spread), -0.25, 0.25)),
        aspect=aspect,
    )


def draw_pose(random: np.random.Generator, structure: Structure) -> Pose:
    """Walking in most cases, standing in a fifth, seldom jogging; then what the arms do."""
    uniform = random.uniform
    pose = Pose(
        phase=float(random.random()),
        stride=float(uniform(0.5, 1.0)),
        adduction=float(uniform(4.5, 6.5)),
        toe_out=float(uniform(0, 10)),
        arm_swing=float(uniform(8, 26)),
        arm_offset=float(random.normal(0, 4)),
        lean=float(random.normal(3, 3)),
        tilt=float(random.normal(0, 2)),
        head_yaw=float(random.normal(0, 16)),
        head_pitch=float(random.normal(5, 7)),
        finger_curl=float(uniform(24, 58)),
        arms={
            side: Arm(abduction=float(uniform(4, 13)), elbow=float(uniform(10, 38)))
            for side in SIDES
        },
    )
    bicycle = structure.bicycle
    if bicycle is not None:
        return _cycling(random, pose) if bicycle.ridden else _pushing(random, pose, bicycle.side)
    draw = random.random()
    if draw < 0.2:
        pose = _standing(random, pose)
    elif draw < 0.24:
        elbow = float(uniform(70, 95))
        arms = {side: replace(pose.arms[side], elbow=elbow) for side in SIDES}
        lean = float(uniform(6, 14))
        pose = replace(pose, action="jogging", lean=lean, stride=1.25, arm_swing=30, arms=arms)
    held, bag = structure.held, structure.bag
    action = choose_from(random, ARM_ACTIONS)
    if action == "holding_strap" and (bag is None or bag.kind not in STRAPPED):
        action = "walking"
    first: Side = "l" if random.random() < 0.5 else "r"
    both = action in BOTH_ARMS and random.random() < 0.75
    for side in SIDES:
        if held is not None and held.side == side:
            pose = replace(pose, arms={**pose.arms, side: _holding(random, held)})
        elif pose.action != "jogging" and action != "walking" and (both or side == first):
            pose = _arm_action(random, pose, side, action)
    return pose


def _cycling(random: np.random.Generator, pose: Pose) -> Pose:
    """On the saddle: one pedal up, the other down, hands at the handlebar."""
    angle = 2 * np.pi * pose.phase
    legs = {
        side: Leg(hip=55 + 22 * turn, knee=72 + 33 * turn, foot=10.0)
        for side, turn in zip(SIDES, (float(np.cos(angle)), -float(np.cos(angle))), strict=True)
    }
    arms = {side: Arm(swing=58.0, abduction=8, elbow=22) for side in SIDES}
    lean = float(random.uniform(12, 24))
    return replace(
        pose, action="cycling", stride=0.0, adduction=4, lean=lean, arms=arms, legs=legs,
        head_pitch=pose.head_pitch - 0.6 * lean, finger_curl=55,
    )  # fmt: skip


def _pushing(random: np.random.Generator, pose: Pose, side: Side) -> Pose:
    """Beside a bicycle, the near hand at its handlebar."""
    near = Arm(
        swing=float(random.uniform(22, 32)), abduction=16, elbow=float(random.uniform(30, 50))
    )
    return replace(pose, action="pushing_bicycle", arms={**pose.arms, side: near})


def _standing(random: np.random.Generator, pose: Pose) -> Pose:
    """Weight on one leg."""
    side: Side = "l" if random.random() < 0.5 else "r"
    free = Leg(hip=float(random.uniform(0, 12)), knee=float(random.uniform(2, 18)))
    return replace(
        pose,
        action="standing",
        stride=float(random.uniform(0, 0.12)),
        arm_swing=0.0,
        adduction=float(random.uniform(2, 5)),
        legs={**pose.legs, side: free},
    )


def _holding(random: np.random.Generator, held: Bag) -> Arm:
    """The arm of the hand that holds a bag or an umbrella."""
    uniform = random.uniform
    if held.kind == "umbrella":
        return Arm(swing=float(uniform(15, 30)), abduction=6, elbow=float(uniform(85, 110)))
    abduction, elbow = float(uniform(8, 14)), float(uniform(5, 15))
    return Arm(swing=float(random.normal(0, 5)), abduction=abduction, elbow=elbow)


def _arm_action(random: np.random.Generator, pose: Pose, side: Side, action: Action) -> Pose:
    """One arm does something else than swing."""

    def arm(swing: tuple[float, float], elbow: tuple[float, float],
            abduction: tuple[float, float] = (5, 10), twist: float = 0.0) -> Arm:  # fmt: skip
        return Arm(
            swing=float(random.uniform(*swing)),
            elbow=float(random.uniform(*elbow)),
            abduction=float(random.uniform(*abduction)),
            twist=twist + float(random.normal(0, 6)),
        )

    pitch = pose.head_pitch
    match action:
        case "phone_to_ear":
            moved = arm((12, 40), (120, 138), (8, 18))
        case "looking_at_phone":
            moved = arm((8, 22), (80, 108), twist=38)
            pitch += 14
        case "holding_strap":
            moved = arm((-12, 5), (85, 125), twist=12)
        case "arms_behind_back":
            moved = arm((-34, -22), (35, 60), twist=75)
        case "hands_together":
            moved = arm((2, 18), (68, 100), twist=52)
        case "arms_crossed":
            moved = arm((18, 28), (98, 112), twist=64)
        case "hand_to_face":
            moved = arm((35, 65), (125, 142), (10, 25), twist=25)
        case _:
            moved = arm((-22, -8), (28, 45), (10, 18))
    return replace(pose, action=action, head_pitch=pitch, arms={**pose.arms, side: moved})


def _bystander(random: np.random.Generator) -> Bystander:
    z = float(random.uniform(8, 60))
    x = float(random.uniform(-1, 1) * (5 + 0.35 * z))
    return Bystander(sprite=int(random.integers(SPRITES_PER_CAMERA)), x=x, z=z)


def _occluder(random: np.random.Generator) -> Occluder:
    kind = choose_from(random, OCCLUDERS)
    uniform = random.uniform
    match kind:
        case "person":
            side = choose(random, [uniform(-0.12, 0.08), uniform(0.92, 1.12)], [1, 1])
            return Occluder(
                kind=kind,
                x=float(side),
                y=float(uniform(1.0, 1.25)),
                size=float(uniform(1.0, 1.2)),
                sprite=int(random.integers(SPRITES_PER_CAMERA)),
            )
        case "pole":
            color, x, y = linear((110, 108, 106)), uniform(0, 1), 1.0
            size = uniform(0.03, 0.12)
        case "hedge":
            color, x, y, size = linear((58, 88, 44)) * 0.8, 0.0, uniform(0.72, 0.92), 1.0
        case _:
            color, x, y, size = linear((168, 170, 172)), uniform(0, 1), uniform(0.6, 0.85), 0.03
    r, g, b = (float(c) for c in color * np.exp(random.normal(0, 0.4)))
    return Occluder(
        kind=kind,
        x=float(x),
        y=float(y),
        size=float(size),
        color=(r, g, b),
        seed=int(random.integers(1 << 31)),
    )
