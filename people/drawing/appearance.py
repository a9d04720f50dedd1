"""Draws what a person wears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dgnet.people.clothes.outfit import Appearance, Bottom, Shoes, Skirt, Top, TopKind, Trousers
from dgnet.people.colors import (
    BOTTOM_SHARES,
    DARK_SHARES,
    HOSIERY_SHARES,
    SHOE_SHARES,
    SOCK_SHARES,
    SOLE_SHARES,
    TOP_SHARES,
    Paint,
    draw_contrasting,
    draw_hair_color,
    draw_paint,
    draw_skin,
)
from dgnet.people.drawing.motifs import draw_motif
from dgnet.people.materials import Fabric, PatternName
from dgnet.people.randomness import choose, choose_from

TOP_KINDS: dict[TopKind, float] = {
    "t-shirt": 42, "polo": 10, "shirt": 9, "long sleeves": 13, "hoodie": 9, "jacket": 10, "coat": 3,
    "tank": 4,
}  # fmt: skip
TOP_PATTERNS: dict[PatternName, float] = {
    "plain": 66, "stripes": 10, "pinstripes": 3, "plaid": 5, "gingham": 2.5, "dots": 2.5,
    "print": 4, "gradient": 1.5, "blocks": 4, "camouflage": 1.2,
}  # fmt: skip
TOP_KINDS_OF_CHILDREN: dict[TopKind, float] = {
    "t-shirt": 50, "polo": 8, "long sleeves": 16, "hoodie": 14, "jacket": 12,
}  # fmt: skip
KNEE = -3.6
"""Canonical y: skirts of children end there or lower."""
DARK_OUTFITS = 0.16
"""Share of people in dark clothes from top to toe: the hard cases of re-identification."""


def draw_appearance(
    random: np.random.Generator,
    feminine: bool,
    child: bool = False,
    kinds: Mapping[TopKind, float] = TOP_KINDS,
) -> Appearance:
    """Clothes, shoes, and colors of skin and hair."""
    if child:
        return _of_child(random, feminine)
    dark = random.random() < DARK_OUTFITS
    tops = DARK_SHARES if dark else TOP_SHARES
    bottoms = DARK_SHARES if dark else BOTTOM_SHARES
    if feminine and random.random() < 0.14:
        top, bottom = _dress(random, tops)
        inner = None
    else:
        top, inner = _top(random, tops, feminine, kinds)
        bottom = _bottom(random, bottoms, feminine)
        if isinstance(bottom.cut, Skirt):
            top = _over_skirt(top, bottom.cut)
    return Appearance(
        top=top,
        inner=inner,
        bottom=bottom,
        shoes=_shoes(random, bottom),
        skin=draw_skin(random),
        hair=draw_hair_color(random),
    )


def _of_child(random: np.random.Generator, girl: bool) -> Appearance:
    """Plain children's clothes: no coats, tights or boots, and nothing short."""
    if girl and random.random() < 0.14:
        (top, bottom), inner = _dress(random, TOP_SHARES), None
    else:
        top, inner = _top(random, TOP_SHARES, girl, TOP_KINDS_OF_CHILDREN)
        bottom = _bottom(random, BOTTOM_SHARES, girl)
        if isinstance(bottom.cut, Skirt):
            top = _over_skirt(top, bottom.cut)
    shoes = _shoes(random, bottom)
    if shoes.kind == "boots":
        shoes = replace(shoes, kind="sneakers", top=1.97)
    hair = draw_hair_color(random)
    while hair.name == "grey":
        hair = draw_hair_color(random)
    drawn = Appearance(
        top=top, inner=inner, bottom=bottom, shoes=shoes, skin=draw_skin(random), hair=hair
    )
    return for_child(drawn)


def for_child(worn: Appearance) -> Appearance:
    """These clothes as a child wears them: sleeves, and skirts and shorts down to the knee.

    Clothes that are so already stay as they are. Composites that put an adult's clothes on a
    child's body are dressed by this, too.
    """
    top, bottom = worn.top, worn.bottom
    if top.sleeve < 0.5 or top.neck > 0.85 or top.v_neck > 0.3:
        top = replace(
            top,
            sleeve=max(top.sleeve, 0.5),
            sleeve_radius=max(top.sleeve_radius, 0.6),
            neck=min(top.neck, 0.85),
            v_neck=min(top.v_neck, 0.3),
        )
    match bottom.cut:
        case Skirt() as cut if cut.hem > KNEE:
            bottom = replace(bottom, cut=replace(cut, hem=KNEE))
        case Trousers() as cut if cut.length < 0.85:
            bottom = replace(bottom, cut=replace(cut, length=0.85))
        case _:
            pass
    return replace(worn, top=top, bottom=bottom)


