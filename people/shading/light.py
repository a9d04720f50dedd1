"""Light: one sun with a shadow map, a hemisphere of sky above ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Ints, Records
from dgnet.people.compiled import compiled
from dgnet.people.raster import rasterize_heights

LIGHT = np.dtype([("to_sun", "f8", 3), ("sun", "f8", 3), ("sky", "f8", 3), ("ground", "f8", 3)])
SHADOW = np.dtype([("right", "f8", 3), ("up", "f8", 3), ("to_sun", "f8", 3), ("scale", "f8"),
                   ("row", "f8"), ("column", "f8")])  # fmt: skip
SHADOW_SAMPLES = 208
TAP = 1.2
"""Samples between the taps that soften a shadow's edge."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Irradiance in linear RGB; a white wall under the whole sky alone has the sky's color."""

    to_sun: tuple[float, float, float]  # unit vector
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    ground: tuple[float, float, float]  # light that the ground throws back

    def record(self) -> Records:
        """One record of dtype LIGHT."""
        light = np.zeros(1, LIGHT)
        light["to_sun"], light["sun"] = self.to_sun, self.sun
        light["sky"], light["ground"] = self.sky, self.ground
        return light


def shadow_map(
    vertices: Floats, triangles: Ints, inside: Floats, light: Light
) -> tuple[Floats, Records]:
    """Heights towards the sun (S, S), and the record of dtype SHADOW that maps places to it."""
    to_sun = np.array(light.to_sun)
    right = np.cross([0, 1, 0], to_sun)
    right /= np.linalg.norm(right)
    up = np.cross(to_sun, right)
    axes = np.stack([right, up, to_sun], axis=1).astype(np.float32)  # (3, 3)
    seen = vertices[:, 0:1] * axes[0] + vertices[:, 1:2] * axes[1] + vertices[:, 2:3] * axes[2]
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    scale = (SHADOW_SAMPLES - 4) / float((high - low).max())
    shadow = np.zeros(1, SHADOW)
    shadow["right"], shadow["up"], shadow["to_sun"], shadow["scale"] = right, up, to_sun, scale
    shadow["column"], shadow["row"] = 2 - low[0] * scale, 2 - low[1] * scale
    points = np.stack(
        [seen[:, 0] * scale + (2 - low[0] * scale), seen[:, 1] * scale + (2 - low[1] * scale),
         seen[:, 2]],
        axis=1,
    ).astype(np.float32)  # fmt: skip
    heights = np.full((SHADOW_SAMPLES, SHADOW_SAMPLES), -1e6, np.float32)
    rasterize_heights(points, triangles, inside, heights)
    return heights, shadow


@compiled
def lit_share(heights: Floats, shadow: Any, x: float, y: float, z: float, bias: float) -> float:
    """Share of five taps around a place that the sun reaches."""
    a = shadow["right"][0] * x + shadow["right"][1] * y + shadow["right"][2] * z
    b = shadow["up"][0] * x + shadow["up"][1] * y + shadow["up"][2] * z
    c = shadow["to_sun"][0] * x + shadow["to_sun"][1] * y + shadow["to_sun"][2] * z
    row = b * shadow["scale"] + shadow["row"]
    column = a * shadow["scale"] + shadow["column"]
    rows, columns = heights.shape
    blocked = 0
    for k in range(5):
        di = TAP if k == 1 else (-TAP if k == 2 else 0.0)
        dj = TAP if k == 3 else (-TAP if k == 4 else 0.0)
        i = int(np.floor(row + di))
        j = int(np.floor(column + dj))
        if 0 <= i < rows and 0 <= j < columns and heights[i, j] > c + bias:
            blocked += 1
    return 1.0 - blocked / 5.0


def normalized(vector: Doubles) -> tuple[float, float, float]:
    """A vector (3,) of length one, as a tuple."""
    x, y, z = (float(c) for c in vector / np.linalg.norm(vector))
    return x, y, z
