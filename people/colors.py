"""Colors: named paints in linear light, and how often clothes have them.

Shares are a rough count of what pedestrians wear in summer; every draw varies lightness and hue a
little, so that two navy shirts are not the same navy.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dgnet.people.arrays import AnyFloats, Doubles
from dgnet.people.randomness import choose_from

RGB = tuple[float, float, float]


def linear(srgb: RGB | AnyFloats) -> Doubles:
    """sRGB in [0, 255] to linear light in [0, 1]."""
    c = np.asarray(srgb, np.float64) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_srgb(color: RGB | AnyFloats) -> Doubles:
    """Linear light in [0, 1] to sRGB in [0, 255]."""
    c = np.clip(np.asarray(color, np.float64), 0, 1)
    return 255 * np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class Paint:
    """A color with the name of the palette entry that it varies; linear light."""

    name: str
    rgb: RGB

    @property
    def hexadecimal(self) -> str:
        """Like #1e2442, in sRGB."""
        return "#" + "".join(f"{round(float(c)):02x}" for c in to_srgb(self.rgb))

    def scaled(self, factor: float) -> Paint:
        """Lighter or darker, same name."""
        r, g, b = (min(0.85, max(0.006, c * factor)) for c in self.rgb)
        return Paint(self.name, (r, g, b))


PALETTE: dict[str, RGB] = {
    "black": (24, 24, 26), "charcoal": (52, 53, 56), "grey": (122, 123, 125),
    "light grey": (176, 177, 178), "white": (228, 228, 226), "navy": (30, 36, 66),
    "blue": (40, 78, 150), "royal blue": (30, 64, 190), "sky blue": (128, 172, 214),
    "teal": (28, 112, 116), "green": (38, 104, 58), "olive": (92, 92, 54), "lime": (142, 180, 60),
    "yellow": (222, 190, 52), "orange": (214, 110, 38), "red": (178, 32, 36),
    "maroon": (100, 26, 36), "pink": (222, 138, 160), "hot pink": (206, 52, 112),
    "purple": (92, 52, 126), "lilac": (172, 150, 202), "brown": (92, 62, 42),
    "tan": (168, 134, 96), "beige": (206, 188, 156), "cream": (232, 222, 196),
    "mint": (156, 210, 184), "denim": (62, 84, 122), "light denim": (118, 142, 178),
    "dark denim": (36, 44, 66),
    "turquoise": (44, 172, 176), "coral": (236, 118, 96), "salmon": (230, 160, 138),
    "mustard": (196, 150, 48), "khaki": (150, 136, 96), "burgundy": (86, 24, 44),
    "neon yellow": (214, 236, 44), "neon pink": (248, 62, 140), "rose": (196, 104, 124),
    "sand": (216, 196, 162), "lavender": (190, 178, 222), "forest green": (28, 66, 44),
    "petrol": (20, 74, 88), "brick": (150, 70, 52), "rust": (160, 82, 38), "ivory": (240, 234, 216),
}  # fmt: skip
TOP_SHARES = {
    "black": 16, "charcoal": 7, "grey": 8, "light grey": 5, "white": 16, "navy": 7, "blue": 6,
    "royal blue": 2.5, "sky blue": 4, "teal": 2, "green": 3.5, "olive": 2, "lime": 1, "yellow": 2.5,
    "orange": 2, "red": 6, "maroon": 2.5, "pink": 4, "hot pink": 1.5, "purple": 2.5, "lilac": 1.5,
    "brown": 2, "tan": 2, "beige": 3, "cream": 2, "mint": 1.5,
}  # fmt: skip
BOTTOM_SHARES = {
    "black": 19, "charcoal": 8, "grey": 5, "light grey": 2, "white": 3, "navy": 7, "denim": 14,
    "light denim": 6, "dark denim": 10, "tan": 4, "beige": 5, "olive": 3, "brown": 3, "blue": 1.5,
    "red": 1, "pink": 0.7, "green": 0.8,
}  # fmt: skip
WIDE_TOP_SHARES = {
    **TOP_SHARES, "turquoise": 2.5, "coral": 2.5, "salmon": 2, "mustard": 2.5, "khaki": 2.5,
    "burgundy": 3, "neon yellow": 1.5, "neon pink": 1.2, "rose": 2, "sand": 2.5, "lavender": 1.5,
    "forest green": 2.5, "petrol": 2, "brick": 2, "rust": 2, "ivory": 2.5, "denim": 3,
    "light denim": 2, "dark denim": 2, "red": 8, "yellow": 4, "green": 4.5, "purple": 3.5,
}  # fmt: skip
WIDE_BOTTOM_SHARES = {
    **BOTTOM_SHARES, "khaki": 4, "sand": 3, "burgundy": 2, "forest green": 1.5, "mustard": 1,
    "petrol": 1, "brick": 1, "rust": 1, "white": 4, "light grey": 4, "red": 2.5, "pink": 2,
    "blue": 3, "green": 1.5, "ivory": 1.5, "teal": 1, "purple": 1, "yellow": 0.8, "coral": 0.8,
}  # fmt: skip
ANY_HUE = 0.22
"""Share of wide paints that are of any hue, named by the palette's nearest."""
DARK_SHARES = {"black": 12, "charcoal": 6, "navy": 5, "maroon": 1, "brown": 1.5, "dark denim": 2}
SHOE_SHARES = {
    "black": 12, "charcoal": 3, "white": 9, "light grey": 3, "grey": 3, "navy": 2, "blue": 1.5,
    "red": 1, "brown": 4, "tan": 3, "beige": 1.5, "hot pink": 0.5, "green": 0.3, "yellow": 0.3,
}  # fmt: skip
SOLE_SHARES = {"white": 8, "black": 4, "light grey": 2, "tan": 1}
SOCK_SHARES = {"white": 7, "black": 4, "grey": 2}
HOSIERY_SHARES = {"black": 5, "charcoal": 2, "beige": 1}
BAG_SHARES = {
    "black": 14, "charcoal": 6, "navy": 4, "blue": 3, "red": 3, "pink": 2, "green": 1.5,
    "purple": 1.5, "brown": 4, "tan": 2, "orange": 1, "grey": 3, "teal": 1, "white": 1.5,
}  # fmt: skip
BICYCLE_SHARES = {"black": 4, "charcoal": 2, "light grey": 3, "red": 1.5, "blue": 1.5, "green": 1}
CAR_SHARES = {"white": 4, "black": 4, "grey": 4, "maroon": 1, "blue": 1, "light grey": 3}

