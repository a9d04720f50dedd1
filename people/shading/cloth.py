"""The color of cloth: patterns, motifs and wear as functions of canonical coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles
from dgnet.people.compiled import compiled
from dgnet.people.materials import (
    BLOCKS,
    CAMOUFLAGE,
    DIAGONAL,
    DOTS,
    GINGHAM,
    GRADIENT,
    LINES,
    PINSTRIPES,
    PLAID,
    PRINT,
    SIDE_STRIPE,
    STRIPES,
)
from dgnet.people.noise import two_octaves, value_noise
from dgnet.people.shading.weave import woven


@compiled
def _band(value: float, duty: float) -> float:
    """1 within the first `duty` of each unit, else 0."""
    return 1.0 if value - np.floor(value) < duty else 0.0


@compiled
def _around_arm(x: float, y: float, z: float, t: float) -> float:
    """Length around the unmorphed arm, from its axis at position t."""
    if t < 1:
        ax = 1.677 + 1.452 * t
        ay = 5.246 - 1.753 * t
        az = 0.14
    else:
        ax = 3.129 + 1.181 * (t - 1)
        ay = 3.493 - 1.041 * (t - 1)
        az = 0.14 + 1.6 * (t - 1)
    return np.arctan2(z - az, (abs(x) - ax) * 0.78 + (y - ay) * 0.62) * 0.5


@compiled
def cloth_color(
    material: Any,
    motif: Doubles,
    x: float,
    y: float,
    z: float,
    t: float,
    arm: float,
    leg: float,
    color: Doubles,
) -> None:
    """Albedo of a fabric (a MATERIAL record) at a canonical place; t is the limb position."""
    on_arm = arm > 0.5
    on_leg = leg > 0.5 and not on_arm
    on_torso = not on_arm and not on_leg
    # u runs around the body or limb, v along it; decimeters.
    if on_arm:
        u = _around_arm(x, y, z, t)
        v = t * 2.3
    elif on_leg:
        axis = 1.1 + 0.5 * t if t < 1 else 1.6 + 0.6 * (t - 1)
        u = np.arctan2(abs(x) - axis, z - 0.2) * 0.8
        v = -t * 4.2
    else:
        u = np.arctan2(x, z - 0.2) * 1.5
        v = y
    pattern = material["pattern"]
    f = material["frequency"]
    duty = material["duty"]
    phase = material["phase"]
    seed = material["seed"]
    second = 0.0  # share of the second paint
    third = 0.0
    if pattern == STRIPES:
        second = _band(v * f + phase, duty)
    elif pattern == PINSTRIPES:
        second = _band(u * f + phase, duty)
    elif pattern == GINGHAM:
        second = 0.5 * (_band(v * f, duty) + _band(u * f, duty))
    elif pattern == DOTS:
        dx = u * f + 0.5 * (np.floor(v * f) % 2)
        dx = dx - np.floor(dx) - 0.5
        dy = v * f - np.floor(v * f) - 0.5
        second = 1.0 if dx * dx + dy * dy < duty * duty * 0.25 else 0.0
    elif pattern == PRINT:
        second = 1.0 if two_octaves(x * f + seed, y * f, z * f + seed) > 0.56 else 0.0
        third = 1.0 if two_octaves(x * f * 1.3 - seed, y * f * 1.3 + 9, z * f) > 0.62 else 0.0
    elif pattern == CAMOUFLAGE:
        second = 1.0 if two_octaves(x * f + seed, y * f * 1.6, z * f) > 0.5 else 0.0
        third = 0.9 if two_octaves(x * f - seed, y * f * 1.6 + 5, z * f) > 0.58 else 0.0
    elif pattern == GRADIENT:
        second = min(1.0, max(0.0, (v - phase) * f * 0.35 + 0.5))
    elif pattern == BLOCKS:
        second = 1.0 if v > phase else 0.0
    elif pattern == DIAGONAL:
        second = _band((u + v) * f, duty)
    elif pattern == PLAID:
        second = 0.45 * (_band(v * f, 0.5) + _band(u * f, 0.5))
        if _band(v * f + 0.2, 0.1) > 0 or _band(u * f + 0.2, 0.1) > 0:
            third = 0.8
    elif pattern == SIDE_STRIPE and on_leg:
        second = 1.0 if abs(u / 0.8 - 1.57) < duty else 0.0
    elif pattern >= LINES:
        second, third = woven(material, x, y, z, u, v, on_torso)
    if material["raglan"] > 0 and on_arm:
        third = 1.0
    side = material["motif"]
    faces_motif = (side == 1 and z > 0.4) or (side == 2 and z < 0.2)
    if faces_motif and on_torso:
        column = (x - material["motif_x"]) / material["motif_width"] + 0.5
        row = (material["motif_y"] - y) / material["motif_height"] + 0.5
        if 0 <= column < 1 and 0 <= row < 1:
            ink = motif[int(row * motif.shape[0]), int(column * motif.shape[1])]
            if ink > 1:  # the second paint's share, over all else
                second = ink - 1
                third = 0.0
            else:
                third = max(third, ink)
    if on_arm and t > material["cuff"]:
        second = 1.0
        third = 0.0
    dark = 1.0
    if on_torso and z > 0 and abs(x) < material["placket"]:
        dark = 0.55
        third = max(third, 0.35)
    wear = (two_octaves(x * 4 + seed, y * 4, z * 4) - 0.5) * 1.3 * material["grain"]
    if material["fade"] > 0:  # denim wears off on thighs and knees
        thigh = (t - 0.55) / 0.4
        knee = (t - 1.3) / 0.25
        worn = np.exp(-thigh * thigh) + 0.5 * np.exp(-knee * knee)
        wear += material["fade"] * (worn * (1.0 if z > 0.1 else 0.4) - 0.3)
    for d in range(3):
        c = material["base"][d] * (1 - second) + material["second"][d] * second
        c = (c * (1 - third) + material["third"][d] * third) * dark
        color[d] = max(0.004, c * (1 + wear))


@compiled
def crease(seed: float, x: float, y: float, z: float, t: float, limb: bool) -> float:
    """How deep a sample lies in a fold, 0 to 1: narrow valleys, dense at joints and the waist.

    Args:
        seed: Of the picture: cloth falls anew with every step.
        t: Position along the limb.
        limb: On a sleeve or a leg; else around the trunk.
    """
    if limb:
        from_joint = (t - np.floor(t + 0.5)) / 0.3
        density = 0.4 + 0.6 * np.exp(-from_joint * from_joint)
        side = 1.1 if x > 0 else -1.1  # drag lines run obliquely, mirrored left and right
        n = value_noise(x * 1.3 + seed, y * 2.7 + x * side, z * 1.5 - seed)
    else:
        from_waist = (y - 1.0) / 1.6
        density = 0.5 + 0.5 * np.exp(-from_waist * from_waist)
        slant = x if x > 0 else -x
        n = value_noise(x * 1.5 + seed, y * 1.5 - slant * 1.3 + seed, z * 1.1)
    ridge = 1 - abs(2 * n - 1)
    return density * ridge * ridge * ridge


@compiled
def shoe_color(material: Any, x: float, y: float, z: float, color: Doubles) -> None:
    """Albedo of a shoe: upper, stripe at the side, sole below the line."""
    on_sole = y < material["sole_line"]
    wave = z - 0.6 - 0.3 * np.sin(x * 9)
    on_stripe = abs(y + 7.2) < 0.9 and abs(wave) < material["stripe"]
    for d in range(3):
        if on_sole:
            color[d] = material["second"][d]
        elif on_stripe:
            color[d] = material["third"][d]
        else:
            color[d] = material["base"][d]
