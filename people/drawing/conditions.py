"""Recipe 3's scenes: what cameras and detectors make of people.

Every picture is taken under conditions of its own, so that both pictures of a triple differ as
two photographs do: in the dark, washed out, over-exposed, with a cast, blurred, as JPEG of any
quality, and cut tightly, loosely, or through feet or head. Cameras differ too: a third of a
camera's pictures have its habit. Only `Sensor` and `Margins` change: light and place stay those of
recipe 2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dgnet.people.development import Sensor
from dgnet.people.drawing.camera import draw_camera
from dgnet.people.drawing.scene import draw_scene
from dgnet.people.randomness import choose, choose_from
from dgnet.people.scene import Camera, Exposed, Scene
from dgnet.people.structure import Structure
from dgnet.people.view import Margins

EXPOSED: dict[Exposed, float] = {
    "ordinary": 46, "dark": 20, "washed out": 13, "over-exposed": 9, "hazy": 5, "hard": 7,
}  # fmt: skip
HABITS = 0.33
CASTS = 0.3
"""Share of pictures whose colors are off; at night more."""
FOCUS = {"sharp": 58, "soft": 27, "blurred": 15}
CROPS = {
    "careful": 46, "tight": 15, "loose": 14, "shifted": 10, "no feet": 9, "no head": 3, "half": 3,
}  # fmt: skip


def draw_camera_with_habit(random: np.random.Generator, number: int) -> Camera:
    """A camera of recipe 2 with a habit."""
    return replace(draw_camera(random, number), habit=choose_from(random, EXPOSED))


def draw_scene_as_found(random: np.random.Generator, camera: Camera, structure: Structure) -> Scene:
    """A scene of recipe 2 under conditions of its own."""
    scene = draw_scene(random, camera, structure)
    exposed = camera.habit if random.random() < HABITS else choose_from(random, EXPOSED)
    sensor = _focused(random, _cast(random, _exposed(random, camera.sensor, exposed), exposed))
    quality = int(choose(random, [random.integers(22, 45), random.integers(45, 96)], [1, 4]))
    return replace(
        scene,
        camera=replace(camera, sensor=replace(sensor, quality=quality)),
        exposed=exposed,
        margins=_margins(random, scene.margins),
        quality=quality,
    )


def _exposed(random: np.random.Generator, sensor: Sensor, exposed: Exposed) -> Sensor:
    def between(low: float, high: float) -> float:
        """Evenly in logarithms."""
        return float(np.exp(random.uniform(float(np.log(low)), float(np.log(high)))))

    match exposed:
        case "dark":
            return replace(
                sensor,
                exposure=sensor.exposure * between(0.14, 0.5),
                noise=sensor.noise * between(1, 3.2),
                saturation=sensor.saturation * between(0.55, 1.05),
                contrast=sensor.contrast * between(0.85, 1.1),
                black=sensor.black + float(random.uniform(-0.03, 0.05)),
                blur=sensor.blur * between(1, 1.7),
            )
        case "washed out":
            return replace(
                sensor,
                exposure=sensor.exposure * between(1.0, 1.5),
                contrast=between(0.55, 0.85),
                black=float(random.uniform(0.05, 0.2)),
                saturation=sensor.saturation * between(0.4, 0.85),
            )
        case "over-exposed":
            return replace(sensor, exposure=sensor.exposure * between(1.6, 3.2))
        case "hazy":
            return replace(
                sensor,
                contrast=between(0.4, 0.65),
                black=float(random.uniform(0.0, 0.12)),
                saturation=sensor.saturation * between(0.45, 0.8),
                blur=sensor.blur * between(1.2, 2),
            )
        case "hard":
            return replace(
                sensor,
                contrast=sensor.contrast * between(1.15, 1.5),
                saturation=sensor.saturation * between(1.0, 1.5),
                sharpening=float(random.uniform(0.8, 1.6)),
            )
        case "ordinary":
            return replace(sensor, exposure=sensor.exposure * between(0.75, 1.3))


def _cast(random: np.random.Generator, sensor: Sensor, exposed: Exposed) -> Sensor:
    """Lamps at night are orange; else a white balance fails in any direction."""
    if random.random() > (0.55 if exposed == "dark" else CASTS):
        return sensor
    if exposed == "dark" and random.random() < 0.5:
        gain = np.array(choose(random, [(1.35, 1.0, 0.55), (0.75, 0.95, 1.35), (0.9, 1.15, 0.8)],
                               [2, 1.4, 1]))  # fmt: skip
    else:
        gain = np.exp(random.normal(0, [0.18, 0.09, 0.22]))
    r, g, b = (float(c * k) for c, k in zip(sensor.cast, gain / gain.mean(), strict=True))
    return replace(sensor, cast=(r, g, b))


def _focused(random: np.random.Generator, sensor: Sensor) -> Sensor:
    uniform = random.uniform
    match choose_from(random, FOCUS):
        case "sharp":
            return replace(sensor, resolution=max(sensor.resolution, float(uniform(0.75, 1.0))))
        case "soft":
            return sensor
        case _:
            return replace(
                sensor,
                resolution=float(uniform(0.32, 0.55)),
                blur=sensor.blur * float(uniform(1.2, 2.2)),
                sharpening=min(sensor.sharpening, 0.5),
            )


def _margins(random: np.random.Generator, careful: Margins) -> Margins:
    """As detectors cut."""
    uniform = random.uniform
    aspect = float(np.clip(careful.aspect + random.normal(0, 0.05), 0.28, 0.6))
    careful = replace(careful, aspect=aspect)
    match choose_from(random, CROPS):
        case "tight":
            return replace(
                careful, top=float(uniform(-0.07, 0.0)), bottom=float(uniform(-0.06, 0.0)),
                aspect=float(uniform(0.24, 0.36)),
            )  # fmt: skip
        case "loose":
            return replace(
                careful, top=float(uniform(0.06, 0.24)), bottom=float(uniform(0.05, 0.2)),
                aspect=float(uniform(0.38, 0.52)),
            )  # fmt: skip
        case "shifted":
            side = 1 if random.random() < 0.5 else -1
            lift = float(random.normal(0, 0.08))
            return replace(
                careful, shift=side * float(uniform(0.1, 0.32)),
                top=careful.top + lift, bottom=careful.bottom - lift,
            )  # fmt: skip
        case "no feet":
            return replace(careful, bottom=float(uniform(-0.3, -0.08)))
        case "no head":
            return replace(careful, top=float(uniform(-0.18, -0.06)))
        case "half":
            return replace(careful, bottom=float(uniform(-0.52, -0.32)))
        case _:
            return careful
