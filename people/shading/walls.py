"""The color of what closes the view: masonry, windows, hedges, railings, shop fronts."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles
from dgnet.people.compiled import compiled
from dgnet.people.noise import two_octaves, value_noise
from dgnet.people.shading.props import leaves

PLASTER, BRICKS, WINDOWS, HEDGE, RAILINGS, SHOPS, GLASS, SHUTTER = range(8)
WALL_KINDS = (
    "plaster", "bricks", "windows", "hedge", "railings", "shops", "glass", "shutter",
)  # fmt: skip
WALL = np.dtype(
    [
        ("z", "f8"),  # behind the person, negative decimeters
        ("kind", "i4"), ("color", "f8", 3), ("second", "f8", 3), ("frequency", "f8"),
        ("height", "f8"), ("base", "f8"),  # height of the darker base
        ("seed", "f8"),
    ]
)  # fmt: skip


@compiled
def wall_top(wall: Any, x: float) -> float:
    """Height at a place; hedges are uneven."""
    if wall["kind"] != HEDGE:
        return wall["height"]
    uneven = two_octaves(x * 0.35, 1.5, wall["seed"]) - 0.5
    twigs = value_noise(x * 2.9, 4.5, wall["seed"]) - 0.5
    return wall["height"] * (1 + 0.5 * uneven) + 1.2 * twigs


@compiled
def wall_color(wall: Any, x: float, y: float, color: Doubles) -> None:
    """Albedo at a place of the wall."""
    kind = wall["kind"]
    f = wall["frequency"]
    seed = wall["seed"]
    broad = two_octaves(x * 0.07 + seed, y * 0.1, seed) - 0.5
    fine = value_noise(x * 2.5, y * 2.5, seed) - 0.5
    gain = 1.0
    second = 0.0
    if kind == BRICKS:
        row = np.floor(y * 1.2)
        u = x * 0.45 + 0.5 * (row % 2)
        gain = 0.75 + 0.5 * value_noise(np.floor(u) * 3.3, row * 4.1, seed)
        if y * 1.2 - row < 0.14 or u - np.floor(u) < 0.06:
            gain *= 0.6
            second = 0.4
    elif kind in (WINDOWS, GLASS):
        u = x * f
        v = y * f * 0.8 + 0.1
        across = u - np.floor(u)
        along = v - np.floor(v)
        rim = 0.18 if kind == WINDOWS else 0.04
        if rim < across < 1 - rim and rim < along < 1 - rim:
            second = 1.0
            # Panes mirror the sky above and the street below, each a little differently.
            gain = 0.5 + value_noise(np.floor(u) * 7.1, np.floor(v) * 3.7, seed)
            gain *= 0.6 + 0.8 * value_noise(x * 0.25 + seed, y * 0.16, 7.0)
            if kind == WINDOWS and (abs(across - 0.5) < 0.02 or abs(along - 0.5) < 0.025):
                second = 0.0
                gain = 0.8
    elif kind == HEDGE:
        leaves(wall["color"], x, y, seed, color)
        return
    elif kind == RAILINGS:
        u = x * f * 3
        if u - np.floor(u) > 0.3 and y > 1.5:
            second = 1.0
    elif kind == SHUTTER:
        v = y * 1.1
        gain = 0.8 + 0.35 * (v - np.floor(v))
        u = x * f * 0.5
        if u - np.floor(u) < 0.06:
            gain = 0.5
    elif kind == SHOPS:
        u = x * f
        panel = np.floor(u)
        for d in range(3):
            tint = value_noise(panel * (5.3 + 2 * d), 1.0 + d, seed)
            color[d] = wall["color"][d] * (0.35 + 0.9 * tint)
        line = (y - 13) / 3.6
        letter = x * 0.4
        written = (
            0 < line < 2.2 and line - np.floor(line) < 0.62 and letter - np.floor(letter) < 0.8
        )
        if written and value_noise(np.floor(x * 2.4), np.floor(y * 1.3), seed) > 0.48:  # strokes
            for d in range(3):
                color[d] = 0.5 if color[d] < 0.2 else 0.05
        elif y < 11 and 0.1 < u - panel < 0.9:
            shown = value_noise(x * 0.6, y * 0.5, seed)
            for d in range(3):
                color[d] = wall["second"][d] * (0.4 + 1.2 * shown)
        if u - panel < 0.05 or y < 2:
            for d in range(3):
                color[d] = wall["second"][d] * 0.6
    if kind != SHOPS:
        for d in range(3):
            mixed = wall["color"][d] * (1 - second) + wall["second"][d] * second
            color[d] = mixed * gain
    if y < wall["base"]:
        for d in range(3):
            color[d] *= 0.6
    stains = value_noise(x * 0.9, y * 0.08, seed) - 0.5
    tone = (1 + broad * 0.7 + fine * 0.2 + stains * 0.35) * (0.8 + 0.2 * min(1.0, y / 12))
    for d in range(3):
        color[d] = max(0.006, color[d] * tone)
