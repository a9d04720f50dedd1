"""Appearance, which DG-Net calls identity: clothes, shoes, and the colors of skin and hair.

Lengths along limbs are the positions of `dgnet.people.body.surface` (1 is elbow or knee, 2 wrist or
ankle); heights are canonical y, with the crotch near -0.3, the waist near 1.4, the neck near 5.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgnet.people.colors import Paint
from dgnet.people.materials import Fabric

TopKind = Literal[
    "t-shirt", "polo", "shirt", "long sleeves", "hoodie", "jacket", "coat", "tank", "dress"
]
BottomKind = Literal["trousers", "cropped trousers", "leggings", "shorts", "skirt", "dress"]
ShoeKind = Literal["sneakers", "low shoes", "boots", "sandals"]


@dataclass(frozen=True, kw_only=True)
class Skirt:
    """Hangs from the waist: a skirt, the lower part of a dress, or the tails of a coat."""

    hem: float
    waist: float = 1.4
    offset: float = 0.15
    flare: float = 0.1
    pleats: int = 10
    pleat_depth: float = 0.0
    opening: float = 0.0  # half-width of the slit in front


@dataclass(frozen=True, kw_only=True)
class Top:
    """Anything on the upper body."""

    kind: TopKind
    fabric: Fabric
    sleeve: float  # arm position where it ends
    sleeve_radius: float  # decimeters around the bone
    sleeve_taper: float = 0.0
    hem: float = 0.3
    hem_curve: float = 0.0
    neck: float = 0.78  # radius of the ball that cuts the neckline
    v_neck: float = 0.0  # depth
    bare_shoulders: bool = False
    offset: float = 0.1  # distance from the skin
    looseness: float = 0.5  # 1 hangs straight down from the chest
    gather: float = 0.0  # how far the hem is drawn in: a waistband
    opening: float = 0.0  # half-width of the open front
    wrinkles: float = 0.8
    tail: Skirt | None = None  # of coats, same fabric
    hood: bool = False


@dataclass(frozen=True, kw_only=True)
class Trousers:
    """Anything with legs."""

    length: float  # leg position where they end
    radius: float = 0.0  # of the legs around the bone; 0 follows the leg
    taper: float = 0.0
    waist: float = 1.4
    offset: float = 0.08
    wrinkles: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Bottom:
    """Trousers or a skirt."""

    kind: BottomKind
    fabric: Fabric
    cut: Trousers | Skirt
    hosiery: Fabric | None = None  # tights under a skirt


@dataclass(frozen=True, kw_only=True)
class Shoes:
    """Both shoes; `socks` are the height above the ankle in leg position."""

    kind: ShoeKind
    fabric: Fabric
    top: float = 1.97  # leg position of the rim
    offset: float = 0.11
    sole: float = 0.1
    socks: float = 0.0
    sock_fabric: Fabric | None = None


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """All that a composite takes from the appearance picture."""

    top: Top
    inner: Top | None  # seen through an open front
    bottom: Bottom
    shoes: Shoes
    skin: Paint
    hair: Paint
