"""Draws a camera: where it hangs, its light, the place that it watches, its sensor."""

from __future__ import annotations

import numpy as np

from dgnet.people.arrays import Records
from dgnet.people.colors import CAR_SHARES, RGB, draw_paint, linear
from dgnet.people.development import Sensor
from dgnet.people.randomness import choose, choose_from
from dgnet.people.scene import Camera
from dgnet.people.shading.ground import GROUND, GROUND_KINDS
from dgnet.people.shading.light import Light, normalized
from dgnet.people.shading.props import PROP, PROP_KINDS
from dgnet.people.shading.walls import WALL, WALL_KINDS

GROUND_COLORS: list[RGB] = [
    (150, 146, 140), (128, 126, 124), (104, 104, 106), (168, 158, 144), (142, 128, 112),
    (120, 108, 100), (90, 92, 96),
]  # fmt: skip
BEYOND_COLORS: list[RGB] = [
    (70, 96, 46), (92, 104, 60), (96, 92, 90), (60, 62, 66), (140, 120, 96),
]  # fmt: skip
WALL_COLORS: list[RGB] = [
    (150, 132, 112), (170, 166, 158), (128, 74, 58), (110, 114, 120), (188, 176, 150),
    (96, 100, 96), (140, 146, 150), (70, 66, 64),
]  # fmt: skip
PANES: list[RGB] = [(40, 46, 54), (62, 70, 80), (92, 102, 110), (64, 56, 48), (120, 122, 118)]
LEAVES, SHRUB, CROWN = (66, 92, 48), (62, 96, 44), (58, 84, 40)
MIDDLE, METERING = 0.23, 0.6
"""Light from the ground that cameras expose for, and how far they go towards it."""
PROPS_OUTDOORS = {
    "pole": 2, "bush": 2, "tree": 1.5, "bicycles": 2.4, "car": 0.5, "sign": 0.7, "railing": 1,
    "bin": 0.7,
}  # fmt: skip
PROPS_INDOORS = {"pole": 3, "sign": 2, "railing": 1, "bin": 1}


def draw_camera(random: np.random.Generator, number: int) -> Camera:
    """One camera of the network."""
    indoors = bool(random.random() < 0.15)
    overcast = indoors or bool(random.random() < 0.55)
    light, ground = _light(random, overcast, indoors), _ground(random, overcast)
    walls = _walls(random, indoors)
    sky = np.array([0.75, 0.85, 1.0]) * random.uniform(0.6, 1.2) * (0.15 if indoors else 1)
    return Camera(
        number=number,
        pitch_degrees=float(random.uniform(5, 22)),
        distance=float(random.uniform(60, 140)),
        facing=choose(random, [None, 0.0, 180.0, 90.0, 270.0], [0.3, 0.2, 0.2, 0.15, 0.15]),
        light=light,
        ground=ground,
        walls=walls,
        props=_props(random, indoors),
        sky=sky,
        background_blur=float(choose(random, [0.0, 1.0, 2.0], [1, 1, 1])),
        indoors=indoors,
        sensor=_sensor(random, _metered(light, ground), indoors),
    )


def _metered(light: Light, ground: Records) -> float:
    """Exposure that a camera sets by the ground in its view: most of the way to a middle gray."""
    received = light.sun[1] * light.to_sun[1] + light.sky[1]
    level = received * float(ground["color"][0, 1])
    return float(np.clip((MIDDLE / level) ** METERING, 0.5, 1.9))


