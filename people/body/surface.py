"""Surfaces of the base mesh, with coordinates that do not depend on the body's shape.

Hems, patterns and logos are functions of these coordinates, so clothes can be put on any body: that
is what makes true composites possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.assets import BodyAssets
from dgnet.people.body.grids import subdivide, triangles_of
from dgnet.people.body.skeleton import ARM_BONES, FOOT_BONES, LEG_BONES, Skeleton, strongest


@dataclass(frozen=True, kw_only=True)
class Surface:
    """N vertices. Positions along limbs are -1 where a vertex is not of that limb.

    `arm_position` is 0 at the shoulder, 1 at the elbow, 2 at the wrist; `leg_position` is 0 at the
    hip, 1 at the knee, 2 at the ankle and more towards the toes.
    """

    triangles: Ints  # (T, 3)
    canonical: Floats  # (N, 3) place on the unmorphed body
    bones: Ints  # (N, 5)
    bone_weights: Floats  # (N, 5)
    arm: Floats  # (N,) share of arm bones in the skinning
    leg: Floats
    head: Floats
    arm_position: Floats
    leg_position: Floats
    neighbor_starts: Ints  # (N + 1,)
    neighbors: Ints
    base_vertices: Ints
    means: tuple[Ints, ...]  # of each subdivision

    def lift(self, vertices: Floats) -> Floats:
        """This surface (N, 3) of a body with these base vertices (V, 3)."""
        return _lift(vertices, self.base_vertices, self.means)


def _lift(values: Floats, base: Ints, means: tuple[Ints, ...]) -> Floats:
    lifted = values[base]
    for rows in means:
        middle = lifted[rows[:, 0]] + lifted[rows[:, 1]] + lifted[rows[:, 2]] + lifted[rows[:, 3]]
        lifted = np.concatenate([lifted, middle / np.float32(4)])
    return lifted.astype(np.float32)


def make_surface(assets: BodyAssets, skeleton: Skeleton, name: str, subdivisions: int) -> Surface:
    """The named surface of the asset file, every quad split in four so many times."""
    base, flat = np.unique(assets.quads[name], return_inverse=True)
    quads = flat.reshape(-1, 4).astype(np.int32)
    means: list[Ints] = []
    for _ in range(subdivisions):
        quads, rows = subdivide(quads, len(base) + sum(map(len, means)))
        means.append(rows)
    canonical = _lift(assets.vertices, base, tuple(means))
    weights = _lift(assets.bone_weights, base, tuple(means))
    bones, bone_weights = strongest(weights)
    arm = weights[:, skeleton.those(*ARM_BONES)].sum(1)
    leg = weights[:, skeleton.those(*LEG_BONES)].sum(1)
    starts, neighbors = _neighbors(quads, len(canonical))
    mirrored = np.abs(canonical[:, :1]) * [[1, 0, 0]] + canonical * [[0, 1, 1]]

    def along(*names: str) -> Floats:
        places = [skeleton.base_joints[skeleton.index[name]].astype(np.float64) for name in names]
        return _position_along(mirrored, places)

    leg_position = np.where(leg > 0.3, along("thigh_l", "calf_l", "foot_l"), -1)
    foot = weights[:, [skeleton.index[name] for name in FOOT_BONES]].sum(1)
    beyond = 2 + 0.2 * np.clip(canonical[:, 2] - 0.3, 0, 3)
    leg_position = np.where(foot > 0.5, np.maximum(leg_position, beyond), leg_position)
    arm_position = np.where(arm > 0.3, along("upperarm_l", "lowerarm_l", "hand_l"), -1)
    return Surface(
        triangles=triangles_of(quads),
        canonical=canonical,
        bones=bones,
        bone_weights=bone_weights,
        arm=arm.astype(np.float32),
        leg=leg.astype(np.float32),
        head=weights[:, skeleton.index["head"]].copy(),
        arm_position=arm_position.astype(np.float32),
        leg_position=leg_position.astype(np.float32),
        neighbor_starts=starts,
        neighbors=neighbors,
        base_vertices=base.astype(np.int32),
        means=tuple(means),
    )


def _position_along(points: Doubles, line: list[Doubles]) -> Floats:
    """Index plus fraction of the nearest place on a polyline; open at both ends."""
    nearest = np.full(len(points), np.inf)
    position = np.zeros(len(points))
    last = len(line) - 2
    for k in range(last + 1):
        direction = line[k + 1] - line[k]
        fraction = (points - line[k]) @ direction / (direction @ direction)
        fraction = np.clip(fraction, 0 if k else None, 1 if k < last else None)
        distance = np.linalg.norm(points - line[k] - fraction[:, None] * direction, axis=1)
        nearer = distance < nearest
        nearest[nearer] = distance[nearer]
        position[nearer] = k + fraction[nearer]
    return position.astype(np.float32)


def _neighbors(quads: Ints, count: int) -> tuple[Ints, Ints]:
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    starts = np.searchsorted(edges[:, 0], np.arange(count + 1))
    return starts.astype(np.int32), edges[:, 1].astype(np.int32).copy()
