"""Things that stand about: flat outlines at a depth, each with its own test and color."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles
from dgnet.people.compiled import compiled
from dgnet.people.noise import two_octaves, value_noise

POLE, BUSH, TREE, BICYCLES, CAR, SIGN, RAILING, BIN = range(8)
PROP_KINDS = ("pole", "bush", "tree", "bicycles", "car", "sign", "railing", "bin")
PROP = np.dtype(
    [
        ("kind", "i4"), ("x", "f8"), ("z", "f8"), ("width", "f8"), ("height", "f8"),
        ("color", "f8", 3), ("seed", "f8"),
    ]
)  # fmt: skip
BICYCLE_SPACING = 5.5
"""Decimeters between parked bicycles, seen aslant."""


@compiled
def _bicycle(x: float, y: float, squeeze: float) -> int:
    """What of a bicycle is at a place around its middle: 0 nothing, 1 tire, 2 frame, 3 saddle."""
    x = x / squeeze
    thin = 0.3 / squeeze
    rear = np.sqrt((x + 5.2) * (x + 5.2) + (y - 3.3) * (y - 3.3))
    front = np.sqrt((x - 5.2) * (x - 5.2) + (y - 3.3) * (y - 3.3))
    if abs(rear - 3.1) < 0.19 or abs(front - 3.1) < 0.19:
        return 1
    if 5.4 < x < 8.6 and 7.0 + 0.12 * (x - 5.4) < y < 9.4:
        return 3  # basket
    if abs(y - 8.9) < 0.4 and abs(x + 2.4) < 1.2:
        return 3
    if abs(y - 9.6) < 0.3 and abs(x - 3.6) < 1.0:
        return 3
    down = abs(x - 3.8 + (y - 3.3) * 0.05) < thin and 3.3 < y < 9.6
    seat = abs(x + 2.0 - (3.3 - y) * 0.1) < thin and 3.0 < y < 8.9
    bar = abs(y - 7.4) < 0.28 and -2.2 < x < 3.8
    cross = abs(y - 3.2 - (x + 1.4) * 0.78) < 0.38 and -1.4 < x < 3.8
    stay = abs(y - 3.2) < 0.25 and -5.2 < x < -1.4
    return 2 if down or seat or bar or cross or stay else 0


@compiled
def prop_part(prop: Any, x: float, y: float) -> int:
    """Which part of a prop is at a place relative to its foot; 0 is none."""
    kind = prop["kind"]
    w = prop["width"]
    h = prop["height"]
    if kind == POLE:
        return 1 if abs(x) < w and y < h else 0
    if kind == BUSH:
        r = (x / w) * (x / w) + ((y - h * 0.5) / (h * 0.55)) * ((y - h * 0.5) / (h * 0.55))
        ragged = (two_octaves(x * 0.8, y * 0.8, prop["seed"]) - 0.5) * 1.4
        ragged += (value_noise(x * 3.7, y * 3.7, prop["seed"]) - 0.5) * 0.7
        return 1 if r + ragged < 1 else 0
    if kind == TREE:
        if abs(x) < w * 0.1 and y < h:
            return 2
        r = (x / w) * (x / w) + ((y - h) / (h * 0.45)) * ((y - h) / (h * 0.45))
        ragged = (two_octaves(x * 0.6, y * 0.6, prop["seed"]) - 0.5) * 1.3
        ragged += (value_noise(x * 3.1, y * 3.1, prop["seed"]) - 0.5) * 0.8
        return 1 if r + ragged < 1 else 0
    if kind == BICYCLES:
        if abs(x) > w or y > 10.5 or y < 0:
            return 0
        first = int(np.floor(x / BICYCLE_SPACING))
        for n in range(first - 1, first + 3):  # those in front cover those behind
            squeeze = 0.3 + 0.65 * value_noise(n * 3.7, prop["seed"], 2.0)
            part = _bicycle(x - n * BICYCLE_SPACING, y, squeeze)
            if part > 0:
                return part + 4 * (n + 64)
        return 0
    if kind == CAR:
        if np.sqrt((abs(x) - w * 0.6) * (abs(x) - w * 0.6) + (y - 3) * (y - 3)) < 2.9:
            return 2
        if abs(x) < w * (1 - 0.004 * y * y) and 2 < y < 8.5:
            return 1
        slope = w * (0.66 - 0.03 * (y - 8))
        if abs(x) < slope and 8 <= y < 14:
            return 3 if abs(x) < slope - 1.2 and y < 13.2 and abs(x) > 0.5 else 1
        return 0
    if kind == SIGN:
        if abs(x) < w and h - 5 < y < h:
            return 1
        return 2 if abs(x) < 0.3 and y < h else 0
    if kind == RAILING:
        if abs(x) > w or y > h:
            return 0
        if y > h - 0.7 or abs(y - 1.5) < 0.35:
            return 1
        u = x * 0.33
        return 1 if u - np.floor(u) < 0.15 else 0
    return 1 if abs(x) < w and y < h else 0


@compiled
def leaves(paint: Doubles, x: float, y: float, seed: float, color: Doubles) -> None:
    """Albedo of foliage: clumps, single leaves that catch the light, dark gaps between them."""
    clumps = two_octaves(x * 0.7, y * 0.7, seed)
    leaf = value_noise(x * 3.3, y * 3.3 + seed, 4.0)
    fine = value_noise(x * 8.0, y * 8.0, seed)
    gain = 0.12 + 1.5 * clumps * clumps + 0.9 * leaf * leaf * (0.4 + fine)
    yellow = 0.8 + 0.5 * value_noise(x * 0.5 + seed, y * 0.5, 9.0) + 0.25 * leaf
    color[0] = max(0.012, min(0.8, paint[0] * gain * yellow))
    color[1] = max(0.012, min(0.8, paint[1] * gain))
    color[2] = max(0.012, min(0.8, paint[2] * gain * (1.5 - 0.5 * yellow)))


@compiled
def prop_color(prop: Any, part: int, x: float, y: float, color: Doubles) -> None:
    """Albedo of a part of a prop."""
    kind = prop["kind"]
    seed = prop["seed"]
    gain = 1.0
    if kind == POLE:
        round_share = x / prop["width"]
        gain = 0.6 + 0.5 * np.sqrt(max(0.0, 1 - round_share * round_share))
    elif kind == BUSH or (kind == TREE and part == 1):
        leaves(prop["color"], x, y, seed, color)
        return
    elif kind == TREE:
        color[0] = 0.07
        color[1] = 0.055
        color[2] = 0.045
        return
    elif kind == BICYCLES:
        n = part // 4
        what = part % 4
        if what == 2:  # frames: mostly dark or silver, some in a color
            tone = value_noise(n * 5.1, seed, 6.0)
            for d in range(3):
                tint = value_noise(n * (5.1 + 1.7 * d), seed, 9.0 + d)
                color[d] = 0.015 + 0.3 * tone * tone * tone * (0.5 + tint * tint)
        else:  # tires and the like: black to dusty gray
            dust = value_noise(n * 2.3, seed, 4.0)
            for d in range(3):
                color[d] = 0.02 + 0.09 * dust * dust
        return
    elif kind == CAR:
        if part == 2:
            gain = 0.0
        elif part == 3:
            for d in range(3):
                color[d] = 0.035 + 0.1 * value_noise(x * 0.3, y * 0.6, seed)
            return
    elif kind == SIGN and part == 1:
        ink = value_noise(np.floor(x * 3.1), np.floor(y * 1.7), seed) > 0.62
        gain = 2.2 if ink and y < prop["height"] - 0.8 else 1.0
    elif kind == SIGN:
        gain = 0.4
    for d in range(3):
        color[d] = max(0.012, min(0.8, prop["color"][d] * gain))


@compiled
def shade_below(prop: Any, x: float, z: float) -> float:
    """Share of the sky's light that a prop leaves to the ground around its foot."""
    kind = prop["kind"]
    if kind in (POLE, SIGN, RAILING):
        return 1.0
    beside = max(0.0, abs(x - prop["x"]) - prop["width"]) / 2.0
    ahead = (z - prop["z"]) / (5.0 if kind in (CAR, TREE, BUSH) else 3.0)
    apart = beside * beside + ahead * ahead
    if apart > 6:
        return 1.0
    return 1 - (0.25 if kind == TREE else 0.5) * np.exp(-apart)
