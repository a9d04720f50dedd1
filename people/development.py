"""Develops a picture as a cheap surveillance camera would: lens, sensor, tone, sharpening, JPEG.

A camera's habits are fixed (`Sensor`); every picture varies them a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dgnet.people.arrays import Floats, Pixels
from dgnet.people.images import blurred, resized, streaked
from dgnet.pictures import open_picture
from dgnet.pictures.jpeg import jpeg

KNEE = 0.7
"""Linear light above which highlights are compressed."""
REFERENCE_HEIGHT = 128.0
"""Blur and grain are given in pixels of pictures of this height."""


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Habits of one camera; gains of linear light, the rest of sRGB in [0, 1]."""

    exposure: float
    cast: tuple[float, float, float]  # gain of each channel
    resolution: float  # share of the picture's pixels that were recorded
    blur: float  # pixels
    gamma: float
    contrast: float
    black: float  # lift of the darkest tone
    saturation: float
    noise: float  # standard deviation
    sharpening: float
    quality: int  # of JPEG


def develop(linear: Floats, sensor: Sensor, exposure: float, random: np.random.Generator) -> Pixels:
    """Linear light (H, W, 3) to sRGB pixels (H, W, 3); `exposure` is the picture's own gain."""
    height, width = linear.shape[:2]
    scale = height / REFERENCE_HEIGHT
    gain = np.array(sensor.cast, np.float32) * np.float32(sensor.exposure * exposure)
    image: Floats = _recorded((linear * gain).astype(np.float32), sensor, random)
    softness = 0.7 * sensor.blur * scale * float(np.exp(random.normal(0, 0.2)))
    image = blurred(image, max(0.25, softness))
    if random.random() < 0.15:
        image = streaked(image, int(random.choice([3, 3, 5]) * scale) | 1)
    tone = _toned(image, sensor)
    noise = 0.5 * random.standard_normal((height, width, 3))
    noise += 0.7 * random.standard_normal((height, width, 1))
    tone = (tone + 1.2 * sensor.noise * blurred(noise.astype(np.float32), 0.45 * scale)).astype(
        np.float32
    )
    if sensor.sharpening > 0:
        tone = tone + sensor.sharpening * (tone - blurred(tone, 0.9 * scale))
    return (np.clip(tone, 0, 1) * 255 + 0.5).astype(np.uint8)


def _recorded(image: Floats, sensor: Sensor, random: np.random.Generator) -> Floats:
    """Fewer pixels, enlarged again: the person was small in the frame."""
    height, width = image.shape[:2]
    share = sensor.resolution * float(np.exp(random.normal(0, 0.12)))
    if height > REFERENCE_HEIGHT:
        share *= 1.5 * REFERENCE_HEIGHT / height
    if share >= 0.95:
        return image
    rows, columns = max(24, int(height * share)), max(12, int(width * share))
    small = resized(image, rows, columns)
    enlarged = resized(small, height, width, Image.Resampling.BICUBIC)
    return np.maximum(enlarged, 0).astype(np.float32)


def _toned(image: Floats, sensor: Sensor) -> Floats:
    """Highlight shoulder, sRGB curve, gamma, contrast and saturation."""
    shoulder = KNEE + (1 - KNEE) * (1 - np.exp(-np.maximum(image - KNEE, 0) / (1 - KNEE)))
    light = np.where(image < KNEE, image, shoulder)
    dark = light * 12.92
    bright = 1.055 * np.power(np.maximum(light, 1e-5), 1 / 2.4) - 0.055
    tone = np.clip(np.where(light < 0.0031, dark, bright), 0, 1)
    tone = np.power(tone, sensor.gamma)
    tone = (tone - 0.45) * sensor.contrast + 0.45 + sensor.black
    gray = (0.3 * tone[:, :, 0] + 0.59 * tone[:, :, 1] + 0.11 * tone[:, :, 2])[:, :, None]
    return (gray + (tone - gray) * sensor.saturation).astype(np.float32)


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """RGB pixels (H, W, 3) as JPEG with halved color planes, as cameras write it."""
    return jpeg(Image.fromarray(pixels), quality=quality, subsampling="4:2:0")


def decode_jpeg(data: bytes) -> Pixels:
    """Pixels (H, W, 3) of a JPEG."""
    return np.array(open_picture(data).rgb())  # a copy: loaders want to write
