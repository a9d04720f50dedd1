"""Shades everything behind the person by casting a ray for each sample.

The person's shadow falls on the ground, contact shadows lie under the feet, distance fades.
"""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Bools, Doubles, Floats, Records
from dgnet.people.compiled import compiled
from dgnet.people.shading.ground import dappled, ground_color
from dgnet.people.shading.light import lit_share
from dgnet.people.shading.props import CAR, POLE, prop_color, prop_part, shade_below
from dgnet.people.shading.walls import wall_color, wall_top

FOG_DISTANCE = 900.0
NOTHING, ON_GROUND, ON_WALL, ON_PROP = 0, 1, 2, 3


@compiled
def shade_backdrop(
    views: Records,
    lights: Records,
    heights: Floats,
    shadows: Records,
    grounds: Records,
    walls: Records,
    props: Records,
    feet: Doubles,
    origin_x: float,
    origin_z: float,
    sky: Doubles,
    hidden: Bools,
    out: Floats,
) -> None:
    """Write linear RGB into `out` (H, W, 3).

    Args:
        feet: (2, 3) places of the feet.
        origin_x: Where in the camera's place the person stands, decimeters; with `origin_z`.
        sky: (3,) what is seen where there is nothing.
        hidden: (H, W) samples that nobody will see; they are left as they are.
    """
    view = views[0]
    light = lights[0]
    shadow = shadows[0]
    ground = grounds[0]
    color = np.zeros(3)
    sine = view["sine"]
    cosine = view["cosine"]
    eye_y = view["distance"] * sine + view["target"]
    eye_z = view["distance"] * cosine
    sun_y = light["to_sun"][1]
    sun_z = light["to_sun"][2]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            if hidden[i, j]:
                continue
            dx = (j + 0.5 - view["center_x"]) / view["scale_x"]
            up = (view["center_y"] - i - 0.5) / view["scale_y"]
            dy = up * cosine - sine
            dz = -up * sine - cosine
            best = 1e9
            hit = NOTHING
            which = -1
            part = 0
            if dy < -1e-4:
                best = -eye_y / dy
                hit = ON_GROUND
            if dz < -1e-4:
                for k in range(walls.shape[0]):
                    t = (walls[k]["z"] - origin_z - eye_z) / dz
                    if 0 < t < best and eye_y + t * dy < wall_top(walls[k], t * dx + origin_x):
                        best = t
                        hit = ON_WALL
                        which = k
                for k in range(props.shape[0]):
                    t = (props[k]["z"] - origin_z - eye_z) / dz
                    if 0 < t < best:
                        found = prop_part(
                            props[k], t * dx + origin_x - props[k]["x"], eye_y + t * dy
                        )
                        if found > 0:
                            best = t
                            hit = ON_PROP
                            which = k
                            part = found
            if hit == NOTHING:
                for d in range(3):
                    out[i, j, d] = sky[d]
                continue
            x = best * dx
            y = eye_y + best * dy
            z = eye_z + best * dz
            upness = 0.5
            ambient = 1.0
            if hit == ON_GROUND:
                ground_color(ground, x + origin_x, z + origin_z, best, color)
                upness = 1.0
                lit = max(0.0, sun_y) * dappled(ground, x + origin_x, z + origin_z)
                near = x * x + z * z
                if near < 2500:
                    lit *= lit_share(heights, shadow, x, 0.05, z, 0.25)
                    for k in range(2):
                        fx = x - feet[k, 0]
                        fz = z - feet[k, 2]
                        apart = fx * fx + fz * fz
                        ambient *= 1 - 0.4 * np.exp(-apart / 5.0) - 0.35 * np.exp(-apart / 0.9)
                    ambient *= 1 - 0.3 * np.exp(-near / 40.0)
                for k in range(props.shape[0]):
                    ambient *= shade_below(props[k], x + origin_x, z + origin_z)
            elif hit == ON_WALL:
                wall_color(walls[which], x + origin_x, y, color)
                lit = max(0.0, sun_z)
                ambient = 0.7 + 0.3 * min(1.0, y / 5)
            else:
                prop = props[which]
                prop_color(prop, part, x + origin_x - prop["x"], y, color)
                lit = 0.4 * max(0.0, sun_z) + 0.3 * max(0.0, sun_y)
                if prop["kind"] == CAR or prop["kind"] == POLE:
                    ambient = 0.5 + 0.5 * min(1.0, y / 4)
            fog = 1 - np.exp(-max(0.0, best - view["distance"]) / FOG_DISTANCE)
            for d in range(3):
                around = light["sky"][d] * upness + light["ground"][d] * (1 - upness)
                shaded = color[d] * (light["sun"][d] * lit + around * ambient)
                out[i, j, d] = shaded * (1 - fog) + sky[d] * fog * 0.6
