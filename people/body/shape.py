"""Body shape: which mixture of the targets a person is.

A target's weight is the product of its memberships, as in MakeHuman:
`height/male/old/averagemuscle/maxweight/minheight` counts as far as a person is male, old, of
average muscle, heavy and short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import Floats
from dgnet.people.assets import BodyAssets


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """All in [0, 1] but `youth`; `origins` sums to one."""

    gender: float  # 0 female, 1 male
    age: float  # 0 young, 1 old
    muscle: float  # 0 little, 1 average
    weight: float  # 0.5 average
    height: float  # 0.5 is 1.55 m for women, 1.69 m for men
    stomach: float
    origins: tuple[float, float, float]  # African, Asian, Caucasian
    youth: float = 0.0  # 0 grown up, 0.5 about 11 years old, 1 about 8, 1.5 about 4


def memberships(shape: BodyShape) -> dict[str, float]:
    """How far each word of a target's name holds."""
    african, asian, caucasian = shape.origins
    grown = max(0.0, 1 - shape.youth)
    return {
        "female": 1 - shape.gender,
        "male": shape.gender,
        "baby": max(0.0, shape.youth - 1),
        "child": 1 - abs(shape.youth - 1),
        "young": (1 - shape.age) * grown,
        "old": shape.age * grown,
        "minmuscle": 1 - shape.muscle,
        "averagemuscle": shape.muscle,
        "minweight": max(0.0, 1 - 2 * shape.weight),
        "averageweight": 1 - abs(2 * shape.weight - 1),
        "maxweight": max(0.0, 2 * shape.weight - 1),
        "minheight": max(0.0, 1 - 2 * shape.height),
        "maxheight": max(0.0, 2 * shape.height - 1),
        "african": african,
        "asian": asian,
        "caucasian": caucasian,
        "stomach": shape.stomach,
    }


def morphed(assets: BodyAssets, shape: BodyShape) -> Floats:
    """Rest vertices (V, 3) of a person."""
    holds = memberships(shape)
    weights = np.array(
        [
            np.prod([holds[word] for word in name.split("/") if word in holds])
            for name in assets.target_names
        ]
    )
    used = np.flatnonzero(weights > 1e-4)
    vertices = assets.vertices.copy()
    for index in used:  # a sum in fixed order: BLAS may order it by the machine
        vertices += np.float32(weights[index]) * assets.targets[index]
    return vertices
