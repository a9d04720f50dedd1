"""Cameras, which stay, and scenes, one for each picture.

Together with a person's structure they are all that a composite takes from the structure picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgnet.people.arrays import Doubles, Records
from dgnet.people.body.pose import Pose
from dgnet.people.development import Sensor
from dgnet.people.shading.light import Light
from dgnet.people.view import Margins

Exposed = Literal["ordinary", "dark", "washed out", "over-exposed", "hazy", "hard"]
OccluderKind = Literal["person", "pole", "hedge", "railing"]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera of the network and the place that it watches."""

    number: int  # from 0
    pitch_degrees: float  # downwards
    distance: float  # decimeters to people, typically
    facing: float | None  # yaw that people mostly have; None any
    light: Light
    ground: Records  # one record of dtype GROUND
    walls: Records  # of dtype WALL
    props: Records  # of dtype PROP
    sky: Doubles  # (3,)
    background_blur: float  # pixels at a height of 512
    indoors: bool
    sensor: Sensor
    habit: Exposed = "ordinary"


@dataclass(frozen=True, kw_only=True)
class Bystander:
    """Another pedestrian, behind the person or before them."""

    sprite: int  # which of the camera's strangers
    x: float
    z: float  # decimeters behind the person (positive), for those behind


@dataclass(frozen=True, kw_only=True)
class Occluder:
    """Something before the person; `x` and `size` are shares of the picture's width or height."""

    kind: OccluderKind
    x: float
    size: float
    y: float = 1.0
    sprite: int = 0
    color: tuple[float, float, float] = (0.1, 0.1, 0.1)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything about one picture but who is on it."""

    camera: Camera
    pose: Pose
    yaw: float  # degrees; 0 faces the camera
    fold_seed: float  # of the cloth's folds
    pitch_degrees: float
    distance: float
    origin: tuple[float, float]  # x and z of the person in the camera's place
    margins: Margins
    exposure: float
    quality: int  # of JPEG
    bystanders: tuple[Bystander, ...]
    occluder: Occluder | None
    development_seed: int
    exposed: Exposed | None = None  # where the recipe draws it for each picture
