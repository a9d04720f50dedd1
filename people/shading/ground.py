"""The color of the ground: asphalt, tiles, pavers, and what lies beyond the edge of the path."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles
from dgnet.people.compiled import compiled
from dgnet.people.noise import two_octaves, value_noise

ASPHALT, TILES, PAVERS, ROAD, CHECKER, SLABS = range(6)
GROUND_KINDS = ("asphalt", "tiles", "pavers", "road", "checker", "slabs")
GROUND = np.dtype(
    [
        ("kind", "i4"), ("color", "f8", 3), ("second", "f8", 3), ("beyond", "f8", 3),
        ("frequency", "f8"),  # repeats a decimeter
        ("angle", "f8"),  # of the path to the line of sight, radians
        ("edge", "f8"),  # where the path ends, decimeters
        ("dapple", "f8"),  # how dark the shade of trees is, 0 to 1
        ("dapple_size", "f8"),  # 1 / decimeters
        ("dapple_share", "f8"),  # threshold: larger is less shade
        ("wet", "f8"),  # 0 dry to 1: darker, smoother
        ("seed", "f8"),
    ]
)  # fmt: skip


@compiled
def ground_color(ground: Any, x: float, z: float, distance: float, color: Doubles) -> None:
    """Albedo of the ground at a place; distance from the camera blurs fine detail."""
    cosine = np.cos(ground["angle"])
    sine = np.sin(ground["angle"])
    u = cosine * x + sine * z
    v = cosine * z - sine * x
    seed = ground["seed"]
    f = ground["frequency"]
    edge = ground["edge"]
    broad = two_octaves(u * 0.12 + seed, v * 0.12, seed) - 0.5
    middle = value_noise(u * 0.9, v * 0.9 + seed, 1.0) - 0.5
    fine = value_noise(u * 4, v * 4, seed) - 0.5
    near = max(0.0, 1 - distance / 250)
    kind = ground["kind"]
    on_path = u < edge
    for d in range(3):
        color[d] = ground["color"][d] if on_path else ground["beyond"][d]
    if on_path:
        if kind in (TILES, SLABS):
            across = u * f
            along = v * f * (0.5 if kind == SLABS else 1.0)
            tone = 0.85 + 0.3 * value_noise(np.floor(across) * 3.7, np.floor(along) * 2.9, seed)
            joint = across - np.floor(across) < 0.06 or along - np.floor(along) < 0.06
            for d in range(3):
                color[d] *= tone * (1 - 0.4 * near if joint else 1.0)
        elif kind == PAVERS:
            row = np.floor(v * f * 2)
            across = u * f + 0.5 * (row % 2)
            mix = 0.5 * value_noise(np.floor(across) * 3.1, row * 5.3, seed)
            joint = across - np.floor(across) < 0.07 or v * f * 2 - row < 0.12
            for d in range(3):
                color[d] = color[d] * (1 - mix) + ground["second"][d] * mix
                color[d] *= 1 - 0.35 * near if joint else 1.0
        elif kind == ROAD:
            if abs(u - edge + 14.0) < 0.7:
                for d in range(3):
                    color[d] = 0.5
        elif kind == CHECKER:
            dark = 0.5 * ((np.floor(u * f) + np.floor(v * f)) % 2)
            for d in range(3):
                color[d] = color[d] * (1 - dark) + ground["second"][d] * dark
    elif u < edge + 1.6:  # kerb
        gap = v * 0.05 - np.floor(v * 0.05) > 0.97
        for d in range(3):
            color[d] = 0.2 if gap else 0.38
    else:
        fine *= 2.2
    tone = 1 + broad * 0.55 + middle * 0.18 + fine * 0.14 * near
    for d in range(3):
        color[d] = max(0.01, color[d] * tone * (1 - 0.45 * ground["wet"]))


@compiled
def dappled(ground: Any, x: float, z: float) -> float:
    """Share of the sun that comes through the trees above a place."""
    if ground["dapple"] <= 0:
        return 1.0
    size = ground["dapple_size"]
    shade = 0.6 * two_octaves(x * size * 2 + ground["seed"], z * size * 1.4, ground["seed"])
    shade += 0.4 * value_noise(x * size * 6, z * size * 5, 3.0)
    covered = min(1.0, max(0.0, (shade - ground["dapple_share"]) * 9))
    return 1 - ground["dapple"] * covered