SKIN_TONES = np.array(
    [
        (236, 200, 176), (226, 184, 154), (212, 166, 132), (196, 146, 110),
        (170, 120, 86), (134, 90, 62), (96, 62, 44), (70, 46, 34),
    ],
    np.float64,
)  # fmt: skip
REFLECTANCE = 0.8
"""The tones are those of well-exposed portraits; skin reflects less than white paper."""
HAIR_COLORS: dict[str, RGB] = {
    "black": (22, 19, 18), "dark brown": (44, 31, 24), "brown": (78, 54, 36),
    "light brown": (120, 86, 54), "blond": (178, 144, 90), "grey": (138, 136, 134),
    "red": (118, 58, 32),
}  # fmt: skip
HAIR_SHARES = {
    "black": 12, "dark brown": 9, "brown": 5, "light brown": 2.5, "blond": 2, "grey": 1.5,
    "red": 0.8,
}  # fmt: skip


def _varied(random: np.random.Generator, rgb: Doubles, spread: float) -> RGB:
    varied = rgb * np.exp(random.normal(0, spread)) * np.exp(random.normal(0, spread * 0.4, 3))
    r, g, b = (float(c) for c in np.clip(varied, 0.006, 0.85))
    return r, g, b


def draw_paint(
    random: np.random.Generator, shares: Mapping[str, float], spread: float = 0.12
) -> Paint:
    """A paint by share, varied by `spread` (in logarithms of light)."""
    name = choose_from(random, shares)
    return Paint(name, _varied(random, linear(PALETTE[name]), spread))


def draw_wide_paint(random: np.random.Generator, shares: Mapping[str, float]) -> Paint:
    """A paint by share, varied more; or one of any hue."""
    if random.random() >= ANY_HUE or shares is DARK_SHARES:
        return draw_paint(random, shares, 0.2)
    hue, saturation = float(random.random()), float(random.beta(1.6, 1.6))
    value = 255 * float(random.uniform(0.25, 0.95))
    r, g, b = (value * c for c in colorsys.hsv_to_rgb(hue, saturation, 1.0))
    return Paint(nearest_name((r, g, b)), _varied(random, linear((r, g, b)), 0.0))


def nearest_name(srgb: RGB) -> str:
    """The palette's entry nearest to a color."""
    return min(PALETTE, key=lambda name: float(np.square(np.subtract(PALETTE[name], srgb)).sum()))


def draw_contrasting(
    random: np.random.Generator, shares: Mapping[str, float], other: Paint, least: float = 0.5
) -> Paint:
    """A paint unlike another: by `least` in some channel's logarithm, if 20 draws find one."""
    paint = other
    for _ in range(20):
        paint = draw_paint(random, shares)
        apart = np.log(np.array(paint.rgb) + 0.02) - np.log(np.array(other.rgb) + 0.02)
        if np.abs(apart).max() > least:
            break
    return paint


def draw_skin(random: np.random.Generator) -> Paint:
    """A skin tone between the eight of the table; named skin 1 (light) to skin 8."""
    place = float(np.clip(random.normal(2.0, 1.7), 0, 6.99))
    index = int(place)
    tone = SKIN_TONES[index] + (SKIN_TONES[index + 1] - SKIN_TONES[index]) * (place - index)
    r, g, b = (float(c) for c in REFLECTANCE * linear(tone))
    return Paint(f"skin {round(place) + 1}", (r, g, b))


def draw_hair_color(random: np.random.Generator) -> Paint:
    """A hair color by share."""
    name = choose_from(random, HAIR_SHARES)
    r, g, b = (float(c) for c in linear(HAIR_COLORS[name]) * np.exp(random.normal(0, 0.15)))
    return Paint(name, (r, g, b))
