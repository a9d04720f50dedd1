"""A figure: one person's appearance on one person's structure, ready to be posed.

Everything that does not depend on pose or camera is done here once: garments cut and layered,
covered skin removed, all surfaces joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Bools, Doubles, Floats, Ints
from dgnet.people.bicycle import SADDLE_HEIGHT, bicycle_pieces
from dgnet.people.body.mesh import normals_of, points_moved, skinned, wrinkled
from dgnet.people.body.pose import Pose, rotations
from dgnet.people.body.shape import morphed
from dgnet.people.body.skeleton import about_y
from dgnet.people.body.template import template
from dgnet.people.clothes.dressing import clothes_pieces
from dgnet.people.clothes.outfit import Appearance
from dgnet.people.hair import HEAD_CENTER, hair_pieces, head_fit
from dgnet.people.luggage import bag_pieces, hat_pieces, held_piece
from dgnet.people.materials import Part
from dgnet.people.piece import Piece
from dgnet.people.structure import Bicycle, Structure

HIPS_OF_RIDER = SADDLE_HEIGHT + 0.9
CROWN = HEAD_CENTER + np.array([0, 1.1, 0])
FOLD_HEIGHT = 0.15
"""Decimeters that cloth folds rise."""

KEYPOINTS: dict[str, str] = {
    "neck": "neck_01",
    "left_shoulder": "upperarm_l", "right_shoulder": "upperarm_r",
    "left_elbow": "lowerarm_l", "right_elbow": "lowerarm_r",
    "left_wrist": "hand_l", "right_wrist": "hand_r",
    "left_hip": "thigh_l", "right_hip": "thigh_r",
    "left_knee": "calf_l", "right_knee": "calf_r",
    "left_ankle": "foot_l", "right_ankle": "foot_r",
    "left_toes": "ball_l", "right_toes": "ball_r",
}  # fmt: skip
KEYPOINT_NAMES = ("head_top", *KEYPOINTS)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """N vertices, T triangles, B bones.

    Vertices from `apart_from` follow no bone: what a hand holds, or a bicycle.
    """

    vertices: Floats  # (N, 3) rest pose
    normals: Floats  # (N, 3)
    surface: Floats  # (N, 7)
    inside: Floats  # (N,)
    bones: Ints  # (N, 5)
    bone_weights: Floats  # (N, 5)
    triangles: Ints  # (T, 3)
    parts: Ints  # (T,)
    closed: Bools  # (T,) seen from outside only
    joints: Floats  # (B, 3)
    head_top: Doubles  # (3,)
    floor: float  # y of the bare soles
    structure: Structure
    apart_from: int


@dataclass(frozen=True, kw_only=True)
class Posed:
    """A figure in a pose, hips above the origin and soles on y = 0."""

    vertices: Floats  # (N, 3)
    joints: Doubles  # (B + 1, 3); the last is the top of the head
    keypoints: Doubles  # (16, 3) as KEYPOINT_NAMES


def build_figure(appearance: Appearance, structure: Structure) -> Figure:
    """Dress a body."""
    body = template()
    vertices = morphed(body.assets, structure.shape)
    joints = body.skeleton.joints(vertices)
    pieces = clothes_pieces(body, vertices, joints, appearance)
    pieces += hair_pieces(body, vertices, joints, structure.hair, _outermost(pieces))
    if structure.hat is not None:
        pieces += hat_pieces(body, vertices, structure.hat, structure.hair.thickness)
    if structure.bag is not None:
        pieces += bag_pieces(body, vertices, joints, structure.bag, appearance.top)
    apart: list[Piece] = []
    if structure.held is not None:
        apart.append(held_piece(structure.held))
    if structure.bicycle is not None:
        apart += bicycle_pieces()
    scale, offset = head_fit(body, vertices)
    return _joined(
        pieces,
        apart,
        structure,
        joints=joints,
        head_top=CROWN * scale + offset,
        floor=float(body.skin.lift(vertices)[:, 1].min()),
    )


def _outermost(pieces: list[Piece]) -> Floats:
    """Vertices (N, 3) of the tights' surface where the top has them: hair lies on that."""
    tops = [piece for piece in pieces if piece.part == Part.TOP]
    return tops[0].vertices