def draw_fabric(
    random: np.random.Generator, shares: dict[str, float], patterns: dict[PatternName, float]
) -> Fabric:
    """A fabric with a pattern by share."""
    base = draw_paint(random, shares)
    second = draw_contrasting(random, TOP_SHARES, base)
    third = draw_contrasting(random, TOP_SHARES, base)
    tone = random.random()
    if tone < 0.3:  # tone in tone
        second = base.scaled(0.5 if tone < 0.15 else 1.8)
    fabric = Fabric(
        base=base,
        second=second,
        third=third,
        pattern=choose_from(random, patterns),
        grain=float(random.uniform(0.03, 0.12)),
        seed=float(random.uniform(0, 60)),
    )
    return _scaled_pattern(random, fabric)


def _scaled_pattern(random: np.random.Generator, fabric: Fabric) -> Fabric:
    """Sizes that fit the pattern."""

    def pick(*values: float) -> float:
        return float(values[int(random.integers(len(values)))])

    match fabric.pattern:
        case "stripes":
            return replace(
                fabric,
                frequency=pick(0.7, 1.0, 1.4, 2.0),
                duty=pick(0.25, 0.5, 0.5),
                phase=float(random.random()),
            )
        case "pinstripes":
            return replace(fabric, frequency=pick(0.9, 1.4), duty=0.4)
        case "plaid":
            return replace(fabric, frequency=pick(0.6, 0.9, 1.3))
        case "gingham":
            return replace(fabric, frequency=pick(1.0, 1.5))
        case "dots":
            return replace(fabric, frequency=pick(0.8, 1.2), duty=pick(0.5, 0.7))
        case "print":
            return replace(fabric, frequency=pick(0.7, 1.2, 1.8))
        case "camouflage":
            return replace(fabric, frequency=pick(0.6, 0.9))
        case "gradient":
            return replace(fabric, frequency=pick(0.5, 1.0), phase=float(random.uniform(1.5, 3.5)))
        case "blocks":
            return replace(fabric, phase=float(random.uniform(2.3, 4.4)))
        case _:
            return fabric


def _top(
    random: np.random.Generator,
    shares: dict[str, float],
    feminine: bool,
    kinds: Mapping[TopKind, float] = TOP_KINDS,
) -> tuple[Top, Top | None]:
    """A top, and what shows below it if it is open."""
    kind = choose_from(random, kinds)
    fabric = draw_fabric(random, shares, TOP_PATTERNS)
    outer = kind in ("hoodie", "jacket", "coat")
    if outer or fabric.pattern in ("print", "plaid"):
        motif = None
    else:
        motif = draw_motif(random) if random.random() < 0.36 else None
    fabric = replace(fabric, motif=motif, raglan=random.random() < 0.08)
    looseness = float(random.uniform(0.25, 0.95))
    top = Top(
        kind=kind,
        fabric=fabric,
        sleeve=0.0,
        sleeve_radius=0.5,
        hem=float(random.uniform(-0.2, 0.7)),
        hem_curve=float(random.integers(2)),
        neck=float(choose(random, [0.72, 0.78, 0.85, 1.0], [1, 1, 1, 1])),
        offset=float(random.uniform(0.07, 0.15)),
        looseness=looseness,
        wrinkles=float(random.uniform(0.5, 1.0)),
    )
    inner = None
    uniform = random.uniform
    match kind:
        case "t-shirt":
            radius = uniform(0.6, 0.82) * (0.9 if feminine else 1)
            v_neck = float(choose(random, [0.0, 0.45], [3, 1]))
            top = replace(top, sleeve=float(uniform(0.5, 0.95)), sleeve_radius=radius)
            top = replace(top, v_neck=v_neck)
        case "polo":
            placket = replace(fabric, placket=0.07)
            top = replace(top, sleeve=float(uniform(0.5, 0.8)), sleeve_radius=0.67, neck=0.55)
            top = replace(top, v_neck=0.2, fabric=placket)
        case "shirt":
            rolled = random.random() < 0.5
            sleeve = uniform(0.95, 1.3) if rolled else uniform(1.85, 1.97)
            top = replace(top, sleeve=float(sleeve), sleeve_radius=0.56, neck=0.55, v_neck=0.25)
            top = replace(top, fabric=replace(fabric, placket=0.06), offset=0.11)
        case "long sleeves":
            top = replace(top, sleeve=float(uniform(1.75, 1.97)))
            top = replace(top, sleeve_radius=float(uniform(0.46, 0.6)))
        case "tank":
            top = replace(top, sleeve=0.05, sleeve_radius=0.3, neck=1.12, looseness=0.2)
        case _:
            top, inner = _outer(random, top, shares)
    return top, inner


