"""Draws a person's body, hair, face, hat and bag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from dgnet.people.body.pose import Side
from dgnet.people.body.shape import BodyShape
from dgnet.people.colors import BAG_SHARES, BICYCLE_SHARES, draw_contrasting, draw_paint
from dgnet.people.materials import Fabric
from dgnet.people.randomness import choose, choose_from
from dgnet.people.structure import (
    HELD,
    Bag,
    BagKind,
    Bicycle,
    Face,
    GlassesKind,
    Hair,
    HairCut,
    Hat,
    HatKind,
    Structure,
)

BICYCLES = 0.04
"""Share of people who always come with one."""
HATS_OF_WOMEN: dict[HatKind, float] = {"cap": 2, "beanie": 1, "sun hat": 1.2}
GLASSES: dict[GlassesKind, float] = {"none": 0.72, "frames": 0.22, "sunglasses": 0.06}
GLASSES_OF_CHILDREN: dict[GlassesKind, float] = {"none": 0.88, "frames": 0.12}
HATS_OF_MEN: dict[HatKind, float] = {"cap": 3, "beanie": 1}
LONG_HAIR = ((0.1, 0.24), (1.5, 4.6), (1.7, 2.25))
MEDIUM_HAIR = ((0.14, 0.28), (0.8, 1.7), (1.95, 2.2))
"""Least and most of thickness, fall and spread."""
CHILDREN = 0.05
"""Share of people of about 4 to 13 years."""


def draw_structure(random: np.random.Generator) -> Structure:
    """A person without clothes."""
    if random.random() < CHILDREN:
        return _child(random)
    shape = _shape(random)
    feminine = shape.gender < 0.5
    hair = _hair_of_women(random) if feminine else _hair_of_men(random, shape.age)
    face = _face(random, feminine)
    hat = None
    if random.random() < 0.12:
        kind = choose_from(random, HATS_OF_WOMEN if feminine else HATS_OF_MEN)
        hat = Hat(kind=kind, fabric=Fabric.plain(draw_paint(random, BAG_SHARES)))
    bag = draw_bag(random, feminine)
    bicycle = _bicycle(random) if random.random() < BICYCLES else None
    if bicycle is not None and bag is not None and bag.kind in HELD:
        bag = None  # both hands are at the handlebar
    return Structure(shape=shape, hair=hair, face=face, hat=hat, bag=bag, bicycle=bicycle)


def _child(random: np.random.Generator) -> Structure:
    """A child, with nothing but a cap or a school bag."""
    uniform = random.uniform
    girl = random.random() < 0.5
    shape = replace(
        _shape(random),
        gender=float(not girl),
        age=0.0,
        muscle=float(uniform(0.3, 0.9)),
        weight=float(np.clip(random.normal(0.42, 0.12), 0.15, 0.75)),
        height=float(np.clip(random.normal(0.5, 0.03), 0.42, 0.58)),
        stomach=0.0,
        youth=float(uniform(0.35, 1.5)),
    )
    glasses = choose_from(random, GLASSES_OF_CHILDREN)
    hat = bag = None
    if random.random() < 0.2:
        hat = Hat(kind="cap", fabric=Fabric.plain(draw_paint(random, BAG_SHARES)))
    if random.random() < 0.35:
        paint = draw_paint(random, BAG_SHARES)
        bag = Bag(
            kind="backpack",
            fabric=Fabric.plain(paint, grain=0.1, specular=0.03),
            pocket=Fabric.plain(paint.scaled(choose(random, [0.6, 1.3], [1, 1]))),
            width=float(uniform(1.2, 1.6)),
            height=float(uniform(1.6, 2.1)),
            depth=float(uniform(0.6, 0.9)),
        )
    hair = _hair_of_women(random) if girl else _hair_of_boys(random)
    return Structure(shape=shape, hair=hair, face=Face(glasses=glasses), hat=hat, bag=bag)


def _hair_of_boys(random: np.random.Generator) -> Hair:
    if random.random() < 0.12:
        return Hair(cut="buzz", thickness=0.05, seed=_seed(random))
    return _short_hair(random, 0.0)


def _bicycle(random: np.random.Generator) -> Bicycle:
    paint = draw_paint(random, BICYCLE_SHARES)
    side: Side = "l" if random.random() < 0.5 else "r"
    frame = Fabric.plain(paint, grain=0.02, specular=0.15)
    return Bicycle(frame=frame, ridden=random.random() < 0.6, side=side)


def _shape(random: np.random.Generator) -> BodyShape:
    man = random.random() < 0.55
    african, asian, caucasian = (float(share) for share in random.dirichlet([0.4, 0.7, 0.7]))

    def near(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(random.normal(mean, spread), low, high))

    return BodyShape(
        gender=near(float(man), 0.08, 0, 1),
        age=float(min(random.beta(1.1, 4), 0.9)),
        muscle=near(0.85 if man else 0.7, 0.2, 0.1, 1),
        weight=near(0.36, 0.16, 0.06, 0.9),
        height=near(0.52 if man else 0.54, 0.045, 0.4, 0.64),
        stomach=max(0.0, near(0, 0.09, -1, 0.35)),
        origins=(african, asian, caucasian),
    )


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(1 << 30))


def _hair_of_women(random: np.random.Generator) -> Hair:
    draw = random.random()
    uniform = random.uniform
    cuts: list[HairCut] = ["long", "bangs"]
    cut = choose(random, cuts, [1.3, 1])
    sweep = float(random.normal(0, 0.14))
    front = float(random.normal(0, 0.06))
    if draw < 0.6:
        thickness, fall, spread = LONG_HAIR if draw < 0.42 else MEDIUM_HAIR
        return Hair(
            cut=cut,
            thickness=float(uniform(*thickness)),
            fall=float(uniform(*fall)),
            spread=float(uniform(*spread)),
            sweep=sweep,
            front=front,
            seed=_seed(random),
        )
    if draw < 0.66:
        return Hair(cut="curly", thickness=float(uniform(0.3, 0.6)), seed=_seed(random))
    if draw < 0.7:
        return Hair(cut="short", thickness=float(uniform(0.15, 0.28)), sweep=sweep,
                    seed=_seed(random))  # fmt: skip
    thickness = float(uniform(0.08, 0.16))
    if draw < 0.88:
        tail = float(uniform(1.2, 2.8))
        return Hair(cut="up", thickness=thickness, ponytail=tail, front=front, seed=_seed(random))
    bun = (float(uniform(7.6, 8.4)), float(uniform(-0.75, -0.35)))
    return Hair(cut="up", thickness=thickness, bun=bun, front=front, seed=_seed(random))


def _hair_of_men(random: np.random.Generator, age: float) -> Hair:
    draw = random.random()
    receding = float(random.uniform(0, 0.3)) if random.random() < 0.15 + 0.6 * age else 0.0
    if draw < 0.12:
        return Hair(cut="buzz", thickness=0.05, front=receding, seed=_seed(random))
    if draw < 0.14 + 0.1 * age:
        return Hair(cut="bald", thickness=0.06, seed=_seed(random))
    if draw < 0.21:
        return Hair(cut="none")
    if draw < 0.25:
        fall = float(random.uniform(1.0, 1.8))
        return Hair(cut="long", thickness=0.15, fall=fall, spread=2.1, seed=_seed(random))
    if draw < 0.3:
        return Hair(cut="curly", thickness=float(random.uniform(0.25, 0.5)), seed=_seed(random))
    return _short_hair(random, receding)


def _short_hair(random: np.random.Generator, receding: float) -> Hair:
    """Combed to a side or down the brow, the sides cut shorter or not."""
    return Hair(
        cut="short",
        thickness=float(random.uniform(0.1, 0.27)),
        front=receding + float(random.normal(0, 0.09)),
        sweep=float(random.normal(0, 0.13)),
        sides=float(random.uniform(0.25, 1)),
        seed=_seed(random),
    )


def _face(random: np.random.Generator, feminine: bool) -> Face:
    glasses = choose_from(random, GLASSES)
    if feminine:
        return Face(lipstick=float(random.uniform(0, 1)), glasses=glasses)
    beard = choose(random, [0.0, 0.2, 0.4, 0.6], [4, 1, 1, 0.7])
    return Face(beard=beard, glasses=glasses)


def draw_bag(
    random: np.random.Generator,
    feminine: bool,
    kinds: Mapping[BagKind | Literal["none"], float] | None = None,
) -> Bag | None:
    """A bag of a kind by share."""
    paint = draw_paint(random, BAG_SHARES)
    other = draw_contrasting(random, BAG_SHARES, paint, 0.3)
    patterned = random.random() < 0.12
    fabric = Fabric(
        base=paint,
        second=other,
        third=other,
        pattern="print" if patterned else "plain",
        grain=0.1,
        specular=0.03,
    )
    pocket = Fabric.plain(paint.scaled(choose(random, [0.6, 0.8, 1.3], [1, 1, 1])))
    side: Side = "l" if random.random() < 0.5 else "r"
    uniform = random.uniform
    shares: Mapping[BagKind | Literal["none"], float] = kinds or {
        "none": 0.4, "backpack": 0.29, "shoulder bag": 0.14, "handbag": 0.08,
        "shopping bag": 0.06, "umbrella": 0.05 if feminine else 0.01,
    }  # fmt: skip
    kind = choose_from(random, shares)
    match kind:
        case "backpack":
            return Bag(
                kind="backpack",
                fabric=fabric,
                pocket=pocket,
                width=float(uniform(1.15, 1.6)),
                height=float(uniform(1.7, 2.4)),
                depth=float(uniform(0.6, 0.95)),
                low=float(uniform(-0.2, 0.8)),
            )
        case "shoulder bag":
            width, height = float(uniform(0.8, 1.3)), float(uniform(0.7, 1.1))
        case "handbag":
            width, height = float(uniform(0.8, 1.4)), float(uniform(0.8, 1.2))
        case "shopping bag":
            width, height = float(uniform(1.0, 1.6)), float(uniform(1.2, 1.8))
            pale = draw_paint(random, {"white": 5, "red": 1, "blue": 1, "beige": 2, "green": 1})
            fabric = Fabric.plain(pale, grain=0.2, specular=0.05)
        case "umbrella":
            width, height = float(uniform(3.9, 4.7)), 1.0
        case _:
            return None
    return Bag(kind=kind, fabric=fabric, pocket=pocket, width=width, height=height, side=side)
