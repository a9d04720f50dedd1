"""Shades the samples of a rasterized figure.

N vertices, T triangles, H x W samples. Sun with shadow, hemisphere ambient light, ambient occlusion
from the depth buffer, a highlight and a faint rim.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints, Records
from dgnet.people.compiled import compiled
from dgnet.people.materials import EYES, HAIR, INNER, SHOES, SKIN, TOP
from dgnet.people.raster import corner_shares
from dgnet.people.shading.cloth import cloth_color, crease, shoe_color
from dgnet.people.shading.light import lit_share
from dgnet.people.shading.skin import eye_color, hair_color, skin_color

# Columns of the array `strap`: kind, side, its color, half its width, and whether it has a body:
# edges, a shadow on the cloth, and a course over bare skin.
STRAP_COLUMNS = 7
NO_STRAP, TWO_STRAPS, CROSS_STRAP, ONE_STRAP, HANGING_STRAP = 0.0, 1.0, 2.0, 3.0, 4.0
FAR = 9.0
STRAP_SHADOW = 0.12
"""Decimeters beside a strap that lie in its shadow."""


def _occlusion_taps() -> Doubles:
    """Eight rotations of eight taps (8, 8, 2), 5 to 11 centimeters away."""
    turn, tap = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    angle = tap * np.pi / 4 + turn * np.pi / 32
    radius = 1.1 * (0.45 + 0.55 * ((tap * 5) % 8) / 7)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2)


TAPS = _occlusion_taps()
FOLD_DEPTH = 0.105
"""Decimeters that the valleys of folds are deep."""
STEP = 0.06
"""Decimeters between places whose depths are compared."""
STRAPS_TO = 5.9
"""Height on the skin below which straps run: the neck is above."""
STEEPEST = 1.1
"""Slope beyond which a fold's wall is drawn no steeper."""


@compiled
def from_strap(strap: Doubles, x: float, y: float, z: float) -> float:
    """How far a place on the torso is from the middle of a bag's straps."""
    kind = strap[0]
    if kind == CROSS_STRAP:
        return abs((y - 3.0) * 0.66 + x * strap[1] * 0.75)
    if kind == HANGING_STRAP:
        return abs(x * strap[1] - 1.15 - 0.12 * (4.5 - y))
    if kind == ONE_STRAP and x * strap[1] < 0:
        return FAR
    if z > 0.0:
        middle = 1.05 - 0.06 * (y - 3)
        if strap[6] > 0 and y < 3.9:  # on below the arms
            middle += 0.4 * (3.9 - y) ** 2
            return abs(abs(x) - middle) if y > 2.2 else FAR
        return abs(abs(x) - middle) if y > 2.6 else FAR
    return abs(abs(x) - 0.95) if y > 4.2 else FAR


@compiled
def _strap_body(strap: Doubles, x: float, y: float, z: float, color: Doubles) -> None:
    """Darken a strap towards its edges, and the cloth beside it."""
    beyond = from_strap(strap, x, y, z) - strap[5]
    if beyond < 0:
        gain = 1.25 - 0.6 * max(0.0, 1 + beyond / (0.5 * strap[5])) ** 2
    elif beyond < STRAP_SHADOW:
        gain = 0.6 + 0.4 * beyond / STRAP_SHADOW
    else:
        return
    for d in range(3):
        color[d] *= gain


@compiled
def _occlusion(depth: Floats, i: int, j: int, view: Any) -> float:
    """How much the surroundings rise before a sample, from eight rotated taps; 0 to 1."""
    height, width = depth.shape
    here = 1.0 / depth[i, j]
    across = view["scale_x"] / here
    down = view["scale_y"] / here
    turn = (i * 3 + j * 5) % 8
    total = 0.0
    for k in range(8):
        row = int(i + down * TAPS[turn, k, 1])
        column = int(j + across * TAPS[turn, k, 0])
        if 0 <= row < height and 0 <= column < width and depth[row, column] > 0:
            rise = here - 1.0 / depth[row, column]
            if rise > 0.12:
                total += min(1.0, rise * 1.2) * max(0.0, 1 - rise / 6)
    return total / 8