def _outer(
    random: np.random.Generator, top: Top, shares: dict[str, float]
) -> tuple[Top, Top | None]:
    """A hoodie, jacket or coat; open ones show a t-shirt."""
    uniform = random.uniform
    hoodie = top.kind == "hoodie"
    opens = random.random() < (0.25 if hoodie else 0.5)
    opening = float(uniform(0.2, 0.6)) if opens else 0.0
    fabric = replace(top.fabric, placket=0.0 if opens else 0.06)
    if hoodie and random.random() < 0.6:
        fabric = replace(fabric, placket=0.0)
    if random.random() < 0.25:
        fabric = replace(fabric, cuff=1.8)
    top = replace(
        top,
        fabric=fabric,
        sleeve=1.95,
        sleeve_radius=float(uniform(0.54, 0.66)),
        sleeve_taper=0.25,
        offset=float(uniform(0.14, 0.24)),
        looseness=float(uniform(0.55, 0.9)),
        gather=float(uniform(0, 0.12)) if top.kind != "coat" else 0.0,
        neck=0.54 if hoodie else 0.58,
        hem=float(uniform(-0.3, 0.8)),
        opening=opening,
        wrinkles=float(uniform(0.9, 1.3)),
        hood=hoodie,
    )
    if top.kind == "coat":
        tail = Skirt(
            hem=float(uniform(-4.8, -2.0)),
            waist=1.5,
            offset=0.26,
            flare=float(uniform(0.05, 0.18)),
            opening=max(0.06, opening),
        )
        top = replace(top, hem=0.6, tail=tail)
    if not opens:
        return top, None
    patterns: dict[PatternName, float] = {"plain": 8, "stripes": 2, "print": 0.5}
    inner = Top(
        kind="t-shirt",
        fabric=draw_fabric(random, TOP_SHARES if random.random() < 0.6 else shares, patterns),
        sleeve=0.3,
        sleeve_radius=0.5,
        hem=top.hem + 0.1,
        looseness=0.2,
    )
    return top, inner


def _dress(random: np.random.Generator, shares: dict[str, float]) -> tuple[Top, Bottom]:
    """Top and skirt of one fabric, or a long top over another skirt."""
    fabric = draw_fabric(random, shares, TOP_PATTERNS)
    top = Top(
        kind="dress",
        fabric=fabric,
        sleeve=float(choose(random, [0.05, 0.12, 0.45, 0.6], [1, 1, 1, 1])),
        sleeve_radius=0.6,
        hem=0.9,
        looseness=0.15,
        v_neck=float(choose(random, [0.0, 0.6], [1, 1])),
        wrinkles=float(random.uniform(0.4, 0.8)),
    )
    cut = Skirt(
        hem=float(random.uniform(-4.6, -1.2)),
        waist=1.5,
        offset=0.16,
        flare=float(random.uniform(0.02, 0.34)),
        pleats=int(random.integers(7, 14)),
        pleat_depth=float(choose(random, [0.0, 0.03, 0.06], [1, 1, 1])),
    )
    return top, Bottom(kind="dress", fabric=fabric, cut=cut, hosiery=_hosiery(random, 0.3))


