"""The patterns of recipe 3: how much of a fabric's second and third paint a place has.

Lines of any width and angle, checks, flowers and spots, blocks of color, quilts. Places are given
on the unmorphed body: x, y, z, and u around, v along the body or limb, in decimeters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.compiled import compiled
from dgnet.people.materials import (
    ARGYLE,
    BAND,
    CHECKERBOARD,
    FLOWERS,
    HALVES,
    HIGH_VISIBILITY,
    HOUNDSTOOTH,
    LARGE_PRINT,
    LINES,
    PANELS,
    PATCHES,
    QUILTED,
    SPOTS,
    WINDOWPANE,
    YOKE,
)
from dgnet.people.noise import two_octaves, value_noise

SLEEVE_TOP = 5.0
"""Height of the shoulder: where a sleeve begins, its v is 0 and grows downwards."""


@compiled
def _fraction(value: float) -> float:
    return value - np.floor(value)


@compiled
def _flowers(u: float, v: float, seed: float, size: float) -> tuple[float, float]:
    """One blossom in each cell, at its own place, of its own size and number of petals."""
    second = 0.0
    third = 0.0
    column = np.floor(u)
    row = np.floor(v)
    for k in range(9):
        i = column + k % 3 - 1
        j = row + k // 3 - 1
        # Lattice points of the noise are hashes: three numbers for each cell.
        dx = u - i - value_noise(i, j, seed)
        dy = v - j - value_noise(i, j, seed + 7)
        large = size * (0.5 + value_noise(i, j, seed + 13))
        if dx * dx + dy * dy > 1.7 * large * large:
            continue
        petals = 3 + np.floor(3 * value_noise(i, j, seed + 19))
        wave = 1 + 0.3 * np.cos(petals * np.arctan2(dy, dx))
        reach = np.sqrt(dx * dx + dy * dy) / (large * wave)
        if reach < 0.35:
            third = 1.0
            second = 0.0
        elif reach < 1:
            leaf = value_noise(i, j, seed + 23) > 0.7
            third = 1.0 if leaf else 0.0
            second = 0.0 if leaf else 1.0
    return second, third


@compiled
def woven(
    material: Any, x: float, y: float, z: float, u: float, v: float, on_torso: bool
) -> tuple[float, float]:
    """Shares of the second and third paint, from LINES on."""
    pattern = material["pattern"]
    f = material["frequency"]
    duty = material["duty"]
    phase = material["phase"]
    accent = material["accent"]
    seed = material["seed"]
    second = 0.0
    third = 0.0
    if pattern == LINES:
        along = _fraction(
            (v * np.cos(material["angle"]) + u * np.sin(material["angle"])) * f + phase
        )
        if along < duty:
            second = 1.0
        elif along > 1 - accent:
            third = 1.0
    elif pattern == WINDOWPANE:
        if _fraction(v * f + phase) < duty or _fraction(u * f) < duty:
            second = 1.0
        elif _fraction(v * f + phase + 0.5) < accent or _fraction(u * f + 0.5) < accent:
            third = 1.0
    elif pattern == ARGYLE:
        rise = _fraction((u + 0.6 * v) * f)
        fall = _fraction((u - 0.6 * v) * f)
        if (rise < 0.5) == (fall < 0.5):
            second = 1.0
        if abs(rise - 0.25) < 0.03 or abs(fall - 0.25) < 0.03:
            third = 1.0
    elif pattern == CHECKERBOARD:
        if (_fraction(u * f) < 0.5) == (_fraction(v * f + phase) < 0.5):
            second = 1.0
    elif pattern == HOUNDSTOOTH:
        across = _fraction(u * f)
        down = _fraction(v * f)
        if (across < 0.5) == (down < 0.5):
            second = 1.0 if across < 0.5 else 0.0
        else:
            second = 1.0 if _fraction((across + down) * 2) < 0.5 else 0.0
    elif pattern == FLOWERS:
        second, third = _flowers(u * f, v * f + phase, np.floor(seed), duty)
    elif pattern == SPOTS:
        field = two_octaves(u * f * 2.2 + seed, v * f * 1.7, 3.0 + z * 0.2)
        second = 1.0 if abs(field - 0.5) < 0.25 * duty else 0.0
        third = 1.0 if field > 0.5 + 0.25 * duty + 0.08 else 0.0
    elif pattern == LARGE_PRINT:
        second = 1.0 if value_noise(x * f + seed, y * f, z * f) > 0.5 else 0.0
        third = 1.0 if two_octaves(x * f * 0.8 - seed, y * f + 4, z * f) > 0.6 else 0.0
    elif pattern == QUILTED:
        # Seams in the dark, the padding between them lighter above and darker below.
        along = _fraction(v * f + phase)
        second = 0.9 if along < 0.1 else 0.45 * (1 - along)
        if accent > 0 and (y > 4.2 if on_torso else v < 0.9):
            third = accent
    else:
        height = v if on_torso else SLEEVE_TOP - v
        if pattern == BAND:
            if abs(height - phase) < duty:
                second = 1.0
            elif abs(height - phase) < duty + accent:
                third = 1.0
        elif pattern == HALVES:
            second = 1.0 if x > phase else 0.0
        elif pattern == PANELS:
            side = abs(abs(u) - 2.36) if on_torso else abs(abs(u) - 0.8)
            if side < duty:
                second = 1.0
            elif side < duty + accent:
                third = 1.0
        elif pattern == YOKE:
            edge = phase + material["angle"] * abs(x)
            if height > edge:
                second = 1.0
            elif height > edge - accent:
                third = 1.0
        elif pattern == PATCHES:
            if height > phase:
                second = 1.0
            elif height < phase - duty:
                third = 1.0
        elif pattern == HIGH_VISIBILITY:
            around = abs(height - phase) < duty or abs(height - phase + 1.6) < duty
            over = on_torso and abs(abs(x) - 1.0) < 0.8 * duty and height > phase
            if around or over:
                second = 1.0
    return second, third