@compiled
def _rise(
    seed: float, surface: Floats, a: int, b: int, x: float, y: float, z: float, t: float,
    limb: bool, here: float,
) -> float:  # fmt: skip
    """How much deeper the fold gets over the edge from a to b, by a short step along it."""
    dx = surface[b, 0] - surface[a, 0]
    dy = surface[b, 1] - surface[a, 1]
    dz = surface[b, 2] - surface[a, 2]
    steps = np.sqrt(dx * dx + dy * dy + dz * dz) / STEP + 1e-9
    there = crease(seed, x + dx / steps, y + dy / steps, z + dz / steps, t, limb)
    return (there - here) * steps


@compiled
def shade_figure(
    depth: Floats,
    ids: Ints,
    weights: Floats,
    triangles: Ints,
    parts: Ints,
    surface: Floats,
    vertices: Floats,
    normals: Floats,
    inverse_depth: Floats,
    materials: Records,
    motifs: Doubles,
    face: Doubles,
    strap: Doubles,
    views: Records,
    lights: Records,
    heights: Floats,
    shadows: Records,
    fold_seed: float,
    out: Floats,
) -> None:
    """Write linear RGB into `out` (H, W, 3) where `ids` (H, W) names a triangle.

    Args:
        inverse_depth: (N,) of the vertices, for perspective-correct interpolation.
        motifs: (parts, P, P) ink of printed motifs.
        face: (3,) columns of `dgnet.people.shading.skin`.
        strap: (7,) columns above.
        fold_seed: Of the picture's cloth folds.
    """
    view = views[0]
    light = lights[0]
    shadow = shadows[0]
    color = np.zeros(3)
    eye_y = view["distance"] * view["sine"] + view["target"]
    eye_z = view["distance"] * view["cosine"]
    sun_x = light["to_sun"][0]
    sun_y = light["to_sun"][1]
    sun_z = light["to_sun"][2]
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            f = ids[i, j]
            if f < 0:
                continue
            a = triangles[f, 0]
            b = triangles[f, 1]
            c = triangles[f, 2]
            l0, l1, l2 = corner_shares(weights, inverse_depth, a, b, c, i, j)
            px = l0 * vertices[a, 0] + l1 * vertices[b, 0] + l2 * vertices[c, 0]
            py = l0 * vertices[a, 1] + l1 * vertices[b, 1] + l2 * vertices[c, 1]
            pz = l0 * vertices[a, 2] + l1 * vertices[b, 2] + l2 * vertices[c, 2]
            nx = l0 * normals[a, 0] + l1 * normals[b, 0] + l2 * normals[c, 0]
            ny = l0 * normals[a, 1] + l1 * normals[b, 1] + l2 * normals[c, 1]
            nz = l0 * normals[a, 2] + l1 * normals[b, 2] + l2 * normals[c, 2]
            q = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-9)
            nx *= q
            ny *= q
            nz *= q
            vx = -px
            vy = eye_y - py
            vz = eye_z - pz
            q = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
            vx *= q
            vy *= q
            vz *= q
            if nx * vx + ny * vy + nz * vz < 0:
                nx = -nx
                ny = -ny
                nz = -nz
            # The inside of cloth (a triangle seen from behind) is in the dark.
            ux = vertices[b, 0] - vertices[a, 0]
            uy = vertices[b, 1] - vertices[a, 1]
            uz = vertices[b, 2] - vertices[a, 2]
            wx = vertices[c, 0] - vertices[a, 0]
            wy = vertices[c, 1] - vertices[a, 1]
            wz = vertices[c, 2] - vertices[a, 2]
            facing = (uy * wz - uz * wy) * vx + (uz * wx - ux * wz) * vy + (ux * wy - uy * wx) * vz
            open_share = 1.0 if facing >= 0 else 0.45
            cx = l0 * surface[a, 0] + l1 * surface[b, 0] + l2 * surface[c, 0]
            cy = l0 * surface[a, 1] + l1 * surface[b, 1] + l2 * surface[c, 1]
            cz = l0 * surface[a, 2] + l1 * surface[b, 2] + l2 * surface[c, 2]
            t = l0 * surface[a, 3] + l1 * surface[b, 3] + l2 * surface[c, 3]
            arm = l0 * surface[a, 4] + l1 * surface[b, 4] + l2 * surface[c, 4]
            leg = l0 * surface[a, 5] + l1 * surface[b, 5] + l2 * surface[c, 5]
            part = parts[f]
            material = materials[part]
            specular = material["specular"]
            wrap = 0.15  # light reaches a little around thin or translucent things
            if part == SKIN:
                skin_color(material, materials[HAIR], face, cx, cy, cz, color)
                wrap = 0.25
                if strap[6] > 0 and arm < 0.5 and 1.0 < cy < STRAPS_TO:
                    if from_strap(strap, cx, cy, cz) < strap[5]:
                        for d in range(3):
                            color[d] = strap[2 + d]
                    _strap_body(strap, cx, cy, cz, color)
            elif part == HAIR:
                hair_color(material, cx, cy, cz, ny, color)
                specular = 0.0
                wrap = 0.3
            elif part == SHOES:
                shoe_color(material, cx, cy, cz, color)
            elif part == EYES:
                eye_color(cx, cy, cz, color)
            else:
                cloth_color(material, motifs[part], cx, cy, cz, t, arm, leg, color)
                on_torso = part in (TOP, INNER) and arm < 0.5 and cy > 1.0
                if on_torso and strap[0] > NO_STRAP:
                    if from_strap(strap, cx, cy, cz) < strap[5]:
                        for d in range(3):
                            color[d] = strap[2 + d]
                    if strap[6] > 0:
                        _strap_body(strap, cx, cy, cz, color)
            fold = l0 * surface[a, 6] + l1 * surface[b, 6] + l2 * surface[c, 6]
            if fold > 0:
                # Depth of the fold here and a little along two edges of the triangle; the slope on
                # the body follows from the edges' own lengths there, and turns the normal.
                limb = arm > 0.5 or leg > 0.5
                fold = min(1.2, fold)
                dent = crease(fold_seed, cx, cy, cz, t, limb)
                rise_u = _rise(fold_seed, surface, a, b, cx, cy, cz, t, limb, dent)
                rise_w = _rise(fold_seed, surface, a, c, cx, cy, cz, t, limb, dent)
                uu = ux * ux + uy * uy + uz * uz
                uw = ux * wx + uy * wy + uz * wz
                ww = wx * wx + wy * wy + wz * wz
                det = uu * ww - uw * uw
                if det > 1e-3 * uu * ww:
                    along_u = FOLD_DEPTH * fold * (rise_u * ww - rise_w * uw) / det
                    along_w = FOLD_DEPTH * fold * (rise_w * uu - rise_u * uw) / det
                    gx = along_u * ux + along_w * wx
                    gy = along_u * uy + along_w * wy
                    gz = along_u * uz + along_w * wz
                    steep = np.sqrt(gx * gx + gy * gy + gz * gz)
                    q = 1.0 if steep < STEEPEST else STEEPEST / steep
                    nx += gx * q
                    ny += gy * q
                    nz += gz * q
                    q = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
                    nx *= q
                    ny *= q
                    nz *= q
                for d in range(3):
                    color[d] *= 1 - 0.2 * dent * fold
            ambient = (1 - 0.75 * _occlusion(depth, i, j, view)) * open_share
            ambient *= (0.72 + 0.28 * min(1.0, py / 9)) * (0.85 + 0.15 * nz)
            lit = max(0.0, (nx * sun_x + ny * sun_y + nz * sun_z + wrap) / (1 + wrap))
            if lit > 0:
                x = px + nx * 0.25
                y = py + ny * 0.25
                z = pz + nz * 0.25
                lit *= lit_share(heights, shadow, x, y, z, 0.18)
            up = 0.5 + 0.5 * ny
            hx = vx + sun_x
            hy = vy + sun_y
            hz = vz + sun_z
            q = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
            half = max(0.0, (nx * hx + ny * hy + nz * hz) * q)
            highlight = specular * lit * half ** material["gloss"] if specular > 0 else 0.0
            edge = 1 - abs(nx * vx + ny * vy + nz * vz)
            rim = 0.05 * edge * edge * edge * up * ambient
            for d in range(3):
                around = (light["sky"][d] * up + light["ground"][d] * (1 - up)) * ambient
                shaded = color[d] * (light["sun"][d] * lit + around)
                out[i, j, d] = shaded + highlight * light["sun"][d] + rim * light["sky"][d]
