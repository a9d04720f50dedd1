"""Poses: a gait cycle, and what arms, hands and head do beside it.

Angles are degrees of everyday motion (hip flexion, elbow flexion, ...), not of the rig: the rest
pose's own angles are measured on each body and subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dgnet.people.arrays import Doubles, Floats
from dgnet.people.body.skeleton import Skeleton, about, about_x, about_y, about_z, cross

Action = Literal[
    "walking", "standing", "jogging", "phone_to_ear", "looking_at_phone", "hands_in_pockets",
    "holding_strap", "arms_behind_back", "hands_together", "arms_crossed", "hand_to_face",
    "cycling", "pushing_bicycle",
]  # fmt: skip
Side = Literal["l", "r"]
SIDES: tuple[Side, Side] = ("l", "r")
# Twelve phases of a step, from heel strike; the last repeats the first.
PHASES = np.linspace(0, 1, 13)
HIP = [28, 27, 20, 12, 3, -6, -11, -6, 6, 20, 30, 31, 28]
KNEE = [6, 16, 18, 12, 8, 9, 18, 42, 62, 55, 32, 8, 6]
ANKLE = [0, -5, 2, 6, 9, 10, 4, -14, -8, 0, 2, 1, 0]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm; `swing` None swings against the leg of its side."""

    swing: float | None = None  # forwards
    abduction: float = 9.0
    elbow: float = 25.0
    twist: float = 0.0  # of the upper arm about itself: the forearm inwards


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What is added to the gait."""

    hip: float = 0.0
    knee: float = 2.0
    foot: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Degrees, unless said otherwise."""

    action: Action = "walking"
    phase: float = 0.0  # 0 to 1 through the gait cycle, left heel strike at 0
    stride: float = 1.0  # times the gait's angles
    adduction: float = 5.0  # thighs together
    toe_out: float = 5.0
    arm_swing: float = 18.0
    arm_offset: float = 0.0
    lean: float = 3.0  # forwards
    tilt: float = 0.0  # sideways
    head_yaw: float = 0.0
    head_pitch: float = 5.0
    finger_curl: float = 22.0
    arms: dict[Side, Arm] = field(default_factory=lambda: {"l": Arm(), "r": Arm()})
    legs: dict[Side, Leg] = field(default_factory=lambda: {"l": Leg(), "r": Leg()})


def _at(cycle: list[int], phase: float) -> float:
    return float(np.interp(phase % 1.0, PHASES, cycle))


def rotations(pose: Pose, skeleton: Skeleton, joints: Floats) -> dict[str, Doubles]:
    """Rotation (3, 3) of each bone that moves, for a body with these rest joints (B, 3)."""
    turns: dict[str, Doubles] = {}
    for side in SIDES:
        outwards = 1 if side == "l" else -1
        phase = pose.phase + (0.0 if side == "l" else 0.5)
        turns |= _leg(pose, side, outwards, phase)
        turns |= _arm(pose, skeleton, joints, side, outwards, phase)
        turns |= _hand(pose, skeleton, joints, side)
    twist = float(np.cos(2 * np.pi * pose.phase)) * 6 * pose.stride
    drop = float(np.sin(2 * np.pi * pose.phase)) * 2.5 * pose.stride
    turns["pelvis"] = about_y(-twist * 0.8) @ about_z(drop)
    half_tilt = about_z(pose.tilt * 0.5)
    turns["spine_01"] = about_x(pose.lean * 0.5) @ about_y(twist * 0.7) @ half_tilt
    turns["spine_02"] = about_x(pose.lean * 0.3) @ about_y(twist * 0.5)
    turns["spine_03"] = about_x(pose.lean * 0.2) @ about_y(twist * 0.3) @ half_tilt
    for bone, share in (("neck_01", 0.4), ("head", 0.6)):
        turns[bone] = about_y(pose.head_yaw * share) @ about_x(pose.head_pitch * share)
    return turns


def _leg(pose: Pose, side: Side, outwards: int, phase: float) -> dict[str, Doubles]:
    leg = pose.legs[side]
    hip = _at(HIP, phase) * pose.stride + leg.hip
    turn_out = about_z(-outwards * pose.adduction) @ about_y(outwards * pose.toe_out)
    return {
        f"thigh_{side}": about_x(-hip) @ turn_out,
        f"calf_{side}": about_x(_at(KNEE, phase) * pose.stride + leg.knee),
        f"foot_{side}": about_x(leg.foot - _at(ANKLE, phase) * pose.stride),
    }


def _arm(
    pose: Pose, skeleton: Skeleton, joints: Floats, side: Side, outwards: int, phase: float
) -> dict[str, Doubles]:
    arm = pose.arms[side]
    shoulder, elbow, wrist = (
        joints[skeleton.index[f"{bone}_{side}"]].astype(np.float64)
        for bone in ("upperarm", "lowerarm", "hand")
    )
    upper = (elbow - shoulder) / np.linalg.norm(elbow - shoulder)
    fore = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    rest_elbow = float(np.degrees(np.arccos(np.clip(upper @ fore, -1, 1))))
    rest_abduction = float(np.degrees(np.arctan2(abs(upper[0]), -upper[1])))
    bend = cross(upper, fore)
    swing = arm.swing
    if swing is None:  # against the leg
        swing = pose.arm_offset - pose.arm_swing * (_at(HIP, phase) - 10) / 20 * pose.stride
    return {
        f"clavicle_{side}": about_z(-outwards * 4),
        f"upperarm_{side}": about_x(-swing)
        @ about_z(-outwards * (rest_abduction - 4 - arm.abduction))
        @ about(upper, outwards * arm.twist),
        f"lowerarm_{side}": about(bend, arm.elbow - rest_elbow),
    }


def _hand(pose: Pose, skeleton: Skeleton, joints: Floats, side: Side) -> dict[str, Doubles]:
    def joint(bone: str) -> Doubles:
        return joints[skeleton.index[f"{bone}_{side}"]].astype(np.float64)

    knuckles = joint("index_01") - joint("pinky_01")
    finger = joint("middle_03") - joint("middle_01")
    thumb = joint("thumb_03") - joint("middle_01")
    if cross(knuckles, finger) @ thumb < 0:  # curl towards the side of the thumb: the palm
        knuckles = -knuckles
    turns = {f"thumb_02_{side}": about(knuckles, 12)}
    for finger_name in ("index", "middle", "ring", "pinky"):
        for part, share in (("01", 0.7), ("02", 1.1), ("03", 0.8)):
            turns[f"{finger_name}_{part}_{side}"] = about(knuckles, pose.finger_curl * share)
    for finger_name in ("index", "ring", "pinky"):  # at rest they are spread
        own = joint(f"{finger_name}_03") - joint(f"{finger_name}_01")
        axis = cross(own, finger)
        sine = np.linalg.norm(axis) / (np.linalg.norm(own) * np.linalg.norm(finger))
        closed = about(axis, 0.7 * float(np.degrees(np.arcsin(sine))))
        turns[f"{finger_name}_01_{side}"] = turns[f"{finger_name}_01_{side}"] @ closed
    return turns
