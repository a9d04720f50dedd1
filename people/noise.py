"""Smooth random fields for cloth, ground and walls: value noise on a hashed lattice, in [0, 1]."""

from __future__ import annotations

import numpy as np

from dgnet.people.compiled import compiled


@compiled
def _lattice(i: int, j: int, k: int) -> float:
    h = (i * 374761393 + j * 668265263 + k * 2147483647) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@compiled
def value_noise(x: float, y: float, z: float) -> float:
    """Smoothly interpolated random values at the integer points."""
    i = int(np.floor(x))
    j = int(np.floor(y))
    k = int(np.floor(z))
    u = x - i
    v = y - j
    w = z - k
    u = u * u * (3 - 2 * u)
    v = v * v * (3 - 2 * v)
    w = w * w * (3 - 2 * w)
    near = (_lattice(i, j, k) * (1 - u) + _lattice(i + 1, j, k) * u) * (1 - v)
    near += (_lattice(i, j + 1, k) * (1 - u) + _lattice(i + 1, j + 1, k) * u) * v
    far = (_lattice(i, j, k + 1) * (1 - u) + _lattice(i + 1, j, k + 1) * u) * (1 - v)
    far += (_lattice(i, j + 1, k + 1) * (1 - u) + _lattice(i + 1, j + 1, k + 1) * u) * v
    return near * (1 - w) + far * w


@compiled
def two_octaves(x: float, y: float, z: float) -> float:
    """Value noise with detail of 2.3 times the frequency."""
    coarse = value_noise(x, y, z)
    fine = value_noise(x * 2.3 + 7, y * 2.3, z * 2.3 - 3)
    return 0.6 * coarse + 0.4 * fine
