"""Where the camera stands and what it crops: the projection of one picture.

The camera looks down at a point above the person's feet; the crop follows from the posed joints
alone, so that a change of clothes moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Records

TARGET_HEIGHT = 8.5
"""Height in decimeters of the point that the camera looks at."""

VIEW = np.dtype(
    [
        ("scale_x", "f8"), ("scale_y", "f8"),  # samples for one unit at depth 1
        ("center_x", "f8"), ("center_y", "f8"), ("sine", "f8"), ("cosine", "f8"),
        ("distance", "f8"), ("target", "f8"),
    ]
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The crop around the joints, in shares of their height; negative cuts into the person."""

    top: float
    bottom: float
    shift: float  # sideways, share of the crop's width
    aspect: float  # width by height of the crop in the world


@dataclass(frozen=True, kw_only=True)
class View:
    """One camera position with one crop, for any number of samples."""

    pitch: float  # radians downwards
    distance: float  # decimeters to the person
    left: float  # the crop, on the plane at depth 1
    top: float
    width: float
    height: float

    def record(self, rows: int, columns: int) -> Records:
        """One record of dtype VIEW for a picture of so many samples."""
        view = np.zeros(1, VIEW)
        scale_x, scale_y = columns / self.width, rows / self.height
        view["scale_x"], view["scale_y"] = scale_x, scale_y
        view["center_x"], view["center_y"] = -scale_x * self.left, scale_y * self.top
        view["sine"], view["cosine"] = np.sin(self.pitch), np.cos(self.pitch)
        view["distance"], view["target"] = self.distance, TARGET_HEIGHT
        return view

    def samples(self, points: Floats | Doubles, rows: int, columns: int) -> Doubles:
        """Column, row and 1/depth (N, 3) of points (N, 3)."""
        x, y, inverse = project(points, self.pitch, self.distance)
        scale_x, scale_y = columns / self.width, rows / self.height
        return np.stack([(x - self.left) * scale_x, (self.top - y) * scale_y, inverse], axis=1)


def project(
    points: Floats | Doubles, pitch: float, distance: float
) -> tuple[Doubles, Doubles, Doubles]:
    """Right and up on the plane at depth 1, and 1/depth, each (N,)."""
    sine, cosine = float(np.sin(pitch)), float(np.cos(pitch))
    above = points[:, 1].astype(np.float64) - TARGET_HEIGHT
    depth = distance - (sine * above + cosine * points[:, 2])
    return points[:, 0] / depth, (cosine * above - sine * points[:, 2]) / depth, 1 / depth


def crop(joints: Doubles, pitch: float, distance: float, margins: Margins) -> View:
    """The view of a person with these posed joints (J, 3), the last at the top of the head."""
    x, y, inverse = project(joints, pitch, distance)
    # Joints lie inside the body: room for shoulders and hands, for hair and for soles.
    side, above, below = 0.9 * inverse[0], 0.35 * inverse[0], 0.5 * inverse[0]
    left, right = float(x.min() - side), float(x.max() + side)
    bottom, top = float(y.min() - below), float(y.max() + above)
    top, bottom = top + (top - bottom) * margins.top, bottom - (top - bottom) * margins.bottom
    height = top - bottom
    width = max(height * margins.aspect, (right - left) * 0.92)
    center = (left + right) / 2 + width * margins.shift
    return View(
        pitch=pitch,
        distance=distance,
        left=center - width / 2,
        top=top,
        width=width,
        height=height,
    )