def _joined(
    worn: list[Piece],
    apart: list[Piece],
    structure: Structure,
    joints: Floats,
    head_top: Doubles,
    floor: float,
) -> Figure:
    """All pieces as one mesh, without triangles outside their field and without unused vertices."""
    triangles: list[Ints] = []
    parts: list[Ints] = []
    closed: list[Bools] = []
    used: list[Bools] = []
    count = 0
    pieces = worn + apart
    for piece in pieces:
        in_field = (piece.inside >= 0)[piece.triangles]
        kept = piece.triangles[in_field[:, 0] | in_field[:, 1] | in_field[:, 2]]
        in_use = np.zeros(len(piece.vertices), np.bool_)
        in_use[kept] = True
        place = np.cumsum(in_use) - 1 + count
        triangles.append(place[kept].astype(np.int32))
        parts.append(np.full(len(kept), int(piece.part), np.int32))
        closed.append(np.full(len(kept), piece.closed))
        used.append(in_use)
        count += int(in_use.sum())

    def column(name: str) -> Floats:
        arrays: list[Floats] = [getattr(piece, name) for piece in pieces]
        return np.concatenate([array[use] for array, use in zip(arrays, used, strict=True)])

    vertices, faces = column("vertices"), np.concatenate(triangles)
    return Figure(
        vertices=vertices,
        normals=normals_of(vertices, faces),
        surface=column("surface"),
        inside=column("inside"),
        bones=column("bones").astype(np.int32),
        bone_weights=column("bone_weights"),
        triangles=faces,
        parts=np.concatenate(parts),
        closed=np.concatenate(closed),
        joints=joints,
        head_top=head_top,
        floor=floor,
        structure=structure,
        apart_from=sum(int(in_use.sum()) for in_use in used[: len(worn)]),
    )


def _beside(bicycle: Bicycle | None) -> Doubles:
    """Where a bicycle stands: under its rider, or beside who pushes it."""
    if bicycle is None or bicycle.ridden:
        return np.zeros(3)
    return np.array([3.4 if bicycle.side == "l" else -3.4, 0, 0.5])


def posed(figure: Figure, pose: Pose, yaw_degrees: float, fold_seed: float) -> Posed:
    """The figure in a pose, turned by the yaw (0 faces the camera, 90 shows the right side)."""
    skeleton = template().skeleton
    turns = rotations(pose, skeleton, figure.joints)
    transforms = skeleton.transforms(figure.joints, turns, yaw_degrees)
    folded = wrinkled(figure.vertices, figure.normals, figure.surface, fold_seed, FOLD_HEIGHT)
    vertices = skinned(folded, figure.bones, figure.bone_weights, transforms)
    joints = np.einsum("bij,bj->bi", transforms[:, :, :3], figure.joints) + transforms[:, :, 3]
    joints = joints.astype(np.float64)
    head = skeleton.index["head"]
    head_top = points_moved(transforms[head], figure.head_top[None])
    joints = np.concatenate([joints, head_top])
    hips = joints[skeleton.index["pelvis"]]
    bicycle = figure.structure.bicycle
    if bicycle is not None and bicycle.ridden:
        floor = float(hips[1]) - HIPS_OF_RIDER
    else:
        # Bare feet and joints alone decide where the floor is: shoes must not move a composite.
        feet = [skeleton.index[name] for name in ("foot_l", "foot_r", "ball_l", "ball_r")]
        floor = min(float(joints[i, 1] - figure.joints[i, 1]) for i in feet) + figure.floor
    origin = np.array([hips[0], floor, hips[2]])
    if figure.apart_from < len(vertices):
        turned = (figure.vertices[figure.apart_from :] + _beside(bicycle)) @ about_y(yaw_degrees).T
        held = figure.structure.held
        at = origin
        if held is not None:
            at = joints[skeleton.index[f"middle_01_{held.side}"]]
        vertices[figure.apart_from :] = turned + at
    joints = joints - origin
    named = [skeleton.index[bone] for bone in KEYPOINTS.values()]
    return Posed(
        vertices=(vertices - origin).astype(np.float32),
        joints=joints,
        keypoints=joints[[len(joints) - 1, *named]],
    )
