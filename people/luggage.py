"""Hats, bags and what is held in a hand."""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Floats, Ints
from dgnet.people.body.grids import grid_triangles, joined, rounded_box
from dgnet.people.body.template import Template
from dgnet.people.clothes.outfit import Top
from dgnet.people.hair import COLUMNS, HEAD_CENTER, ROWS, directions_of, head_fit, head_map
from dgnet.people.materials import Part
from dgnet.people.piece import Piece, loose
from dgnet.people.structure import HELD, Bag, Hat

HAT_RIM = 7.72
"""Canonical y of the lower edge of a hat's crown."""


def hat_pieces(body: Template, vertices: Floats, hat: Hat, hair_thickness: float) -> list[Piece]:
    """Crown and brim of a hat that sits on the hair."""
    azimuth, elevation, radius = (grid.ravel() for grid in head_map())
    directions = directions_of(azimuth, elevation)
    scalp = HEAD_CENTER + directions * radius[:, None]
    crown = HEAD_CENTER + directions * (radius + 0.5 * hair_thickness + 0.17)[:, None]
    scale, offset = head_fit(body, vertices)
    head = body.skeleton.index["head"]
    pieces = [
        loose(
            Part.HAT,
            (crown * scale + offset).astype(np.float32),
            grid_triangles(ROWS, COLUMNS)[:, ::-1].copy(),
            {head: 1.0},
            canonical=scalp.astype(np.float32),
            inside=(scalp[:, 1] - HAT_RIM).astype(np.float32),
        )
    ]
    if hat.kind == "beanie":
        return pieces
    reach, angle = np.meshgrid(
        np.linspace(0.8, 1.95, 6),
        np.linspace(-0.75, 0.75, 12) if hat.kind == "cap" else np.linspace(-np.pi, np.pi, 41),
        indexing="ij",
    )
    if hat.kind == "cap":  # a visor in front, bent down at its sides
        y = 7.92 - 0.1 * (reach - 0.8) - 0.25 * np.sin(angle) ** 2
    else:  # a brim all around
        y = 7.9 - 0.25 * (reach - 0.9)
    x, z = 0.93 * reach * np.sin(angle), HEAD_CENTER[2] + reach * np.cos(angle)
    brim = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    pieces.append(
        loose(
            Part.HAT,
            (brim * scale + offset).astype(np.float32),
            grid_triangles(*angle.shape),
            {head: 1.0},
            canonical=brim.astype(np.float32),
        )
    )
    return pieces


def bag_pieces(body: Template, vertices: Floats, joints: Floats, bag: Bag, top: Top) -> list[Piece]:
    """A bag that is worn; none for what a hand holds."""
    skeleton = body.skeleton
    spine = skeleton.index["spine_03"]
    size = body.relative_size(joints)
    base = float(skeleton.base_joints[spine, 1])

    def height(y: float) -> float:
        """Where a height of the unmorphed body lies on this one."""
        return float(joints[spine, 1]) + size * (y - base)

    if bag.kind == "backpack":
        c = body.tights.canonical
        back = (c[:, 1] > 3) & (c[:, 1] < 5) & (np.abs(c[:, 0]) < 1)
        behind = float(np.percentile(body.tights.lift(vertices)[back, 2], 3)) - top.offset - 0.1
        width, tall, depth = size * bag.width, size * bag.height, size * bag.depth
        sack = rounded_box(
            (0, height(3.4 - bag.low), behind - 0.75 * depth), (width, tall, depth), 0.5
        )
        pocket = rounded_box(
            (0, height(2.7 - bag.low), behind - 1.55 * depth),
            (0.7 * width, 0.45 * tall, 0.3 * depth),
            0.5,
        )
        return [
            loose(Part.BAG, *sack, {spine: 1.0}),
            loose(Part.BAG_POCKET, *pocket, {spine: 1.0}),
        ]
    if bag.kind == "shoulder bag":
        x = (1.75 + top.offset) * (1 if bag.side == "l" else -1)
        y = -0.1 + 0.6 * (float(joints[spine, 1]) - base)
        box = rounded_box((x, y, 0.1), (0.35, bag.height, bag.width), 0.4)
        return [loose(Part.BAG, *box, {skeleton.index["pelvis"]: 1.0})]
    return []


def held_piece(bag: Bag) -> Piece:
    """What a hand holds, upright around the hand at the origin; it follows no bone."""
    if bag.kind not in HELD:
        raise ValueError(f"a {bag.kind} is not held in a hand")
    if bag.kind == "umbrella":
        points, triangles = _umbrella(bag.width)
    else:
        drop = -bag.height - 0.62  # below the hand, by the length of the handles
        points, triangles = joined(
            rounded_box((0, drop, 0), (0.35, bag.height, bag.width), 0.35),
            rounded_box((0, drop + bag.height + 0.3, 0), (0.12, 0.4, 0.35), 0.5),
        )
    return loose(Part.BAG, points, triangles, {0: 1.0})


def _umbrella(radius: float) -> tuple[Floats, Ints]:
    """A canopy of eight panels on a stick."""
    height = 7.0
    reach, angle = np.meshgrid(
        np.linspace(0.02, 1, 8), np.linspace(-np.pi, np.pi, 33), indexing="ij"
    )
    scallop = 1 - 0.06 * (1 - np.abs(np.cos(4 * angle)))
    y = height - 0.32 * radius * reach**2 - 0.02 * radius
    canopy = np.stack(
        [radius * reach * scallop * np.sin(angle), y, radius * reach * scallop * np.cos(angle)],
        axis=-1,
    )
    stick = rounded_box((0, height / 2 - 0.4, 0), (0.06, height / 2 + 0.3, 0.06), 0.4)
    return joined((canopy.reshape(-1, 3).astype(np.float32), grid_triangles(*angle.shape)), stick)
