"""Structure: what a composite takes from the structure picture of the person itself.

Body, hair shape, face, hat, bags and bicycle. Pose, viewpoint, place and camera belong to the
scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgnet.people.body.pose import Side
from dgnet.people.body.shape import BodyShape
from dgnet.people.colors import Paint
from dgnet.people.materials import Fabric

HairCut = Literal["none", "short", "curly", "buzz", "bald", "long", "bangs", "up"]
HatKind = Literal["cap", "beanie", "sun hat"]
StrapKind = Literal["two", "across", "one", "hanging"]
BagKind = Literal["backpack", "shoulder bag", "handbag", "shopping bag", "umbrella"]
GlassesKind = Literal["none", "frames", "sunglasses"]
HELD: tuple[BagKind, ...] = ("handbag", "shopping bag", "umbrella")


@dataclass(frozen=True, kw_only=True)
class Hair:
    """Decimeters; `seed` draws the strands."""

    cut: HairCut
    thickness: float = 0.15
    fall: float = 0.0  # length of the curtain below the ears; 0 none
    spread: float = 2.0  # radians that the curtain reaches around the head, each way
    ponytail: float = 0.0  # length; 0 none
    front: float = 0.0  # how much higher the hairline is at the brow
    sweep: float = 0.0  # how much higher on the person's left than on the right, at the brow
    sides: float = 1.0  # thickness there, share of that on top
    bun: tuple[float, float] | None = None  # canonical y and z
    locks: tuple[float, float] = (0.0, 0.0)  # lengths before the left and the right shoulder
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Face:
    """What is painted on the face; shares in [0, 1]."""

    beard: float = 0.0
    lipstick: float = 0.0
    glasses: GlassesKind = "none"


@dataclass(frozen=True, kw_only=True)
class Hat:
    """On the head."""

    kind: HatKind
    fabric: Fabric


@dataclass(frozen=True, kw_only=True)
class Strap:
    """What a bag hangs by: over both shoulders, across, over one, or down from one to the hip."""

    kind: StrapKind
    paint: Paint
    half_width: float


@dataclass(frozen=True, kw_only=True)
class Bag:
    """On the back, at the hip or in a hand; half sizes in decimeters."""

    kind: BagKind
    fabric: Fabric
    pocket: Fabric
    width: float
    height: float
    depth: float = 0.8
    low: float = 0.0  # how far a backpack hangs below the shoulders
    side: Side = "l"
    strap: Strap | None = None  # None as its kind has it, flat and narrow


@dataclass(frozen=True, kw_only=True)
class Bicycle:
    """Ridden, or pushed on one side."""

    frame: Fabric
    ridden: bool
    side: Side = "l"


@dataclass(frozen=True, kw_only=True)
class Structure:
    """All that stays when the clothes change."""

    shape: BodyShape
    hair: Hair
    face: Face
    hat: Hat | None
    bag: Bag | None
    bicycle: Bicycle | None = None

    @property
    def held(self) -> Bag | None:
        """The bag if a hand holds it."""
        return self.bag if self.bag is not None and self.bag.kind in HELD else None

    @property
    def child(self) -> bool:
        """Whether children's clothes are worn: school children and younger."""
        return self.shape.youth > 0

    @property
    def feminine(self) -> bool:
        """Which clothes and hair are drawn."""
        return self.shape.gender < 0.5
