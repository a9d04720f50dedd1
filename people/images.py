"""Filters on float pictures (H, W, C) and (H, W), in linear light."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dgnet.people.arrays import Bools, Doubles, Floats
from dgnet.people.compiled import compiled


def resized(
    image: Floats, height: int, width: int, filter_: Image.Resampling = Image.Resampling.BOX
) -> Floats:
    """Another size (H', W', C); the box filter averages areas when reducing."""
    channels = image if image.ndim == 3 else image[:, :, None]
    if channels.shape[:2] == (height, width):
        return image
    planes = [
        np.asarray(Image.fromarray(channels[:, :, k]).resize((width, height), filter_))
        for k in range(channels.shape[2])
    ]
    stacked = np.stack(planes, axis=2)
    return stacked if image.ndim == 3 else stacked[:, :, 0]


def blurred(image: Floats, sigma: float) -> Floats:
    """Gaussian blur by `sigma` pixels; the border repeats. Below 0.1 the picture itself."""
    if sigma < 0.1:
        return image
    radius = max(1, int(np.ceil(2.6 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    channels = np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])
    turned = np.ascontiguousarray(_across(channels, taps).transpose(1, 0, 2))
    out = np.ascontiguousarray(_across(turned, taps).transpose(1, 0, 2))
    return out if image.ndim == 3 else out[:, :, 0]


def streaked(image: Floats, length: int) -> Floats:
    """Motion blur: the mean over `length` columns, an odd number."""
    return _across(np.ascontiguousarray(image), np.full(length, 1 / length))


def paste(picture: Floats, sprite: Floats, column: float, row: float, size: float) -> None:
    """Draw a premultiplied sprite (h, w, 4), half as wide as high, into a picture (H, W, 3 or 4).

    `column` and `row` are the middle of its lower edge, `size` is its height in pixels.
    """
    rows, columns = int(size), int(size / 2)
    if rows < 8:
        return
    small = resized(sprite, rows, columns)
    top, left = int(row - rows), int(column - columns / 2)
    first_row, first_column = max(0, top), max(0, left)
    last_row = min(picture.shape[0], top + rows)
    last_column = min(picture.shape[1], left + columns)
    if last_row <= first_row or last_column <= first_column:
        return
    part = small[first_row - top : last_row - top, first_column - left : last_column - left]
    under = picture[first_row:last_row, first_column:last_column]
    under *= 1 - part[:, :, 3:]
    under += part[:, :, : picture.shape[2]]


@compiled
def eroded(mask: Bools, radius: int) -> Bools:
    """Pixels (H, W) whose whole square of 2 radius + 1 is set; outside counts as set."""
    height, width = mask.shape
    rows = mask.copy()
    for i in range(height):
        clear = -2 * radius - 1  # the last column that is not set
        for j in range(width + radius):
            if j < width and not mask[i, j]:
                clear = j
            if 0 <= j - radius < width:
                rows[i, j - radius] = clear < j - 2 * radius
    out = rows.copy()
    for j in range(width):
        clear = -2 * radius - 1
        for i in range(height + radius):
            if i < height and not rows[i, j]:
                clear = i
            if 0 <= i - radius < height:
                out[i - radius, j] = clear < i - 2 * radius
    return out


@compiled
def _across(image: Floats, taps: Doubles) -> Floats:
    height, width, channels = image.shape
    radius = len(taps) // 2
    out = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                total = 0.0
                for k in range(len(taps)):
                    column = min(width - 1, max(0, j + k - radius))
                    total += taps[k] * image[i, column, c]
                out[i, j, c] = total
    return out
