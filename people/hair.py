"""Hair as surfaces around the head: a cap cut by a hairline, a curtain, a ponytail, a bun.

The cap is a map of the head's radius over azimuth and elevation, without ears, plus thickness.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.body.grids import grid_triangles, rounded_box
from dgnet.people.body.template import Template, template
from dgnet.people.materials import Part
from dgnet.people.piece import Piece, loose
from dgnet.people.structure import Hair, HairCut

HEAD_CENTER = np.array([0, 7.45, 0.5])
COLUMNS, ROWS = 97, 46  # azimuth from -pi to pi, elevation

# Hairline: canonical y below which there is none, by azimuth in degrees from the nose.
_SHORT: tuple[list[float], list[float]] = (
    [0, 35, 60, 74, 84, 100, 112, 130, 180],
    [8.02, 8.0, 7.75, 7.15, 7.1, 7.55, 7.5, 6.75, 6.55],
)
HAIRLINES: dict[HairCut, tuple[list[float], list[float]]] = {
    "short": _SHORT,
    "curly": _SHORT,
    "long": ([0, 35, 58, 68, 180], [8.02, 7.95, 7.4, 6.2, 5.9]),
    "bangs": ([0, 30, 45, 62, 180], [7.62, 7.62, 7.6, 6.2, 5.9]),
    "buzz": (
        [0, 35, 60, 74, 84, 100, 112, 130, 180],
        [8.05, 8.02, 7.85, 7.3, 7.3, 7.7, 7.6, 6.95, 6.8],
    ),
    "up": (
        [0, 35, 60, 74, 84, 100, 112, 130, 180],
        [7.98, 7.95, 7.7, 7.3, 7.15, 7.4, 7.1, 6.7, 6.6],
    ),
    "bald": ([0, 60, 75, 84, 100, 112, 130, 180], [9.5, 9.2, 7.7, 7.6, 7.7, 7.6, 6.95, 6.8]),
}


@cache
def head_map() -> tuple[Doubles, Doubles, Doubles]:
    """Azimuth, elevation and radius of the head (ROWS, COLUMNS), smooth and without ears."""
    skin = template().skin
    points = skin.canonical[skin.head > 0.6].astype(np.float64)
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    ears = (x > 0.7) & (y > 6.7) & (y < 7.7) & (z < 0.75) & (z > -0.5)
    offset = points[~ears] - HEAD_CENTER
    distance = np.linalg.norm(offset, axis=1)
    elevation, azimuth = np.meshgrid(
        np.linspace(-1.25, np.pi / 2, ROWS), np.linspace(-np.pi, np.pi, COLUMNS), indexing="ij"
    )
    directions = directions_of(azimuth, elevation)
    radius = np.full(azimuth.shape, np.nan)
    near = directions @ (offset / distance[:, None]).T > np.cos(0.16)  # (ROWS, COLUMNS, points)
    for row, column in np.ndindex(azimuth.shape):
        if near[row, column].sum() > 2:
            radius[row, column] = np.percentile(distance[near[row, column]], 80)
    for row in range(ROWS):
        gaps = np.isnan(radius[row])
        radius[row, gaps] = 0.9 if gaps.all() else np.nanmean(radius[row])
    for _ in range(3):
        around = np.pad(radius[:, :-1], ((1, 1), (0, 0)), mode="edge")
        around = np.pad(around, ((0, 0), (1, 1)), mode="wrap")
        mean = 2 * around[1:-1, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        mean = (mean + around[:-2, 1:-1] + around[2:, 1:-1]) / 6
        radius = np.concatenate([mean, mean[:, :1]], axis=1)
    return azimuth, elevation, radius


def directions_of(azimuth: Doubles, elevation: Doubles) -> Doubles:
    """Unit vectors (..., 3); azimuth 0 looks along z."""
    level = np.cos(elevation)
    return np.stack([np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level], axis=-1)


def head_fit(body: Template, vertices: Floats) -> tuple[Doubles, Doubles]:
    """Scale and offset (3,) that carry the unmorphed head's top to this body's."""
    skin = body.skin
    top = (skin.head > 0.9) & (skin.canonical[:, 1] > 7.2)
    here, there = skin.canonical[top], skin.lift(vertices)[top]
    scale = np.ptp(there, axis=0) / np.ptp(here, axis=0)
    return scale.astype(np.float64), (there.mean(0) - scale * here.mean(0)).astype(np.float64)


def hair_pieces(
    body: Template, vertices: Floats, joints: Floats, hair: Hair, top: Floats
) -> list[Piece]:
    """All pieces of the hair on a body with these base vertices and joints.

    `top` are the vertices (N, 3) of the tights' surface as the top has them: locks lie on it.
    """
    random = np.random.default_rng(hair.seed)
    scale, offset = head_fit(body, vertices)
    head = body.skeleton.index["head"]
    pieces: list[Piece] = []
    if hair.cut != "none":
        pieces.append(_cap(hair, scale, offset, head, random))
    if hair.fall > 0:
        pieces.append(_curtain(body, joints, hair, scale, offset, random))
    for side, length in zip((1, -1), hair.locks, strict=True):
        if length > 0:
            pieces.append(_lock(body, top, hair, (scale, offset), side, length))
    if hair.bun is not None:
        y, z = hair.bun
        points, triangles = rounded_box((0, y, z), (0.42, 0.42, 0.42), 1.0)
        pieces.append(_on_head(points, triangles, scale, offset, head))
    if hair.ponytail > 0:
        half = hair.ponytail / 2
        points, triangles = rounded_box((0, 7.3 - half, -0.75), (0.28, half + 0.35, 0.26), 0.9)
        points[:, 2] -= 0.25 * np.clip(points[:, 1] - 6.6, 0, 1)  # it swings out from the knot
        thinner = np.clip((points[:, 1] - (7.0 - hair.ponytail)) / hair.ponytail, 0.35, 1)
        points[:, 0] *= thinner
        pieces.append(_on_head(points, triangles, scale, offset, head))
    return pieces


def _on_head(points: Floats, triangles: Ints, scale: Doubles, offset: Doubles, head: int) -> Piece:
    moved = (points * scale + offset).astype(np.float32)
    return loose(Part.HAIR, moved, triangles, {head: 1.0}, canonical=points)


def _cap(
    hair: Hair, scale: Doubles, offset: Doubles, head: int, random: np.random.Generator
) -> Piece:
    azimuth, elevation, radius = (grid.ravel() for grid in head_map())
    directions = directions_of(azimuth, elevation)
    scalp = HEAD_CENTER + directions * radius[:, None]
    degrees, heights = HAIRLINES[hair.cut]
    brow = np.exp(-((azimuth / 0.7) ** 2))
    line = np.interp(np.abs(np.degrees(azimuth)), degrees, heights)
    line += brow * (hair.front + hair.sweep * np.sin(1.6 * azimuth))
    inside = scalp[:, 1] - line
    phase = random.uniform(0, 2 * np.pi, 12)
    lumps = 1 + 0.12 * sum(
        np.cos((k + 2) * azimuth + phase[k]) * np.sin((k + 1) * elevation * 1.5 + phase[k + 4])
        for k in range(4)
    )
    # Locks: ridges that run from crown to hairline and break up the outline.
    locks = np.sin(21 * azimuth + 2 * elevation + phase[8]) * np.sin(8 * azimuth + phase[9])
    crown = np.clip((scalp[:, 1] - 7.3) / 1.1, -0.4, 1)
    edge = np.clip(0.35 + inside * 2.5, 0.25, 1)
    texture = lumps + 0.14 * locks
    if hair.cut == "curly":
        curls = np.sin(13 * azimuth + phase[8]) * np.sin(15 * elevation + phase[9])
        curls += 0.7 * np.sin(21 * azimuth + 9 * elevation + phase[10])
        texture = lumps + 0.13 * curls
    # At the sides shorter than on top, as it is cut.
    temple = np.clip((7.95 - scalp[:, 1]) / 0.5, 0, 1)
    texture *= 1 - (1 - hair.sides) * temple
    thickness = hair.thickness * (0.55 + 0.6 * crown) * texture * edge
    points = HEAD_CENTER + directions * (radius + 0.03 + thickness)[:, None]
    ragged = 0.045 * np.sin(9 * azimuth + phase[0]) + 0.035 * np.sin(17 * azimuth + phase[10])
    ragged += 0.02 * np.sin(31 * azimuth + phase[11])
    return loose(
        Part.HAIR,
        (points * scale + offset).astype(np.float32),
        grid_triangles(ROWS, COLUMNS)[:, ::-1].copy(),
        {head: 1.0},
        canonical=scalp.astype(np.float32),
        inside=(inside + ragged).astype(np.float32),
    )


def _curtain(
    body: Template,
    joints: Floats,
    hair: Hair,
    scale: Doubles,
    offset: Doubles,
    random: np.random.Generator,
) -> Piece:
    """Hair down the back and sides; its lower part follows the upper back, not the head."""
    columns, rows = 65, 20
    end = 7.7 - hair.fall
    share, azimuth = np.meshgrid(
        np.linspace(0, 1, rows),
        np.linspace(np.pi - hair.spread, np.pi + hair.spread, columns),
        indexing="ij",
    )
    y = 7.7 + (end - 7.7) * share
    thickness = hair.thickness * 0.6
    phase = random.uniform(0, 2 * np.pi, 5)
    wider = 1 + 0.18 * np.clip((6.3 - y) / 1.5, 0, 1)
    at_neck = 1 - 0.1 * np.clip(y - 5.8, 0, 1) * np.clip(7 - y, 0, 1)
    x = (0.86 + thickness) * wider * np.sin(azimuth) * at_neck
    half_depth = 0.95 + thickness
    center_z = float(HEAD_CENTER[2])
    z = center_z + half_depth * np.cos(azimuth) * 0.98
    back = np.interp(y, [2.5, 4.2, 5.2, 6.0, 6.6, 7.7], [-0.85, -0.85, -0.85, -0.62, -0.55, -0.5])
    outwards = (back - thickness - center_z + half_depth) * np.clip(-np.cos(azimuth), 0, 1)
    z = np.where(np.cos(azimuth) < -0.1, np.minimum(z, z + outwards), z)
    locks = np.sin(19 * azimuth + phase[0] + y) + 0.6 * np.sin(37 * azimuth + phase[3] + 2.1 * y)
    z = z + 0.035 * locks
    x = x + 0.03 * np.sin(23 * azimuth + phase[1] + 1.7 * y)
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    tips = 0.13 * np.sin(17 * azimuth + phase[2]) + 0.09 * np.sin(43 * azimuth + phase[4])
    inside = (y - end - tips - 0.2).ravel()
    neck = body.skeleton.index["neck_01"]
    on_back = np.clip((6.9 - points[:, 1]) / 1.4, 0, 1)[:, None]
    shift = joints[neck] - body.skeleton.base_joints[neck]
    moved = (points * scale + offset) * (1 - on_back) + (points + shift) * on_back
    weight = on_back[:, 0].astype(np.float32)
    return loose(
        Part.HAIR,
        moved.astype(np.float32),
        grid_triangles(rows, columns),
        {body.skeleton.index["head"]: 1 - weight, body.skeleton.index["spine_03"]: weight},
        canonical=points.astype(np.float32),
        inside=inside.astype(np.float32),
    )


def _lock(
    body: Template,
    top: Floats,
    hair: Hair,
    head_moved: tuple[Doubles, Doubles],
    side: int,
    length: float,
) -> Piece:
    """Hair that falls before one shoulder onto what is worn on the chest."""
    columns, rows = 9, 16
    y = np.linspace(7.45, 6.6 - length, rows)
    # Past the cheek, along the neck, over the collarbone; from there it lies on the chest.
    x = np.interp(y, [3.0, 5.0, 5.7, 6.3, 7.0, 7.5], [0.78, 0.8, 0.72, 0.7, 0.78, 0.72])
    z = np.interp(y, [5.4, 5.8, 6.3, 7.0, 7.5], [0.75, 0.72, 0.72, 0.75, 0.6])
    path = np.stack([side * x, y, z], axis=1)
    scale, offset = head_moved
    on_head = path * scale + offset
    on_chest = _on_chest(body, top, path)
    on_chest[:, 2] += 0.1 + 0.3 * hair.thickness
    lower = np.clip((6.3 - y) / 0.9, 0, 1)[:, None]
    middle = on_head * (1 - lower) + on_chest * lower
    random = np.random.default_rng([hair.seed, 2 + side])
    phase = random.uniform(0, 2 * np.pi, 3)
    half = (0.26 + 0.5 * hair.thickness) * np.interp(y, [y[-1], y[-1] + 0.9, 7.5], [0.45, 1, 0.9])
    across = np.linspace(-1, 1, columns)
    sway = 0.07 * np.sin(1.3 * y + phase[0])
    points = np.empty((rows, columns, 3))
    points[:, :, 0] = (middle[:, 0] + sway)[:, None] + half[:, None] * across
    points[:, :, 1] = middle[:, 1:2]
    round_ = np.sqrt(np.maximum(0, 1 - across**2)) - 0.5
    points[:, :, 2] = middle[:, 2:3] + (0.1 + 0.6 * hair.thickness) * round_
    points[:, :, 2] += 0.03 * np.sin(9 * across + phase[1] + 0.8 * y[:, None])
    tips = 0.18 * np.sin(7 * across + phase[2])
    inside = np.broadcast_to(y[:, None] - y[-1] - 0.25, (rows, columns)) - tips
    weight = np.repeat(lower[:, 0], columns).astype(np.float32)
    canonical = np.repeat(path, columns, axis=0)
    canonical[:, 0] += np.tile(0.3 * across, rows)
    return loose(
        Part.HAIR,
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(rows, columns),
        {body.skeleton.index["head"]: 1 - weight, body.skeleton.index["spine_03"]: weight},
        canonical=canonical.astype(np.float32),
        inside=inside.ravel().astype(np.float32),
    )


def _on_chest(body: Template, top: Floats, path: Doubles) -> Doubles:
    """Where points (R, 3) before the unmorphed chest lie on the top of this body."""
    surface, c = body.tights, body.tights.canonical
    front = (c[:, 2] > 0.2) & (surface.arm < 0.5) & (np.abs(c[:, 0]) < 1.4) & (c[:, 1] > 1.5)
    there, here = c[front].astype(np.float64), top[front].astype(np.float64)
    apart = np.square(there[None, :, :2] - path[:, None, :2]).sum(2)
    weights = np.exp(-apart / 0.05) + 1e-12
    weights /= weights.sum(1, keepdims=True)
    moved = path * [1, 1, 0] + weights @ (here - there * [1, 1, 0])
    # The foremost near by: cloth is not flat, and hair lies on its highest places.
    near = np.where(apart < 0.16, here[:, 2], -np.inf).max(1)
    moved[:, 2] = np.maximum(moved[:, 2], near)
    return moved
