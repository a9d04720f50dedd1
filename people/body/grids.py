"""Meshes by rule: quads to triangles, subdivision, grids, rounded boxes."""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints


def triangles_of(quads: Ints) -> Ints:
    """Two triangles (2 Q, 3) for each quad (Q, 4)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def subdivide(quads: Ints, count: int) -> tuple[Ints, Ints]:
    """Split every quad in four.

    Returns:
        The new quads (4 Q, 4), and for each new vertex the four old ones (N, 4) that it is the mean
        of; new vertices are numbered from `count`.
    """
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)  # (4 Q, 2)
    unique, of_quad = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    middles = (count + of_quad.reshape(-1, 4)).astype(np.int32)  # edge after corner 0, 1, 2, 3
    centers = (count + len(unique) + np.arange(len(quads))).astype(np.int32)
    corners = [
        np.stack([quads[:, k], middles[:, k], centers, middles[:, k - 1]], axis=1) for k in range(4)
    ]
    means = np.concatenate([np.concatenate([unique, unique], axis=1), quads])
    return np.concatenate(corners).astype(np.int32), means.astype(np.int32)


def grid_triangles(rows: int, columns: int) -> Ints:
    """Triangles of a grid of vertices numbered row by row."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    first = (row * columns + column).ravel()
    corners = [first, first + 1, first + columns + 1, first + columns]
    return triangles_of(np.stack(corners, axis=1).astype(np.int32))


def rounded_box(
    center: tuple[float, float, float],
    half: tuple[float, float, float],
    roundness: float = 0.45,
    rows: int = 14,
    columns: int = 22,
) -> tuple[Floats, Ints]:
    """A super-ellipsoid: roundness 1 is an ellipsoid, towards 0 a box."""
    elevation, azimuth = np.meshgrid(
        np.linspace(-np.pi / 2, np.pi / 2, rows),
        np.linspace(-np.pi, np.pi, columns),
        indexing="ij",
    )

    def power(x: Doubles) -> Doubles:
        return np.sign(x) * np.abs(x) ** roundness

    around = power(np.cos(elevation))
    points = np.stack(
        [
            center[0] + half[0] * around * power(np.sin(azimuth)),
            center[1] + half[1] * power(np.sin(elevation)),
            center[2] + half[2] * around * power(np.cos(azimuth)),
        ],
        axis=-1,
    )
    return points.reshape(-1, 3).astype(np.float32), grid_triangles(rows, columns)[:, ::-1].copy()


def joined(*meshes: tuple[Floats, Ints]) -> tuple[Floats, Ints]:
    """Several meshes as one."""
    points: list[Floats] = []
    triangles: list[Ints] = []
    for vertices, faces in meshes:
        triangles.append((faces + sum(map(len, points))).astype(np.int32))
        points.append(vertices)
    return np.concatenate(points), np.concatenate(triangles)
