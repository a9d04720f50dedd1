"""The color of skin, hair and eyes; the face is painted on the canonical head."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles
from dgnet.people.compiled import compiled
from dgnet.people.noise import two_octaves, value_noise

# Columns of the array `face`.
BEARD, LIPSTICK, GLASSES = 0, 1, 2
NO_GLASSES, FRAMES, SUNGLASSES = 0.0, 1.0, 2.0


@compiled
def _ellipse(dx: float, dy: float, half_x: float, half_y: float) -> float:
    """Below 1 inside the ellipse."""
    return (dx / half_x) * (dx / half_x) + (dy / half_y) * (dy / half_y)


@compiled
def skin_color(
    skin: Any, hair: Any, face: Doubles, x: float, y: float, z: float, color: Doubles
) -> None:
    """Albedo of skin at a canonical place, with brows, lips, beard and glasses."""
    mottled = 1 + (two_octaves(x * 2, y * 2, z * 2) - 0.5) * 0.18
    for d in range(3):
        color[d] = skin["base"][d] * mottled
    if y < 6.1 or abs(x) > 1.0:
        # Knees, elbows and hands are a little redder and darker than the limbs between.
        return
    side = abs(x)
    hair_r = hair["base"][0]
    hair_g = hair["base"][1]
    hair_b = hair["base"][2]
    if z > 0.75:
        socket = _ellipse(side - 0.31, y - 7.27, 0.22, 0.11)
        if socket < 1.6:
            shade = 0.68 + 0.24 * min(1.0, socket / 1.6)
            for d in range(3):
                color[d] *= shade
        if _ellipse(side - 0.34, y - 7.50 - 0.05 * (side - 0.3), 0.26, 0.065) < 1:
            color[0] = color[0] * 0.4 + hair_r * 0.6
            color[1] = color[1] * 0.4 + hair_g * 0.6
            color[2] = color[2] * 0.4 + hair_b * 0.6
        if _ellipse(side - 0.42, y - 6.95, 0.25, 0.2) < 1:  # cheeks
            color[1] *= 0.93
            color[2] *= 0.92
        if _ellipse(x, y - 7.0, 0.1, 0.14) < 1:  # tip of the nose
            color[1] *= 0.95
            color[2] *= 0.94
        if _ellipse(x, y - 6.86, 0.16, 0.05) < 1:  # shadow below the nose
            for d in range(3):
                color[d] *= 0.78
    lips = _ellipse(x, y - 6.70, 0.27, 0.10)
    beard = face[BEARD]
    if beard > 0 and z > 0.45 and y < 6.95 + 0.35 * (side - 0.3) and lips >= 1:
        color[0] = color[0] * (1 - beard) + hair_r * beard
        color[1] = color[1] * (1 - beard) + hair_g * beard
        color[2] = color[2] * (1 - beard) + hair_b * beard
    if z > 0.75 and lips < 1:
        red = face[LIPSTICK]
        line = 0.72 if abs(y - 6.70) < 0.02 else 1.0
        color[0] *= (0.82 + 0.1 * red) * line
        color[1] *= (0.60 - 0.2 * red) * line
        color[2] *= (0.62 - 0.16 * red) * line
    if face[GLASSES] > NO_GLASSES and z > 0.5 and abs(y - 7.29) < 0.17 and side < 0.66:
        rim = max(abs(side - 0.33) / 0.27, abs(y - 7.29) / 0.16)
        if rim > 0.72 or face[GLASSES] == SUNGLASSES:
            for d in range(3):
                color[d] *= 0.15
    if y > 7.9 and z < 0.5:  # stubble on the scalp
        color[0] = color[0] * 0.6 + hair_r * 0.4
        color[1] = color[1] * 0.6 + hair_g * 0.4
        color[2] = color[2] * 0.6 + hair_b * 0.4


@compiled
def hair_color(hair: Any, x: float, y: float, z: float, normal_y: float, color: Doubles) -> None:
    """Albedo of hair: strands along the head, and the band of light that falls on them."""
    azimuth = np.arctan2(x, z - 0.5)
    strands = value_noise(azimuth * 9, y * 0.9, 3.3) - 0.5
    strands += 0.7 * (value_noise(azimuth * 24, y * 1.4, 8.1) - 0.5)
    strands += 0.4 * (value_noise(azimuth * 55, y * 2.0, 1.7) - 0.5)
    shine = max(0.0, 1 - abs(normal_y * 0.5 + 0.5 - 0.72) * 4) * max(0.0, 0.6 + strands)
    for d in range(3):
        c = hair["base"][d] * (1 + hair["grain"] * strands)
        color[d] = max(0.003, c + hair["specular"] * 0.03 * shine)


@compiled
def eye_color(x: float, y: float, z: float, color: Doubles) -> None:
    """Dark iris, dull white: bright eyeballs stare at small sizes."""
    iris = _ellipse(abs(x) - 0.308, y - 7.284, 0.085, 0.085) < 1 and z > 1.25
    for d in range(3):
        color[d] = 0.025 if iris else 0.33
