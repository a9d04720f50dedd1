"""What stands between camera and person: a passer-by, a pole, a hedge, a railing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dgnet.people.arrays import Floats
from dgnet.people.images import blurred, paste
from dgnet.people.scene import Occluder
from dgnet.people.shading.light import Light

ADULT = 18.5
"""Decimeters that the picture of an adult stranger shows."""


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A stranger before a camera, ready to be pasted."""

    color: Floats  # (256, 128, 4) premultiplied linear RGB, coverage
    decimeters: float  # that its rows show


def occluder_layer(
    occluder: Occluder, light: Light, height: int, width: int, sprites: Callable[[int], Sprite]
) -> Floats:
    """Premultiplied linear RGB and coverage (H, W, 4)."""
    layer = np.zeros((height, width, 4), np.float32)
    random = np.random.default_rng(occluder.seed)
    color = np.array(occluder.color) * light.sky[1]
    match occluder.kind:
        case "person":
            column, row = occluder.x * width, occluder.y * height
            sprite = sprites(occluder.sprite)
            size = occluder.size * height * sprite.decimeters / ADULT
            paste(layer, sprite.color, column, row, size)
        case "pole":
            half = max(1, int(occluder.size * width))
            middle = int(occluder.x * width)
            columns = np.arange(max(0, middle - half), min(width, middle + half))
            across = (columns + 0.5 - middle) / half
            shade = 0.55 + 0.45 * np.sqrt(np.maximum(0, 1 - across**2))
            layer[:, columns, :3] = (color * shade[:, None]).astype(np.float32)
            layer[:, columns, 3] = 1
        case "hedge":
            layer = _hedge(occluder, color, height, width, random)
        case "railing":
            layer = _railing(occluder, color, height, width)
    return layer


def _noise(random: np.random.Generator, rows: int, columns: int, height: int, width: int) -> Floats:
    coarse = random.random((max(2, rows), max(2, columns))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _hedge(
    occluder: Occluder,
    color: np.ndarray[tuple[int], np.dtype[np.float64]],
    height: int,
    width: int,
    random: np.random.Generator,
) -> Floats:
    edge = occluder.y * height
    edge = edge + height * 0.06 * (_noise(random, 2, 6, 2, width)[0] - 0.5)
    edge = edge + height * 0.03 * (_noise(random, 2, 24, 2, width)[0] - 0.5)
    rows = np.arange(height)[:, None]
    coverage = np.clip(rows + 0.5 - edge[None], 0, 1)
    leaves = 0.25 + 0.9 * _noise(random, height // 3, width // 3, height, width)
    leaves *= 0.5 + _noise(random, height // 8, width // 8, height, width)
    layer = np.concatenate([color * leaves[:, :, None], np.ones((height, width, 1))], axis=2)
    return (layer * coverage[:, :, None]).astype(np.float32)


def _railing(
    occluder: Occluder,
    color: np.ndarray[tuple[int], np.dtype[np.float64]],
    height: int,
    width: int,
) -> Floats:
    """A loop of steel tube: two posts and two bars, as at the edges of bicycle parks."""
    row, column = np.mgrid[:height, :width] + 0.5
    top, thick = occluder.y * height, max(1.0, occluder.size * height / 2)
    left = (occluder.x - 0.25) * width
    right = left + 0.8 * width
    bars = np.minimum(np.abs(row - top), np.abs(row - top - 0.11 * height))
    posts = np.minimum(np.abs(column - left), np.abs(column - right))
    within = (column > left - thick) & (column < right + thick)
    on_bar = np.where(within, bars, np.inf)
    on_post = np.where(row > top, posts, np.inf)
    distance = np.minimum(on_bar, on_post)
    coverage = np.clip(thick + 0.5 - distance, 0, 1)
    shine = 0.5 + 0.7 * np.clip(1 - distance / thick, 0, 1)
    layer = np.concatenate([color * shine[:, :, None], np.ones((height, width, 1))], axis=2)
    return blurred((layer * coverage[:, :, None]).astype(np.float32), 0.4)