def _light(random: np.random.Generator, overcast: bool, indoors: bool) -> Light:
    elevation = np.radians(random.uniform(30, 68))
    azimuth = random.uniform(-np.pi, np.pi)
    level = np.cos(elevation)
    to_sun = np.array([level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)])
    sun = random.uniform(0.1, 0.45) if overcast else random.uniform(0.9, 2.0)
    sky = random.uniform(0.75, 1.0) if overcast else random.uniform(0.42, 0.7)
    tint = np.array([1.1, 1.0, 0.82]) if indoors else np.array([0.92, 1.0, 1.1])
    warmth = np.array([1.06, 1.0, 0.9])
    bounce = sky * random.uniform(0.35, 0.6) * np.array([1.05, 1.0, 0.9])

    def rgb(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> RGB:
        r, g, b = (float(c) for c in values)
        return r, g, b

    return Light(
        to_sun=normalized(to_sun), sun=rgb(sun * warmth), sky=rgb(sky * tint), ground=rgb(bounce)
    )


def _ground(random: np.random.Generator, overcast: bool) -> Records:
    ground = np.zeros(1, GROUND)
    ground["kind"] = choose(random, range(len(GROUND_KINDS)), [2, 2, 2, 1, 1, 1.5])
    color = linear(GROUND_COLORS[int(random.integers(len(GROUND_COLORS)))])
    ground["color"] = color * np.exp(random.normal(0, 0.12))
    ground["second"] = linear(GROUND_COLORS[int(random.integers(len(GROUND_COLORS)))]) * 0.7
    ground["beyond"] = linear(BEYOND_COLORS[int(random.integers(len(BEYOND_COLORS)))])
    ground["frequency"] = choose(random, [0.12, 0.2, 0.33], [1, 1, 1])
    ground["angle"] = random.uniform(-1.5, 1.5)
    ground["edge"] = random.uniform(8, 90)
    ground["dapple"] = 0 if overcast else choose(random, [0.0, 0.5, 0.85], [1, 1, 1])
    ground["dapple_size"] = random.uniform(0.05, 0.14)
    ground["dapple_share"] = random.uniform(0.4, 0.6)
    ground["wet"] = random.uniform(0.3, 1) if overcast and random.random() < 0.2 else 0
    ground["seed"] = random.uniform(0, 50)
    return ground


def _walls(random: np.random.Generator, indoors: bool) -> Records:
    count = int(random.integers(1, 3))
    walls = np.zeros(count, WALL)
    z = -random.uniform(15, 60) if indoors else -random.uniform(30, 130)
    weights = [3, 0.5, 1, 0, 0, 2, 2, 2] if indoors else [1, 1, 2, 2.5, 1, 1.5, 1, 0.7]
    for k in range(count):
        wall = walls[k]
        kind = WALL_KINDS[choose(random, range(len(WALL_KINDS)), weights)]
        color = linear(WALL_COLORS[int(random.integers(len(WALL_COLORS)))])
        if kind == "hedge":
            color = linear(LEAVES) * np.exp(random.normal(0, 0.25, 3))
        low = k == 0 and count > 1 and not indoors
        height = random.uniform(7, 18) if low else random.uniform(60, 150)
        if kind == "hedge" and height > 20:
            height = random.uniform(30, 70)
        wall["z"], wall["kind"], wall["color"] = z, WALL_KINDS.index(kind), color
        pane = PANES[int(random.integers(len(PANES)))]
        wall["second"] = linear(pane) * np.exp(random.normal(0, 0.3))
        wall["frequency"] = choose(random, [0.03, 0.05, 0.08], [1, 1, 1])
        wall["height"], wall["base"] = height, choose(random, [0, 3, 6], [1, 1, 1])
        wall["seed"] = random.uniform(0, 50)
        z -= random.uniform(30, 120)
    return walls


def _props(random: np.random.Generator, indoors: bool) -> Records:
    count = int(random.integers(4, 12)) if indoors else int(random.integers(14, 36))
    props = np.zeros(count, PROP)
    uniform = random.uniform
    farthest = 40.0 if indoors else 120.0
    for k in range(count):
        prop = props[k]
        kind = choose_from(random, PROPS_INDOORS if indoors else PROPS_OUTDOORS)
        color = linear((120, 118, 116)) * np.exp(random.normal(0, 0.5))
        match kind:
            case "pole":
                width, height = uniform(0.4, 2.2), 60.0
            case "bush":
                width, height, color = uniform(5, 14), uniform(6, 14), linear(SHRUB)
            case "tree":
                width, height, color = uniform(10, 20), uniform(26, 45), linear(CROWN)
            case "bicycles":
                width, height, color = uniform(8, 60), 11.0, linear((46, 46, 52))
            case "car":
                width, height = uniform(19, 24), 14.0
                color = 0.6 * np.array(draw_paint(random, CAR_SHARES).rgb) + 0.03
            case "sign":
                width, height = uniform(1.5, 4), uniform(12, 26)
                color = np.array(draw_paint(random, {"blue": 3, "white": 2, "red": 0.6}).rgb) * 0.6
            case "railing":
                width, height = uniform(20, 70), uniform(7, 11)
            case _:
                width, height = uniform(2, 4.5), uniform(7, 12)
                color = color * np.array([0.7, 0.9, 0.7])
        prop["kind"] = PROP_KINDS.index(kind)
        nearest = 40.0 if kind == "car" else 9.0
        # More of them near: only the first meters behind a person are seen from above.
        prop["x"], prop["z"] = (
            uniform(-70, 70),
            -nearest - (farthest - nearest) * random.random() ** 2,
        )
        prop["width"], prop["height"] = width, height
        prop["color"] = color * np.exp(random.normal(0, 0.2) + random.normal(0, 0.06, 3))
        prop["seed"] = uniform(0, 50)
    return props


def _sensor(random: np.random.Generator, metered: float, indoors: bool) -> Sensor:
    warm = random.normal(0, 0.07)
    cast = np.exp(random.normal(0, 0.06, 3)) * np.array([1 + warm, 1, 1 - warm])
    if random.random() < 0.12:  # a white balance that failed
        cast *= np.array(choose(random, [(1.25, 0.95, 0.8), (0.8, 1, 1.25), (1.15, 0.9, 1.1)],
                                [1, 1, 1]))  # fmt: skip
    exposure = metered * np.exp(random.normal(0.03, 0.19))
    if indoors:
        exposure *= random.uniform(0.4, 0.85)
    r, g, b = (float(c) for c in cast)
    contrast = float(random.uniform(1.0, 1.25))
    return Sensor(
        exposure=float(exposure),
        cast=(r, g, b),
        resolution=float(random.uniform(0.5, 1.0)),
        blur=float(random.uniform(0.35, 0.9)),
        gamma=float(random.uniform(0.88, 1.12)),
        contrast=contrast,
        black=float(random.uniform(0.02, 0.08)) + 0.25 * (contrast - 1),
        saturation=float(random.uniform(0.75, 1.2)),
        noise=float(random.uniform(0.003, 0.012)) * (1.6 if indoors else 1),
        sharpening=float(choose(random, [0.2, 0.5, 0.8, 1.1], [1, 1, 1, 0.8])),
        quality=int(random.integers(55, 92)),
    )
