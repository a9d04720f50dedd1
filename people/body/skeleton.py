"""The rig: joints of a morphed body, and bone transforms from rotations.

Rotations are about world axes in the rest pose (arms out in an A) and are composed down the
hierarchy, so that "swing the thigh about x" means the same on every body.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.assets import BodyAssets

ARM_BONES = ("upperarm", "lowerarm", "hand", "index", "middle", "pinky", "ring", "thumb")
LEG_BONES = ("thigh", "calf", "foot", "ball")
FOOT_BONES = ("foot_l", "ball_l", "foot_r", "ball_r")


class Skeleton:
    """Bones of the asset file; B bones, V base vertices."""

    def __init__(self, assets: BodyAssets) -> None:
        self.names = assets.bone_names
        self.parents = assets.bone_parents
        self.index: dict[str, int] = {name: i for i, name in enumerate(self.names)}
        self._vertices = np.concatenate(assets.joint_vertices)
        self._counts = np.array([len(rows) for rows in assets.joint_vertices])
        self._starts = np.cumsum([0, *self._counts[:-1]])
        self.base_joints = self.joints(assets.vertices)  # (B, 3) of the unmorphed body

    def joints(self, vertices: Floats) -> Floats:
        """Heads of the bones (B, 3) of a body with these base vertices (V, 3)."""
        sums = np.add.reduceat(vertices[self._vertices], self._starts, axis=0)
        return (sums / self._counts[:, None]).astype(np.float32)

    def those(self, *prefixes: str) -> list[int]:
        """Indices of the bones whose names start so."""
        return [i for i, name in enumerate(self.names) if name.startswith(prefixes)]

    def transforms(
        self, joints: Floats, rotations: Mapping[str, Doubles], yaw_degrees: float
    ) -> Floats:
        """Rest to posed (B, 3, 4): rotations (3, 3) by bone name about the joints, then the yaw."""
        linear = np.zeros((len(self.names), 3, 3))
        offset = np.zeros((len(self.names), 3))
        for i, name in enumerate(self.names):
            parent = self.parents[i]
            above = linear[parent] if parent >= 0 else about_y(yaw_degrees)
            shift = offset[parent] if parent >= 0 else np.zeros(3)
            rotation = rotations.get(name)
            if rotation is None:
                linear[i], offset[i] = above, shift
            else:
                joint = joints[i].astype(np.float64)
                linear[i] = above @ rotation
                offset[i] = above @ (joint - rotation @ joint) + shift
        return np.concatenate([linear, offset[:, :, None]], axis=2).astype(np.float32)


def about(axis: Doubles, degrees: float) -> Doubles:
    """Rotation (3, 3) about an axis of any length (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.radians(degrees)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def cross(a: Doubles, b: Doubles) -> Doubles:
    """The vector (3,) at right angles to two."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def about_x(degrees: float) -> Doubles:
    """Rotation about x: positive tips the front down."""
    return about(np.array([1.0, 0, 0]), degrees)


def about_y(degrees: float) -> Doubles:
    """Rotation about the vertical: positive turns to the person's left."""
    return about(np.array([0, 1.0, 0]), degrees)


def about_z(degrees: float) -> Doubles:
    """Rotation about the line of sight of who faces the person."""
    return about(np.array([0, 0, 1.0]), degrees)


def strongest(weights: Floats, count: int = 5) -> tuple[Ints, Floats]:
    """The strongest bones of each vertex, falling, and their weights, which sum to one."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :count].astype(np.int32)
    chosen = np.take_along_axis(weights, order, axis=1)
    return order, (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)
