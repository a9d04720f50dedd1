"""Recipe 3's clothes: the cuts of `dgnet.people.drawing.appearance` in other fabrics.

More than half of all clothes have a pattern, a print or blocks of color; paints are of more hues,
and fabrics shine, are heathered or quilted. What is cut is drawn before: see `draw_appearance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dgnet.people.clothes.outfit import Appearance, Bottom, Skirt, Top, TopKind
from dgnet.people.colors import (
    DARK_SHARES,
    PALETTE,
    WIDE_BOTTOM_SHARES,
    WIDE_TOP_SHARES,
    Paint,
    draw_contrasting,
    draw_paint,
    draw_wide_paint,
    linear,
)
from dgnet.people.drawing.appearance import draw_appearance
from dgnet.people.drawing.prints import draw_print
from dgnet.people.materials import Fabric, PatternName
from dgnet.people.randomness import choose, choose_from

KINDS: dict[TopKind, float] = {
    "t-shirt": 34, "polo": 8, "shirt": 11, "long sleeves": 14, "hoodie": 11, "jacket": 13,
    "coat": 5, "tank": 4,
}  # fmt: skip
OUTER: tuple[TopKind, ...] = ("hoodie", "jacket", "coat")
LIGHT: dict[PatternName, float] = {
    "plain": 38, "lines": 19, "plaid": 7, "gingham": 3, "windowpane": 3, "dots": 4, "flowers": 5,
    "spots": 2, "print": 3.5, "large print": 3, "gradient": 2, "blocks": 2.5, "band": 5,
    "halves": 1.5, "panels": 3, "yoke": 4, "patches": 3, "argyle": 1.2, "checkerboard": 1.2,
    "camouflage": 1.6, "houndstooth": 0.8,
}  # fmt: skip
HEAVY: dict[PatternName, float] = {
    "plain": 42, "quilted": 10, "plaid": 8, "lines": 6, "yoke": 7, "panels": 5, "patches": 5,
    "band": 5, "blocks": 2.5, "high visibility": 2.5, "camouflage": 3, "houndstooth": 2,
    "windowpane": 1.5, "large print": 1.5, "flowers": 1, "halves": 1, "print": 1,
}  # fmt: skip
BELOW: dict[PatternName, float] = {
    "plain": 46, "side stripe": 9, "plaid": 7, "lines": 9, "camouflage": 5, "flowers": 5,
    "print": 4, "large print": 2.5, "panels": 4, "dots": 2, "houndstooth": 2, "gingham": 2,
    "spots": 2, "windowpane": 1.5, "checkerboard": 0.6, "gradient": 1,
}  # fmt: skip
SKIRTS: dict[PatternName, float] = {
    "plain": 36, "lines": 14, "plaid": 12, "flowers": 12, "dots": 6, "print": 6, "large print": 4,
    "gingham": 4, "houndstooth": 2, "spots": 3, "camouflage": 1.5, "gradient": 2,
}  # fmt: skip
PRINTS_ON_PLAIN, PRINTS_ON_PATTERN, PRINTS_ON_OUTER = 0.62, 0.12, 0.42
DARK_OUTFITS = 0.16
HIGH_VISIBILITY = {"neon yellow": 3, "lime": 1, "orange": 2}


def draw_varied_appearance(random: np.random.Generator, feminine: bool, child: bool) -> Appearance:
    """Clothes of all patterns, shoes, and colors of skin and hair."""
    worn = draw_appearance(random, feminine, child, KINDS)
    dark = random.random() < DARK_OUTFITS and not child
    tops = DARK_SHARES if dark else WIDE_TOP_SHARES
    top = _top(random, worn.top, tops)
    inner = worn.inner
    if inner is not None:
        shares = WIDE_TOP_SHARES if random.random() < 0.6 else tops
        fabric = _printed(random, draw_varied_fabric(random, shares, LIGHT), PRINTS_ON_PLAIN)
        inner = replace(inner, fabric=fabric)
    if worn.bottom.kind == "dress":  # one cloth from neck to hem
        bottom = replace(worn.bottom, fabric=replace(top.fabric, motif=None))
    else:
        bottom = _bottom(random, worn.bottom, DARK_SHARES if dark else WIDE_BOTTOM_SHARES)
    return replace(worn, top=top, inner=inner, bottom=bottom)


def patterned(fabric: Fabric) -> bool:
    """Whether there is more to see than one color."""
    return fabric.pattern != "plain" or fabric.motif is not None


def _top(random: np.random.Generator, top: Top, shares: Mapping[str, float]) -> Top:
    """The same cut in another fabric; button rows and cuffs are of the cut."""
    outer = top.kind in OUTER
    fabric = draw_varied_fabric(random, shares, HEAVY if outer else LIGHT)
    if fabric.pattern == "plain":
        fabric = _printed(random, fabric, PRINTS_ON_OUTER if outer else PRINTS_ON_PLAIN)
    else:
        fabric = _printed(random, fabric, 0.0 if outer else PRINTS_ON_PATTERN)
    raglan = fabric.pattern in ("plain", "band", "blocks") and random.random() < 0.14
    kept = top.fabric
    return replace(top, fabric=replace(fabric, raglan=raglan, placket=kept.placket, cuff=kept.cuff))


def _bottom(random: np.random.Generator, bottom: Bottom, shares: Mapping[str, float]) -> Bottom:
    patterns = SKIRTS if isinstance(bottom.cut, Skirt) else BELOW
    fabric = draw_varied_fabric(random, shares, patterns)
    if "denim" in fabric.base.name and random.random() < 0.75:
        fade = float(choose(random, [0.0, 0.3, 0.6, 0.9], [1, 1, 1, 0.6]))
        fabric = replace(fabric, pattern="plain", fade=fade, grain=float(random.uniform(0.15, 0.4)))
    return replace(bottom, fabric=fabric)


def _printed(random: np.random.Generator, fabric: Fabric, share: float) -> Fabric:
    return replace(fabric, motif=draw_print(random)) if random.random() < share else fabric


def draw_varied_fabric(
    random: np.random.Generator,
    shares: Mapping[str, float],
    patterns: Mapping[PatternName, float],
) -> Fabric:
    """A fabric with a pattern by share, of some material."""
    pattern = choose_from(random, patterns)
    base = draw_wide_paint(random, shares)
    second, third = (_beside(random, base, shares) for _ in range(2))
    if pattern == "high visibility":
        base = draw_paint(random, HIGH_VISIBILITY)
        second = draw_paint(random, {"light grey": 1}, 0.05)
    elif pattern == "camouflage" and random.random() < 0.7:
        base, second, third = (draw_paint(random, {name: 1}, 0.2) for name in _hunting(random))
    elif pattern == "quilted":
        second = base.scaled(float(random.uniform(0.3, 0.6)))
    grain, specular, gloss = _finish(random, base, pattern)
    fabric = Fabric(
        base=base,
        second=second,
        third=third,
        pattern=pattern,
        grain=grain,
        specular=specular,
        gloss=gloss,
        seed=float(random.uniform(0, 60)),
    )
    return _sized(random, fabric)


def _beside(random: np.random.Generator, base: Paint, shares: Mapping[str, float]) -> Paint:
    """Another paint of a fabric: black or white, tone in tone, or any that contrasts."""
    draw = random.random()
    if shares is DARK_SHARES:
        draw *= 0.6  # seldom anything bright
    if draw < 0.24:
        return base.scaled(float(random.uniform(0.35, 0.65) if draw < 0.12 else
                                 random.uniform(1.5, 2.4)))  # fmt: skip
    if draw < 0.48:
        light = float(np.mean(base.rgb))
        name = "white" if light < 0.15 or (light < 0.4 and draw < 0.36) else "black"
        r, g, b = (float(c) for c in linear(PALETTE[name]))
        return Paint(name, (r, g, b))
    return draw_contrasting(random, WIDE_TOP_SHARES, base, 0.4)


def _hunting(random: np.random.Generator) -> tuple[str, str, str]:
    """Paints of a camouflage."""
    return choose(
        random,
        [("olive", "forest green", "khaki"), ("grey", "charcoal", "light grey"),
         ("sand", "brown", "khaki")],
        [3, 1, 1],
    )  # fmt: skip


def _finish(
    random: np.random.Generator, base: Paint, pattern: PatternName
) -> tuple[float, float, float]:
    """Mottling, highlight and its exponent: cotton, heathered, knitted, shiny or leather."""
    uniform = random.uniform
    draw = random.random()
    if pattern == "quilted":
        return 0.06, float(uniform(0.05, 0.2)), 9.0
    if draw < 0.58:
        return float(uniform(0.03, 0.12)), 0.02, 12.0
    if draw < 0.76:
        return float(uniform(0.2, 0.45)), 0.01, 12.0
    if draw < 0.92:
        return float(uniform(0.03, 0.08)), float(uniform(0.06, 0.16)), float(uniform(8, 20))
    dark = float(np.mean(base.rgb)) < 0.1
    return 0.1, float(uniform(0.15, 0.35)) if dark else 0.05, 16.0


def _sized(random: np.random.Generator, fabric: Fabric) -> Fabric:
    """Sizes that fit the pattern, each from a wide range."""
    uniform = random.uniform

    def between(low: float, high: float) -> float:
        """Evenly in logarithms."""
        return float(np.exp(uniform(float(np.log(low)), float(np.log(high)))))

    phase = float(random.random())
    match fabric.pattern:
        case "lines":
            angle = float(choose(
                random, [0.0, np.pi / 2, uniform(0.2, 1.4), -uniform(0.2, 1.4)], [6, 3, 0.7, 0.7]
            ))  # fmt: skip
            return replace(
                fabric,
                frequency=between(0.28, 2.6),
                duty=float(choose(random, [uniform(0.12, 0.3), uniform(0.3, 0.65)], [1, 1.6])),
                phase=phase,
                angle=angle,
                accent=float(choose(random, [0.0, uniform(0.08, 0.3)], [2, 1])),
            )
        case "plaid" | "gingham":
            return replace(fabric, frequency=between(0.5, 1.9))
        case "windowpane":
            accent = float(choose(random, [0.0, uniform(0.05, 0.1)], [1, 1]))
            return replace(
                fabric, frequency=between(0.5, 1.4), duty=float(uniform(0.08, 0.18)), phase=phase,
                accent=accent,
            )  # fmt: skip
        case "dots":
            return replace(fabric, frequency=between(0.6, 1.9), duty=float(uniform(0.35, 0.75)))
        case "flowers":
            return replace(
                fabric, frequency=between(0.5, 1.5), duty=float(uniform(0.25, 0.5)), phase=phase
            )
        case "spots":
            return replace(fabric, frequency=between(0.7, 1.6), duty=float(uniform(0.15, 0.4)))
        case "print":
            return replace(fabric, frequency=between(0.6, 2.0))
        case "large print":
            return replace(fabric, frequency=between(0.25, 0.55))
        case "camouflage":
            return replace(fabric, frequency=between(0.5, 1.1))
        case "argyle" | "checkerboard":
            return replace(fabric, frequency=between(0.5, 1.2), phase=phase)
        case "houndstooth":
            return replace(fabric, frequency=between(0.7, 1.4))
        case "gradient":
            return replace(fabric, frequency=between(0.4, 1.2), phase=float(uniform(1.5, 3.5)))
        case "blocks":
            return replace(fabric, phase=float(uniform(1.6, 4.4)))
        case "quilted":
            accent = float(choose(random, [0.0, 1.0], [3, 1]))
            return replace(fabric, frequency=between(0.7, 1.6), phase=phase, accent=accent)
        case _:
            return _blocked(random, fabric)


def _blocked(random: np.random.Generator, fabric: Fabric) -> Fabric:
    """Places of blocks of color."""
    uniform = random.uniform
    edged = float(choose(random, [0.0, uniform(0.12, 0.35)], [1, 1]))
    match fabric.pattern:
        case "side stripe":
            return replace(fabric, duty=float(uniform(0.12, 0.35)))
        case "band":
            return replace(
                fabric, phase=float(uniform(1.8, 4.0)), duty=float(uniform(0.2, 0.8)), accent=edged
            )
        case "halves":
            return replace(fabric, phase=float(uniform(-0.3, 0.3)))
        case "panels":
            return replace(fabric, duty=float(uniform(0.25, 0.7)), accent=0.5 * edged)
        case "yoke":
            return replace(
                fabric, phase=float(uniform(3.4, 4.6)), angle=float(uniform(-0.5, 0.6)),
                accent=edged,
            )  # fmt: skip
        case "patches":
            return replace(fabric, phase=float(uniform(3.0, 4.2)), duty=float(uniform(0.6, 1.8)))
        case "high visibility":
            return replace(fabric, phase=float(uniform(2.6, 3.2)), duty=float(uniform(0.2, 0.3)))
        case _:
            return fabric
