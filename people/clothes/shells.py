"""Garment surfaces: the tights or skirt helper pushed off the body, cut by smooth fields.

A shell has a value for each vertex, at least zero inside the garment; fragments where the
interpolated value is negative are dropped when drawn. That gives crisp hems without remeshing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Bools, Doubles, Floats
from dgnet.people.body.mesh import normals_of, smoothed
from dgnet.people.body.surface import Surface
from dgnet.people.body.template import Template
from dgnet.people.clothes.outfit import Shoes, Skirt, Top, Trousers

FAR_INSIDE = 9.0
LAYER_GAP = 0.09
CHEST = 4.4
"""Canonical y of the fullest chest: cloth hangs from there."""
INSTEP, STRAP_HALF, SOLE_EDGE = 1.15, 0.2, -8.0
"""Canonical z of a sandal's strap and half its width; canonical y of the upper edge of its sole."""
THROAT = (0.0, 5.98, 0.35)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Vertices (N, 3) in rest pose and the field (N,) that keeps them."""

    vertices: Floats
    inside: Floats


def top_shell(body: Template, vertices: Floats, joints: Floats, top: Top) -> Shell:
    """A top on the body with these base vertices (V, 3) and joints (B, 3)."""
    surface, c = body.tights, body.tights.canonical
    on_arm = surface.arm > 0.5
    skin = surface.lift(vertices)
    strength = np.where(on_arm, 0.25, 0.5)
    shell = _smooth(surface, skin, strength, 12 + int(24 * top.looseness))
    shell = _outside(surface, skin, shell)
    shell = _hanging(surface, shell, top.looseness)
    arm = _bones(body, joints, "upperarm_l", "lowerarm_l", "hand_l")
    radius = top.sleeve_radius * body.relative_size(joints)
    shell = _wide_limbs(
        shell, surface.arm_position, on_arm, arm, radius, top.sleeve_taper, (0.1, 0.6)
    )
    shell = _smooth(surface, shell, np.where(on_arm, 0.3, 0.5), 5)
    above_hem = (c[:, 1] - top.hem) / 0.45
    drawn_in = top.gather * np.exp(-above_hem * above_hem) * ~on_arm
    lift = np.maximum(top.offset + 0.04 - drawn_in, 0.05)
    shell = shell + normals_of(shell, surface.triangles) * lift[:, None].astype(np.float32)

    azimuth = np.arctan2(c[:, 0], c[:, 2])
    inside = c[:, 1] - top.hem - 0.12 * top.hem_curve * np.cos(2 * azimuth)
    inside = np.minimum(inside, neckline(c, top))
    sleeve_end = np.where(surface.arm > 0.4, (top.sleeve - surface.arm_position) * 2.4, FAR_INSIDE)
    inside = np.minimum(inside, sleeve_end)
    if top.opening > 0:  # wider towards the hem
        edge = np.abs(c[:, 0]) - top.opening * (1 + 0.15 * (2.5 - c[:, 1]))
        inside = np.minimum(inside, np.where(c[:, 2] > 0, edge, FAR_INSIDE))
    return Shell(vertices=shell.astype(np.float32), inside=inside.astype(np.float32))


def neckline(canonical: Floats, top: Top) -> Doubles:
    """Distance inside the neckline (N,): a ball around the throat, perhaps with a V in front."""
    x, y, z = canonical[:, 0], canonical[:, 1], canonical[:, 2]
    from_throat = np.sqrt(x**2 + (y - THROAT[1]) ** 2 + (z - THROAT[2]) ** 2)
    inside = np.where(y > 3.5, from_throat - top.neck, FAR_INSIDE)
    if top.v_neck > 0:
        edge = np.abs(x) * 2.2 + 5.25 - top.v_neck - y
        inside = np.minimum(inside, np.where((z > 0.3) & (y > 3.5), edge, FAR_INSIDE))
    if top.bare_shoulders:
        inside = np.minimum(inside, 5.05 + 0.9 * (1.0 - np.abs(x)) - y)
    return inside.astype(np.float64)


def trousers_shell(body: Template, vertices: Floats, joints: Floats, cut: Trousers) -> Shell:
    """Trousers, shorts or leggings."""
    surface, c = body.tights, body.tights.canonical
    skin = surface.lift(vertices)
    shell = _outside(surface, skin, _smooth(surface, skin, np.full(len(c), 0.5), 14))
    if cut.radius > 0:
        leg = _bones(body, joints, "thigh_l", "calf_l", "foot_l")
        radius = cut.radius * body.relative_size(joints)
        shell = _wide_limbs(
            shell, surface.leg_position, surface.leg > 0.5, leg, radius, cut.taper, (0.25, 0.8)
        )
        shell = _smooth(surface, shell, np.full(len(c), 0.4), 3)
    shell = shell + normals_of(shell, surface.triangles) * np.float32(cut.offset)
    leg_end = np.where(surface.leg > 0.3, (cut.length - surface.leg_position) * 4, FAR_INSIDE)
    inside = np.minimum(cut.waist - c[:, 1], leg_end)
    inside = np.where(surface.arm > 0.3, -1, inside)
    return Shell(vertices=shell.astype(np.float32), inside=inside.astype(np.float32))


def skirt_shell(body: Template, vertices: Floats, cut: Skirt) -> Shell:
    """A skirt; pleats are waves around the hem."""
    surface, c = body.skirt, body.skirt.canonical
    axis_z = np.float32(0.2)
    shell = _smooth(surface, surface.lift(vertices), np.full(len(c), 0.5), 4)
    drop = np.clip((1.6 - c[:, 1]) / 5, 0, 2)
    azimuth = np.arctan2(c[:, 0], c[:, 2] - axis_z)
    wave = cut.pleat_depth * drop**0.7 * np.cos(cut.pleats * azimuth)
    wider = (1 + cut.flare * drop + wave).astype(np.float32)
    shell[:, 0] *= wider
    shell[:, 2] = axis_z + (shell[:, 2] - axis_z) * wider
    normals = normals_of(shell, surface.triangles)
    outwards = shell - np.array([0, 0, axis_z], np.float32)
    outwards[:, 1] = 0
    if (normals * outwards).sum() < 0:
        normals = -normals
    shell = shell + normals * np.float32(cut.offset)
    inside = np.minimum(c[:, 1] - cut.hem, cut.waist - c[:, 1])
    if cut.opening > 0:
        edge = np.abs(c[:, 0]) - cut.opening * (1 + 0.1 * drop)
        inside = np.minimum(inside, np.where(c[:, 2] > 0, edge, FAR_INSIDE))
    return Shell(vertices=shell.astype(np.float32), inside=inside.astype(np.float32))


def shoes_shell(body: Template, vertices: Floats, shoes: Shoes) -> Shell:
    """Both shoes, with soles pushed down."""
    surface, c = body.tights, body.tights.canonical
    shell = _smooth(surface, surface.lift(vertices), np.full(len(c), 0.4), 3)
    normals = normals_of(shell, surface.triangles)
    shell = shell + normals * np.float32(shoes.offset)
    low = np.clip((-7.85 - c[:, 1]) / 0.3, 0, 1)
    shell[:, 1] -= low * shoes.sole
    shell[:, 0] += normals[:, 0] * low * 0.06
    shell[:, 2] += normals[:, 2] * low * 0.08
    if shoes.kind == "sandals":  # a sole with a strap over the instep
        strap = STRAP_HALF - np.abs(c[:, 2] - INSTEP)
        inside = np.maximum(SOLE_EDGE - c[:, 1], strap) * 4
        inside = np.where(surface.leg_position > 1.9, inside, -1)
    else:
        inside = np.where(surface.leg_position > 1.5, (surface.leg_position - shoes.top) * 4, -1)
    inside = np.where(surface.leg < 0.3, -1, inside)
    return Shell(vertices=shell.astype(np.float32), inside=inside.astype(np.float32))


def socks_shell(body: Template, vertices: Floats, shoes: Shoes) -> Shell:
    """Socks up to their height, down to the toes."""
    surface = body.tights
    skin = surface.lift(vertices)
    shell = skin + normals_of(skin, surface.triangles) * np.float32(0.05)
    above = (surface.leg_position - (2 - shoes.socks)) * 4
    inside = np.where(surface.leg > 0.3, above, -1)
    return Shell(vertices=shell.astype(np.float32), inside=inside.astype(np.float32))


def over(body: Template, outer: Shell, under: list[Shell]) -> Shell:
    """The outer shell moved out of those that it covers.

    All are made from the tights, so vertex i of one lies over vertex i of the other.
    """
    triangles = body.tights.triangles
    vertices = outer.vertices
    for _ in range(2):  # the first push turns the normals
        for inner in under:
            normals = normals_of(vertices, triangles)
            missing = ((inner.vertices - vertices) * normals).sum(1) + LAYER_GAP
            missing = np.where(inner.inside > -1, np.maximum(missing, 0), 0)
            vertices = (vertices + normals * missing[:, None]).astype(np.float32)
    return Shell(vertices=vertices, inside=outer.inside)


def _smooth(surface: Surface, vertices: Floats, strength: Doubles, steps: int) -> Floats:
    return smoothed(
        vertices.astype(np.float32),
        surface.neighbor_starts,
        surface.neighbors,
        strength.astype(np.float32),
        steps,
    )


def _outside(surface: Surface, skin: Floats, shell: Floats) -> Floats:
    """Undo the shrinking of smoothing: out along the normals, at least to the skin."""
    normals = normals_of(shell, surface.triangles)
    missing = np.maximum(0, ((skin - shell) * normals).sum(1))
    return shell + normals * missing[:, None]


def _bones(body: Template, joints: Floats, *names: str) -> Doubles:
    return np.stack([joints[body.skeleton.index[name]] for name in names]).astype(np.float64)


def _hanging(surface: Surface, vertices: Floats, looseness: float) -> Floats:
    """Cloth hangs: around the torso the radius does not shrink downwards from the chest.

    Radii are collected on a grid of azimuth and height, their running maximum goes down it.
    """
    axis = np.array([0, 0, 0.15], np.float32)
    offset = vertices - axis
    azimuth = np.arctan2(offset[:, 0], offset[:, 2])
    radius = np.hypot(offset[:, 0], offset[:, 2])
    y = surface.canonical[:, 1]
    hangs = (surface.arm < 0.5) & (y < CHEST) & (y > -1.2)
    columns, rows = 36, 30
    height = CHEST + 1.2
    column = ((azimuth + np.pi) / (2 * np.pi) * columns).astype(int) % columns
    row = np.clip(((CHEST - y) / height * rows).astype(int), 0, rows - 1)
    largest = np.zeros((rows, columns))
    np.maximum.at(largest, (row[hangs], column[hangs]), radius[hangs])
    beside = np.maximum(np.roll(largest, 1, 1), np.roll(largest, -1, 1))
    largest = np.maximum(largest, beside * 0.97)
    shrink = 0.12 * height / rows
    for k in range(1, rows):
        largest[k] = np.maximum(largest[k], largest[k - 1] - shrink)
    for _ in range(2):
        largest = (np.roll(largest, 1, 1) + 2 * largest + np.roll(largest, -1, 1)) / 4
    wanted = np.clip(largest[row, column] / np.maximum(radius, 0.1) - 1, 0, 0.8)
    ramp = np.clip(CHEST - y, 0, 1)
    scale = np.where(hangs, 1 + looseness * wanted * ramp, 1)[:, None].astype(np.float32)
    moved = (axis + offset * scale).astype(np.float32)
    moved[:, 1] = vertices[:, 1]
    return moved


def _wide_limbs(
    vertices: Floats,
    position: Floats,
    on_limb: Bools,
    line: Doubles,
    radius: float,
    taper: float,
    ramp: tuple[float, float],
) -> Floats:
    """Push a limb's vertices out to a radius around its bones `line` (3, 3), given for the left.

    The push starts at position `ramp[0]` and is full from `ramp[1]`.
    """
    moved = vertices.copy()
    for side in (1, -1):
        chosen = on_limb & (vertices[:, 0] * side > 0) & (position > ramp[0])
        if not chosen.any():
            continue
        bones = line * [side, 1, 1]
        t = position[chosen]
        bone = np.clip(t.astype(int), 0, len(bones) - 2)
        fraction = np.clip(t - bone, 0, 1.15)[:, None]
        center = bones[bone] + (bones[bone + 1] - bones[bone]) * fraction
        offset = vertices[chosen] - center
        distance = np.linalg.norm(offset, axis=1)
        amount = np.clip((t - ramp[0]) / (ramp[1] - ramp[0]), 0, 1)
        wanted = radius * (1 - taper * np.clip(t - 0.9, 0, 1))
        wider = 1 + amount * np.clip(wanted / np.maximum(distance, 0.1) - 1, 0, 2.5)
        moved[chosen] = center + offset * wider[:, None]
    return moved
