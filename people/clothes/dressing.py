"""Dresses a body: which surfaces its clothes become, in which order, and which skin they hide."""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Bools, Floats
from dgnet.people.body.grids import grid_triangles
from dgnet.people.body.template import Template
from dgnet.people.clothes.outfit import Appearance, Skirt, Trousers
from dgnet.people.clothes.shells import (
    Shell,
    neckline,
    over,
    shoes_shell,
    skirt_shell,
    socks_shell,
    top_shell,
    trousers_shell,
)
from dgnet.people.materials import Part
from dgnet.people.piece import Piece, garment, loose, surface_columns


def clothes_pieces(
    body: Template, vertices: Floats, joints: Floats, worn: Appearance
) -> list[Piece]:
    """Skin that shows, eyes, and all clothes from the inside out."""
    tights, top = body.tights, worn.top
    covered = _covered(body, worn)
    skin = body.skin
    hidden = covered[skin.triangles]
    visible = skin.triangles[~(hidden[:, 0] & hidden[:, 1] & hidden[:, 2])]
    pieces = [
        Piece(
            part=Part.SKIN,
            vertices=skin.lift(vertices),
            triangles=visible,
            surface=surface_columns(skin),
            inside=np.ones(len(skin.canonical), np.float32),
            bones=skin.bones,
            bone_weights=skin.bone_weights,
            closed=True,
        ),
        Piece(
            part=Part.EYES,
            vertices=body.eyes.lift(vertices),
            triangles=body.eyes.triangles,
            surface=surface_columns(body.eyes),
            inside=np.ones(len(body.eyes.canonical), np.float32),
            bones=body.eyes.bones,
            bone_weights=body.eyes.bone_weights,
            closed=True,
        ),
    ]
    layers: list[Shell] = []
    folds = top.wrinkles  # one amplitude for all layers, so that they do not cut each other
    match worn.bottom.cut:
        case Skirt() as cut:
            pieces.append(garment(Part.BOTTOM, body.skirt, skirt_shell(body, vertices, cut), 0.3))
            if worn.bottom.hosiery is not None:
                hose = Trousers(length=1.97, waist=0.5, offset=0.02)
                shell = trousers_shell(body, vertices, joints, hose)
                pieces.append(garment(Part.SOCKS, tights, shell, 0.0))
        case Trousers() as cut:
            layers.append(trousers_shell(body, vertices, joints, cut))
            pieces.append(garment(Part.BOTTOM, tights, layers[-1], folds))
    if worn.inner is not None:
        layers.append(over(body, top_shell(body, vertices, joints, worn.inner), layers))
        pieces.append(garment(Part.INNER, tights, layers[-1], folds))
    shell = over(body, top_shell(body, vertices, joints, top), layers)
    pieces.append(garment(Part.TOP, tights, shell, folds))
    if top.tail is not None:
        pieces.append(garment(Part.TOP, body.skirt, skirt_shell(body, vertices, top.tail), 0.3))
    if top.hood:
        pieces.append(_hood(body, joints))
    pieces.append(garment(Part.SHOES, tights, shoes_shell(body, vertices, worn.shoes), 0.0))
    if worn.shoes.socks > 0 and worn.bottom.hosiery is None:
        pieces.append(garment(Part.SOCKS, tights, socks_shell(body, vertices, worn.shoes), 0.0))
    return pieces


def _hood(body: Template, joints: Floats) -> Piece:
    """A hood that lies on the shoulders: half a ring behind the neck."""
    around, along = np.meshgrid(
        np.linspace(-np.pi, np.pi, 15), np.linspace(-2.3, 2.3, 25), indexing="ij"
    )
    thick = 0.34 * np.cos(along / 2.9)
    ring = 0.82 + thick * np.cos(around)
    neck = body.skeleton.index["neck_01"]
    spine = body.skeleton.index["spine_03"]
    size = body.relative_size(joints)
    ring, thick = ring * size, thick * size
    base = body.skeleton.base_joints[neck]
    center = joints[neck] + size * (np.array([0, 5.62, 0.12]) - base)
    points = np.stack(
        [
            center[0] + ring * np.sin(along),
            center[1] - 0.35 * size * np.cos(along) + thick * np.sin(around) * 1.3,
            center[2] - ring * np.cos(along),
        ],
        axis=-1,
    )
    return loose(
        Part.TOP,
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(*around.shape),
        {spine: 1.0},
    )


def _covered(body: Template, worn: Appearance) -> Bools:
    """Skin vertices that clothes surely hide; a margin stays, for clothes move over the skin."""
    skin, c = body.skin, body.skin.canonical
    top = worn.top
    closest = worn.inner if worn.inner is not None else top
    arm, leg = skin.arm, skin.leg
    covered = (c[:, 1] > top.hem + 0.35) & (neckline(c, closest) > 0.28)
    covered &= (arm < 0.5) & (skin.head < 0.3)
    if top.sleeve < 0.3:
        covered &= np.abs(c[:, 0]) < 1.45
    position = skin.arm_position
    covered |= (arm >= 0.5) & (position < top.sleeve - 0.25) & (position > -0.5)
    match worn.bottom.cut:
        case Skirt():
            covered |= (c[:, 1] < top.hem + 0.8) & (c[:, 1] > 0.3) & (arm < 0.3)
            end = -0.2
        case Trousers() as cut:
            end = cut.length
    lower = (leg > 0.3) | (c[:, 1] < 2.2)
    covered |= (arm < 0.5) & (c[:, 1] < 2.0) & (skin.leg_position < end - 0.12) & lower
    if worn.shoes.kind != "sandals":
        covered |= (skin.leg_position > worn.shoes.top + 0.08) & (leg > 0.5)
    return covered
