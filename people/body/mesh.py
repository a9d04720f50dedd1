"""Compiled loops over meshes: normals, smoothing, skinning, wrinkles.

N vertices, T triangles, K bones a vertex, B bones.
"""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints
from dgnet.people.compiled import compiled
from dgnet.people.noise import value_noise


def normals_of(vertices: Floats, triangles: Ints) -> Floats:
    """Unit normals (N, 3): means of the adjacent triangles', weighted by their areas."""
    normals = np.zeros_like(vertices)
    _add_normals(vertices, triangles, normals)
    return normals


@compiled
def _add_normals(vertices: Floats, triangles: Ints, normals: Floats) -> None:
    for f in range(triangles.shape[0]):
        a = triangles[f, 0]
        b = triangles[f, 1]
        c = triangles[f, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx = uy * vz - uz * vy
        ny = uz * vx - ux * vz
        nz = ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for i in range(vertices.shape[0]):
        x = normals[i, 0]
        y = normals[i, 1]
        z = normals[i, 2]
        length = np.sqrt(x * x + y * y + z * z) + 1e-9
        normals[i, 0] = x / length
        normals[i, 1] = y / length
        normals[i, 2] = z / length


@compiled
def smoothed(
    vertices: Floats, starts: Ints, neighbors: Ints, strength: Floats, steps: int
) -> Floats:
    """Laplacian smoothing: each step moves a vertex by `strength` towards its neighbors' mean.

    `neighbors[starts[i]:starts[i + 1]]` are those of vertex i.
    """
    now = vertices.copy()
    then = vertices.copy()
    for _ in range(steps):
        for i in range(len(now)):
            count = starts[i + 1] - starts[i]
            if count == 0:
                continue
            sx = 0.0
            sy = 0.0
            sz = 0.0
            for j in range(starts[i], starts[i + 1]):
                sx += now[neighbors[j], 0]
                sy += now[neighbors[j], 1]
                sz += now[neighbors[j], 2]
            then[i, 0] = now[i, 0] + strength[i] * (sx / count - now[i, 0])
            then[i, 1] = now[i, 1] + strength[i] * (sy / count - now[i, 1])
            then[i, 2] = now[i, 2] + strength[i] * (sz / count - now[i, 2])
        now, then = then, now
    return now


@compiled
def skinned(vertices: Floats, bones: Ints, weights: Floats, transforms: Floats) -> Floats:
    """Linear blend skinning: bones, weights (N, K), transforms (B, 3, 4); weights fall."""
    out = np.empty_like(vertices)
    for i in range(vertices.shape[0]):
        x = vertices[i, 0]
        y = vertices[i, 1]
        z = vertices[i, 2]
        ox = 0.0
        oy = 0.0
        oz = 0.0
        for k in range(bones.shape[1]):
            w = weights[i, k]
            if w == 0:
                break
            b = bones[i, k]
            t = transforms[b]
            ox += w * (t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3])
            oy += w * (t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3])
            oz += w * (t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3])
        out[i, 0] = ox
        out[i, 1] = oy
        out[i, 2] = oz
    return out


@compiled
def wrinkled(
    vertices: Floats, normals: Floats, surface: Floats, seed: float, height: float
) -> Floats:
    """Cloth folds: moves rest vertices along their normals, before skinning.

    `surface` (N, 7) as in `dgnet.people.figure`. Folds are horizontal and strongest at elbows,
    knees and waist. Layers above each other get the same folds, so they do not cut through each
    other.
    """
    out = vertices.copy()
    for i in range(len(vertices)):
        amount = surface[i, 6]
        if amount <= 0:
            continue
        x = surface[i, 0]
        y = surface[i, 1]
        z = surface[i, 2]
        if surface[i, 4] > 0.5 or surface[i, 5] > 0.5:
            t = surface[i, 3]
            from_joint = (t - np.floor(t + 0.5)) / 0.22
            gain = 0.55 + 1.1 * np.exp(-from_joint * from_joint)
            fold = value_noise(x * 1.1 + seed, y * 2.6 + x * 0.9, z * 1.1 + seed) - 0.5
            fold += 0.5 * (value_noise(x * 2.3, y * 4.5 + z * 2, z * 2.3 + seed) - 0.5)
        else:
            from_waist = (y - 1.2) / 1.2
            gain = 0.8 + 0.5 * np.exp(-from_waist * from_waist)
            fold = value_noise(x * 1.5 + y * 0.5 + seed, y * 0.9 - x * 0.5, z * 1.3) - 0.5
            fold += 0.55 * (value_noise(x * 3.1 - y, y * 2.0 + seed, z * 2.7) - 0.5)
        d = height * amount * gain * fold
        out[i, 0] += normals[i, 0] * d
        out[i, 1] += normals[i, 1] * d
        out[i, 2] += normals[i, 2] * d
    return out


def points_moved(transform: Floats | Doubles, points: Floats | Doubles) -> Doubles:
    """Points (N, 3) under one transform (3, 4)."""
    return (points @ transform[:, :3].T + transform[:, 3]).astype(np.float64)
