"""Recipe 3's bodies: those of recipe 2 with more bags, of more kinds of straps, and longer hair.

Straps and locks of hair lie over clothes, and a composite has to keep them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from dgnet.people.colors import BAG_SHARES, Paint, draw_contrasting
from dgnet.people.drawing.structure import draw_bag, draw_structure
from dgnet.people.randomness import choose, choose_from
from dgnet.people.structure import HELD, Bag, BagKind, Hair, Strap, StrapKind, Structure

BAGS: dict[BagKind | Literal["none"], float] = {
    "none": 0.24, "backpack": 0.34, "shoulder bag": 0.22, "handbag": 0.08, "shopping bag": 0.09,
    "umbrella": 0.03,
}  # fmt: skip
STRAPS: dict[BagKind, dict[StrapKind, float]] = {
    "backpack": {"two": 0.82, "one": 0.18},
    "shoulder bag": {"across": 0.6, "hanging": 0.4},
}
LONGER = 0.35
"""Share of women with short hair or tied hair who get long hair."""
LOCKS = 0.6
"""Share of long hair that falls before the shoulders."""


def draw_laden_structure(random: np.random.Generator) -> Structure:
    """A person without clothes, who mostly carries something."""
    drawn = draw_structure(random)
    bag = drawn.bag
    if not drawn.child:
        bag = draw_bag(random, drawn.feminine, BAGS)
        if drawn.bicycle is not None and bag is not None and bag.kind in HELD:
            bag = None  # both hands are at the handlebar
    if bag is not None:
        bag = _strapped(random, bag)
    hair = _longer(random, drawn.hair) if drawn.feminine else drawn.hair
    if hair.fall > 0.9 and random.random() < LOCKS:
        hair = replace(hair, locks=_locks(random, hair.fall))
    return replace(drawn, bag=bag, hair=hair)


def _strapped(random: np.random.Generator, bag: Bag) -> Bag:
    """The bag with the straps of its kind, of its own paint, black, or another."""
    kinds = STRAPS.get(bag.kind)
    if kinds is None:
        return bag
    fabric = bag.fabric
    if random.random() < 0.25:
        pattern = choose(random, ["print", "lines", "blocks", "dots"], [2, 2, 1, 1])
        fabric = replace(
            fabric, pattern=pattern, frequency=float(random.uniform(0.7, 1.6)), phase=0.5
        )
    paint = choose(
        random,
        [fabric.base.scaled(0.8), Paint("black", (0.012, 0.012, 0.013)),
         draw_contrasting(random, BAG_SHARES, fabric.base)],
        [5, 4, 1],
    )  # fmt: skip
    wide = (0.14, 0.27) if bag.kind == "backpack" else (0.09, 0.24)
    strap = Strap(
        kind=choose_from(random, kinds), paint=paint, half_width=float(random.uniform(*wide))
    )
    return replace(bag, fabric=fabric, strap=strap)


def _longer(random: np.random.Generator, hair: Hair) -> Hair:
    if hair.fall > 0 or hair.cut == "curly" or random.random() >= LONGER:
        return hair
    return Hair(
        cut=choose(random, ["long", "bangs"], [1.3, 1]),
        thickness=float(random.uniform(0.1, 0.26)),
        fall=float(random.uniform(1.2, 4.6)),
        spread=float(random.uniform(1.8, 2.3)),
        front=hair.front,
        seed=hair.seed,
    )


def _locks(random: np.random.Generator, fall: float) -> tuple[float, float]:
    """Mostly before both shoulders; as long as at the back, or shorter."""
    left, right = (min(3.6, fall * float(random.uniform(0.6, 1.05))) for _ in range(2))
    draw = random.random()
    return (left if draw < 0.8 else 0.0, right if draw > 0.2 else 0.0)
