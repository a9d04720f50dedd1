"""What surfaces are made of: fabrics with patterns and prints, as records for the compiled shading.

Patterns are functions of the canonical coordinates of `dgnet.people.body.surface`, so a shirt looks
the same on every body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np

from dgnet.people.arrays import Doubles, Floats, Records
from dgnet.people.colors import Paint


class Part(IntEnum):
    """Which material a triangle has."""

    SKIN = 0
    TOP = 1
    INNER = 2
    BOTTOM = 3
    SHOES = 4
    HAIR = 5
    BAG = 6
    BAG_POCKET = 7
    HAT = 8
    EYES = 9
    SOCKS = 10
    FRAME = 11
    TIRES = 12


# Plain integers beside the enumeration: the compiled code compares against them.
SKIN, TOP, INNER = int(Part.SKIN), int(Part.TOP), int(Part.INNER)
SHOES, HAIR, EYES = int(Part.SHOES), int(Part.HAIR), int(Part.EYES)

PatternName = Literal[
    "plain", "stripes", "pinstripes", "gingham", "dots", "print", "gradient", "blocks", "diagonal",
    "plaid", "side stripe", "camouflage", "lines", "windowpane", "argyle", "checkerboard",
    "houndstooth", "flowers", "spots", "large print", "band", "halves", "panels", "yoke", "patches",
    "quilted", "high visibility",
]  # fmt: skip
PATTERNS: Final[tuple[PatternName, ...]] = (
    "plain", "stripes", "pinstripes", "gingham", "dots", "print", "gradient", "blocks", "diagonal",
    "plaid", "side stripe", "camouflage", "lines", "windowpane", "argyle", "checkerboard",
    "houndstooth", "flowers", "spots", "large print", "band", "halves", "panels", "yoke", "patches",
    "quilted", "high visibility",
)  # fmt: skip
(
    PLAIN, STRIPES, PINSTRIPES, GINGHAM, DOTS, PRINT, GRADIENT, BLOCKS, DIAGONAL, PLAID,
    SIDE_STRIPE, CAMOUFLAGE, LINES, WINDOWPANE, ARGYLE, CHECKERBOARD, HOUNDSTOOTH, FLOWERS, SPOTS,
    LARGE_PRINT, BAND, HALVES, PANELS, YOKE, PATCHES, QUILTED, HIGH_VISIBILITY,
) = range(27)  # fmt: skip

NO_CUFF = 99.0
PRINT_PIXELS = 24


@dataclass(frozen=True, kw_only=True)
class Motif:
    """A picture printed on the chest or the back; decimeters on the unmorphed body."""

    bitmap: Floats  # (PRINT_PIXELS, PRINT_PIXELS), third paint in [0, 1], from there on second
    x: float
    y: float
    width: float
    height: float
    on_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """Three paints and what is done with them; linear light.

    `second` fills the pattern, `third` motif, raglan sleeves and placket. Of shoes, `second` is the
    sole below `sole_line` (canonical y), `third` a stripe of width `stripe`.
    """

    base: Paint
    second: Paint
    third: Paint
    pattern: PatternName = "plain"
    frequency: float = 1.0  # repeats a decimeter
    duty: float = 0.5  # share of the period that `second` takes
    phase: float = 0.0
    angle: float = 0.0  # of lines: 0 run around, pi / 2 along
    accent: float = 0.0  # share of the period that `third` takes
    grain: float = 0.08  # amplitude of mottling
    specular: float = 0.02
    gloss: float = 12.0  # exponent of the highlight
    motif: Motif | None = None
    raglan: bool = False  # sleeves of the third paint
    placket: float = 0.0  # half-width of a zip or button row
    cuff: float = NO_CUFF  # arm position from which sleeves have the second paint
    fade: float = 0.0  # worn thighs of denim
    sole_line: float = -8.0
    stripe: float = 0.0
    seed: float = 0.0

    @staticmethod
    def plain(paint: Paint, grain: float = 0.12, specular: float = 0.02) -> Fabric:
        """One paint all over."""
        return Fabric(base=paint, second=paint, third=paint, grain=grain, specular=specular)


MATERIAL = np.dtype(
    [
        ("base", "f8", 3), ("second", "f8", 3), ("third", "f8", 3), ("pattern", "i4"),
        ("motif", "i4"),  # 0 none, 1 front, 2 back
        ("frequency", "f8"), ("duty", "f8"), ("phase", "f8"), ("angle", "f8"),
        ("accent", "f8"), ("grain", "f8"), ("specular", "f8"),
        ("gloss", "f8"), ("motif_x", "f8"), ("motif_y", "f8"), ("motif_width", "f8"),
        ("motif_height", "f8"), ("raglan", "f8"), ("placket", "f8"), ("cuff", "f8"), ("fade", "f8"),
        ("sole_line", "f8"), ("stripe", "f8"), ("seed", "f8"),
    ]
)  # fmt: skip


def material_table(fabrics: Mapping[Part, Fabric]) -> tuple[Records, Doubles]:
    """Records (parts,) of dtype MATERIAL, and the motifs (parts, P, P) that they print."""
    table = np.zeros(len(Part), MATERIAL)
    motifs = np.zeros((len(Part), PRINT_PIXELS, PRINT_PIXELS))
    for part, fabric in fabrics.items():
        row = table[part]
        for name in (
            "frequency", "duty", "phase", "angle", "accent", "grain", "specular", "gloss", "raglan",
            "placket", "cuff", "fade", "sole_line", "stripe", "seed",
        ):  # fmt: skip
            row[name] = getattr(fabric, name)
        row["base"], row["second"] = fabric.base.rgb, fabric.second.rgb
        row["third"] = fabric.third.rgb
        row["pattern"] = PATTERNS.index(fabric.pattern)
        if fabric.motif is not None:
            motif = fabric.motif
            row["motif"] = 2 if motif.on_back else 1
            row["motif_x"], row["motif_y"] = motif.x, motif.y
            row["motif_width"], row["motif_height"] = motif.width, motif.height
            motifs[part] = motif.bitmap
    return table, motifs
