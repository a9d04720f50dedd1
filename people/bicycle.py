"""A bicycle: two wheels, a frame of tubes, saddle and handlebar; it heads towards z.

Its origin is on the ground below the saddle.
"""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.body.grids import grid_triangles, joined, rounded_box
from dgnet.people.materials import Part
from dgnet.people.piece import Piece, loose

SADDLE_HEIGHT = 9.2
"""Decimeters from the ground; hips of a rider are a little above."""
REACH = 2.4
"""How far the saddle is behind the middle between the wheels."""
WHEEL_RADIUS, HALF_WHEELBASE = 3.3, 5.2

REAR, FRONT = (0.0, 3.3, -5.2), (0.0, 3.3, 5.2)
PEDALS, SEAT, HEAD = (0.0, 2.9, -0.9), (0.0, 8.9, -2.4), (0.0, 8.0, 3.6)
TUBES = [
    (PEDALS, SEAT), (PEDALS, HEAD), ((0.0, 7.6, -2.1), HEAD), (PEDALS, REAR),
    ((0.0, 7.6, -2.1), REAR), (HEAD, FRONT), (HEAD, (0.0, 9.9, 3.0)),
    ((-2.7, 9.9, 2.7), (2.7, 9.9, 2.7)),
]  # fmt: skip


def bicycle_pieces() -> list[Piece]:
    """Tires with saddle, and the frame; they follow no bone."""
    saddle = rounded_box((0, SADDLE_HEIGHT, -2.6), (0.7, 0.22, 1.2), 0.7, 7, 10)
    tires = joined(_ring(REAR), _ring(FRONT), saddle)
    frame = joined(*(_tube(np.array(start), np.array(end)) for start, end in TUBES))
    shift = np.array([0, 0, REACH], np.float32)
    return [
        loose(Part.TIRES, tires[0] + shift, tires[1], {0: 1.0}),
        loose(Part.FRAME, frame[0] + shift, frame[1], {0: 1.0}),
    ]


def _ring(center: tuple[float, float, float]) -> tuple[Floats, Ints]:
    """A tire around an axle along x."""
    around, along = np.meshgrid(
        np.linspace(-np.pi, np.pi, 7), np.linspace(-np.pi, np.pi, 33), indexing="ij"
    )
    radius = WHEEL_RADIUS - 0.2 + 0.2 * np.cos(around)
    points = np.stack(
        [
            center[0] + 0.2 * np.sin(around),
            center[1] + radius * np.cos(along),
            center[2] + radius * np.sin(along),
        ],
        axis=-1,
    )
    return points.reshape(-1, 3).astype(np.float32), grid_triangles(*around.shape)


def _tube(start: Doubles, end: Doubles, radius: float = 0.17) -> tuple[Floats, Ints]:
    """A round tube between two points."""
    axis = end - start
    axis = axis / np.linalg.norm(axis)
    other = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 else np.array([0, 1.0, 0])
    right = np.cross(axis, other)
    right = right / np.linalg.norm(right)
    up = np.cross(axis, right)
    share, angle = np.meshgrid(np.linspace(0, 1, 2), np.linspace(-np.pi, np.pi, 7), indexing="ij")
    points = (
        start
        + share[:, :, None] * (end - start)
        + radius * (np.cos(angle)[:, :, None] * right + np.sin(angle)[:, :, None] * up)
    )
    return points.reshape(-1, 3).astype(np.float32), grid_triangles(2, 7)
