"""What training of the judge does to pictures, so that it works on pictures no renderer made.

Another crop, another resolution, JPEG, another camera's colors and light, noise, and erasing. Far
stronger than the training transform of DG-Net (`dgnet.model.data.transforms`): nothing has to be
painted again from these.

B batch, H x W pixels; pixels are uint8 (B, H, W, 3) RGB.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from dgnet.arrays import AnyFloats, Pixels
from dgnet.model.data.transforms import normalize, random_erasing
from dgnet.pictures import open_picture
from dgnet.pictures.jpeg import jpeg

_COARSER_SHARE, _COARSEST = 0.35, 3.0
_JPEG_SHARE, _JPEG_QUALITIES = 0.35, (15, 75)
_DARK_SHARE, _PALE_SHARE = 0.15, 0.15
_ERASED_SHARE = 0.4
_LUMA = (0.299, 0.587, 0.114)


def augmented(pixels: Pixels, random: np.random.Generator, *, coarse: bool = False) -> Tensor:
    """Normalized images (B, 3, H, W), each changed in its own way; of half the size if coarse."""
    recorded = np.stack([_recorded(picture, random) for picture in pixels])
    levels = torch.as_tensor(recorded).permute(0, 3, 1, 2).contiguous() / 255  # (B, 3, H, W)
    if coarse:
        levels = functional.avg_pool2d(levels, 2)
    grain = torch.Generator().manual_seed(int(random.integers(2**62)))
    levels = _developed(_cropped(levels, random), random, grain)
    images = normalize((levels * 255).round().to(torch.uint8).permute(0, 2, 3, 1))
    return random_erasing(images, grain, probability=_ERASED_SHARE, area=(0.02, 0.25))


def _recorded(picture: Pixels, random: np.random.Generator) -> Pixels:
    """One picture (H, W, 3) at a lower resolution and after JPEG, each by chance."""
    coarser, compressed = random.random(2) < (_COARSER_SHARE, _JPEG_SHARE)
    factor, quality = random.uniform(1, _COARSEST), int(random.integers(*_JPEG_QUALITIES))
    if not coarser and not compressed:
        return picture
    image = Image.fromarray(picture)
    if coarser:
        small = (round(image.width / factor), round(image.height / factor))
        image = image.resize(small, Image.Resampling.BOX).resize(
            image.size, Image.Resampling.BICUBIC
        )
    if compressed:
        image = open_picture(jpeg(image, quality=quality, subsampling="4:2:0")).rgb()
    return np.asarray(image)


def _cropped(levels: Tensor, random: np.random.Generator) -> Tensor:
    """Mirrored by chance, and cut as another detector would."""
    batch = len(levels)
    mirrored = np.where(random.random(batch) < 0.5, -1.0, 1.0)
    scale = random.uniform(0.8, 1.1, (2, batch))  # of height and width
    shift = random.uniform(-0.1, 0.1, (2, batch))
    corners = np.zeros((batch, 2, 3), np.float32)
    corners[:, 0, 0], corners[:, 0, 2] = scale[1] * mirrored, shift[1]
    corners[:, 1, 1], corners[:, 1, 2] = scale[0], shift[0]
    grid = functional.affine_grid(torch.as_tensor(corners), list(levels.shape), align_corners=False)
    return functional.grid_sample(levels, grid, padding_mode="border", align_corners=False)


def _developed(levels: Tensor, random: np.random.Generator, grain: torch.Generator) -> Tensor:
    """Light, contrast, white balance, saturation and noise of another camera, in 0..1."""
    batch = len(levels)

    def each(values: AnyFloats) -> Tensor:
        return torch.as_tensor(values.reshape(batch, -1, 1, 1).astype(np.float32))

    fate = random.random(batch)
    dark = fate < _DARK_SHARE
    pale = (fate >= _DARK_SHARE) & (fate < _DARK_SHARE + _PALE_SHARE)
    exposure = np.where(dark, random.uniform(0.2, 0.6, batch), np.exp(random.normal(0, 0.2, batch)))
    contrast = np.where(pale, random.uniform(0.35, 0.7, batch), random.uniform(0.8, 1.25, batch))
    lift = np.where(pale, random.uniform(0.55, 0.8, batch), 0.5)  # where the middle gray goes
    casts = np.exp(random.normal(0, 0.08, (batch, 3)))
    saturation = random.uniform(0.5, 1.3, batch)
    gamma = np.exp(random.normal(0, 0.2, batch))
    noise = np.where(dark, random.uniform(0.01, 0.04, batch), random.uniform(0, 0.02, batch))

    gray = (levels * torch.tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    levels = gray + (levels - gray) * each(saturation)
    levels = (levels * each(casts)).clamp(1e-3, 1).pow(each(gamma))
    levels = (levels * each(exposure) - 0.5) * each(contrast) + each(lift)
    drawn = torch.randn(levels.shape, generator=grain)
    return (levels + drawn * each(noise)).clamp(0, 1)
