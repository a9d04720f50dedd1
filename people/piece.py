"""One part of a figure's surface in rest pose: skin, a garment, hair, a bag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Floats, Ints
from dgnet.people.body.surface import Surface
from dgnet.people.clothes.shells import Shell
from dgnet.people.materials import Part

BONES_A_VERTEX = 5


@dataclass(frozen=True, kw_only=True)
class Piece:
    """N vertices; `surface` (N, 7) is canonical x, y, z, limb position, arm, leg, wrinkles."""

    part: Part
    vertices: Floats  # (N, 3)
    triangles: Ints  # (T, 3)
    surface: Floats
    inside: Floats  # (N,) fragments below zero are dropped
    bones: Ints  # (N, 5)
    bone_weights: Floats  # (N, 5)
    closed: bool = False  # seen from outside only


def garment(part: Part, surface: Surface, shell: Shell, wrinkles: float) -> Piece:
    """A shell over a surface of the template."""
    return Piece(
        part=part,
        vertices=shell.vertices,
        triangles=surface.triangles,
        surface=surface_columns(surface, wrinkles),
        inside=shell.inside,
        bones=surface.bones,
        bone_weights=surface.bone_weights,
    )


def surface_columns(surface: Surface, wrinkles: float = 0.0) -> Floats:
    """The columns of a surface of the template (N, 7)."""
    on_arm = surface.arm > 0.5
    position = np.where(on_arm, surface.arm_position, surface.leg_position)
    folds = np.full_like(position, wrinkles)
    columns = [*surface.canonical.T, position, surface.arm, surface.leg, folds]
    return np.stack(columns, axis=1).astype(np.float32)


def loose(
    part: Part,
    vertices: Floats,
    triangles: Ints,
    bones: dict[int, Floats | float],
    canonical: Floats | None = None,
    inside: Floats | None = None,
    closed: bool = False,
) -> Piece:
    """A piece that is no surface of the template: bone indices with their weights, (N,) or one."""
    count = len(vertices)
    ids = np.zeros((count, BONES_A_VERTEX), np.int32)
    weights = np.zeros((count, BONES_A_VERTEX), np.float32)
    for column, (bone, weight) in enumerate(bones.items()):
        ids[:, column], weights[:, column] = bone, weight
    order = np.argsort(-weights, axis=1, kind="stable")  # skinning stops at the first zero
    columns = np.zeros((count, 7), np.float32)
    columns[:, :3] = vertices if canonical is None else canonical
    return Piece(
        part=part,
        vertices=vertices.astype(np.float32),
        triangles=triangles,
        surface=columns,
        inside=np.ones(count, np.float32) if inside is None else inside.astype(np.float32),
        bones=np.take_along_axis(ids, order, axis=1),
        bone_weights=np.take_along_axis(weights, order, axis=1),
        closed=closed,
    )