def _bottom(random: np.random.Generator, shares: dict[str, float], feminine: bool) -> Bottom:
    """Trousers, leggings, shorts or a skirt."""
    fabric = _bottom_fabric(random, shares)
    draw = random.random()
    uniform = random.uniform
    if feminine and draw < 0.18:
        cut = Skirt(
            hem=float(uniform(-4.4, -1.0)),
            waist=float(uniform(1.1, 1.7)),
            offset=0.15,
            flare=float(uniform(0.02, 0.4)),
            pleats=int(random.integers(7, 14)),
            pleat_depth=float(choose(random, [0.0, 0.04, 0.07], [1, 1, 1])),
        )
        patterns: dict[PatternName, float] = {"plain": 7, "plaid": 1, "print": 1, "dots": 0.5}
        return Bottom(
            kind="skirt",
            fabric=draw_fabric(random, shares, patterns),
            cut=cut,
            hosiery=_hosiery(random, 0.3),
        )
    if draw < 0.58:
        weights = [0.35, 0.3, 0.2, 0.1, 0.03] if feminine else [0.12, 0.28, 0.27, 0.2, 0.1]
        radius = float(choose(random, [0.0, 0.52, 0.64, 0.76, 0.88], weights))
        trousers = Trousers(
            length=float(uniform(1.86, 1.99)),
            radius=radius,
            taper=float(choose(random, [0.0, 0.15, 0.3], [1, 1, 1])),
            offset=0.1 if radius > 0.6 else 0.06,
            wrinkles=float(uniform(0.6, 1.2)),
        )
        kind = "trousers" if radius > 0 else "leggings"
        return Bottom(kind=kind, fabric=fabric, cut=trousers)
    if draw < 0.64:
        radius = float(choose(random, [0.0, 0.65, 0.8], [1, 1, 1]))
        trousers = Trousers(length=float(uniform(1.35, 1.7)), radius=radius, wrinkles=0.6)
        return Bottom(kind="cropped trousers", fabric=fabric, cut=trousers)
    shorts = Trousers(
        length=float(uniform(0.38, 0.62) if feminine else uniform(0.62, 1.08)),
        radius=float(uniform(0.85, 1.0) if feminine else uniform(0.92, 1.12)),
        offset=0.1,
        wrinkles=0.7,
    )
    return Bottom(kind="shorts", fabric=fabric, cut=shorts)


def _bottom_fabric(random: np.random.Generator, shares: dict[str, float]) -> Fabric:
    base = draw_paint(random, shares)
    fabric = Fabric(
        base=base,
        second=draw_contrasting(random, TOP_SHARES, base),
        third=draw_contrasting(random, TOP_SHARES, base),
        seed=float(random.uniform(0, 60)),
    )
    draw = random.random()
    if "denim" in base.name:
        fade = float(choose(random, [0.0, 0.3, 0.6], [1, 1, 1]))
        return replace(fabric, fade=fade, grain=0.22)
    if draw < 0.06:
        return replace(fabric, pattern="side stripe", duty=0.2)
    if draw < 0.08:
        return replace(fabric, pattern="plaid", frequency=0.9)
    if draw < 0.09:
        olive = Paint("olive", (0.09, 0.09, 0.04))
        return replace(fabric, pattern="camouflage", frequency=0.8, second=olive)
    return fabric


def _hosiery(random: np.random.Generator, share: float) -> Fabric | None:
    """Tights below a skirt, for a share of those who wear one."""
    if random.random() >= share:
        return None
    return Fabric.plain(draw_paint(random, HOSIERY_SHARES), grain=0.05)


def _over_skirt(top: Top, cut: Skirt) -> Top:
    """A top that is tucked in or ends at the waist of a skirt."""
    top = replace(top, hem=cut.waist - 0.35)
    if top.kind in ("hoodie", "jacket", "coat"):
        return top
    return replace(top, offset=min(top.offset, 0.12), looseness=min(top.looseness, 0.2))


def _bare_feet(bottom: Bottom) -> bool:
    """Whether it is summer below the knee."""
    if bottom.hosiery is not None:
        return False
    return isinstance(bottom.cut, Skirt) or bottom.cut.length < 1.8


def _shoes(random: np.random.Generator, bottom: Bottom) -> Shoes:
    paint = draw_paint(random, SHOE_SHARES)
    fabric = Fabric(
        base=paint,
        second=draw_paint(random, SOLE_SHARES),
        third=draw_contrasting(random, SHOE_SHARES, paint),
        specular=0.06,
        gloss=20,
        sole_line=float(choose(random, [-7.9, -8.0, -8.3], [1, 1, 1])),
        stripe=float(choose(random, [0.0, 0.12, 0.2], [2, 1, 1])),
    )
    offset, sole = float(random.uniform(0.09, 0.14)), float(random.uniform(0.05, 0.2))
    if random.random() < 0.12:
        rim = float(random.uniform(1.45, 1.8))
        return Shoes(kind="boots", fabric=fabric, top=rim, offset=offset, sole=sole)
    if _bare_feet(bottom) and random.random() < 0.25:
        return Shoes(kind="sandals", fabric=fabric, offset=offset, sole=sole)
    rim = float(choose(random, [1.995, 1.97, 1.9], [1, 1, 1]))
    kind = "low shoes" if rim > 1.99 else "sneakers"
    shoes = Shoes(kind=kind, fabric=fabric, top=rim, offset=offset, sole=sole)
    if bottom.kind == "shorts" and random.random() < 0.5:
        socks = Fabric.plain(draw_paint(random, SOCK_SHARES))
        return replace(shoes, socks=float(random.uniform(0.06, 0.3)), sock_fabric=socks)
    return shoes
