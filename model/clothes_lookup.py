"""Look-up of clothes: every cell of the structure asks the cells of the appearance picture for what
it wears (not in the paper).

The appearance code is a maximum over four stripes of a backbone that was trained to tell persons
apart; patterns and brightness hardly pass it (docs/experiments.md). Here attention hands them over:
queries of the structure's cells, keys of the appearance's, and as values features together with the
very pixels of a cell. Where the structure shows what the appearance does not (a back, a bag), a
learned empty cell answers.

The truth is lit by the structure's light and seen by its camera, the looked-up pixels by the
appearance's; a map from color to color, predicted from both pictures' tones, brings them over.

Legend: B batch, C decoder channels, N = h w cells of 4 x 4 pixels, D values of a key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dgnet.model.blocks import ConvolutionBlock, ResidualBlock, initialize_kaiming
from dgnet.model.config import STRUCTURE_STRIDE
from dgnet.model.rows import Rows

CELL = STRUCTURE_STRIDE
PIXELS = 3 * CELL * CELL
FEATURES = 64
KEY = 64
"""D."""
TONE = 32
NARROW = 96
"""Channels that the backbone's maps are narrowed to."""
FREQUENCIES = (1, 2, 4)
PLACE = 4 * len(FREQUENCIES)
STARTING_SHARPNESS = 3.0
"""Logarithm of what cosines are multiplied with before the softmax."""


def places(rows: int, columns: int, like: Tensor) -> Tensor:
    """Sine and cosine of the place in the picture (B, PLACE, rows, columns)."""
    y = torch.linspace(-1, 1, rows, device=like.device)[:, None].expand(rows, columns)
    x = torch.linspace(-1, 1, columns, device=like.device)[None].expand(rows, columns)
    waves = [
        wave(math.pi * frequency * axis / 2)
        for frequency in FREQUENCIES
        for axis in (y, x)
        for wave in (torch.sin, torch.cos)
    ]
    return torch.stack(waves).to(like.dtype).expand(like.shape[0], -1, -1, -1)


def _as_maps(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, N, D) to (B, D, h, w)."""
    batch, _, values = cells.shape
    return cells.transpose(1, 2).reshape(batch, values, *size)


def _head(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        ConvolutionBlock(inputs + PLACE + NARROW, FEATURES, 3),
        ResidualBlock(FEATURES, normalization="none"),
        nn.Conv2d(FEATURES, KEY, 1),
    )


@dataclass(frozen=True)
class Clothes(Rows):
    """What a batch of structures found."""

    maps: Tensor
    """(B, C, h, w), to be added to the decoder's maps."""
    colors: Tensor
    """(B, 3, h, w), the mean color of each cell, float32."""
    pixels: Tensor
    """(B, 3, H, W), float32: the cells' pixels side by side."""

    def mixed(self, other: Clothes, shares: Tensor) -> Clothes:
        """Both mixed row by row, with `shares` (B,) of the other's."""
        weights = shares[:, None, None, None]
        pairs = zip(self.tensors(), other.tensors(), strict=True)
        return Clothes(*(torch.lerp(own, theirs, weights.to(own.dtype)) for own, theirs in pairs))


class ClothesLookup(nn.Module):
    """Keys and values of appearances, queries of structures, and what these find."""

    def __init__(self, decoder_channels: int, tap_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = nn.Sequential(
            ConvolutionBlock(3, FEATURES // 2, 3, stride=2),
            ConvolutionBlock(FEATURES // 2, FEATURES, 3, stride=2),
            ResidualBlock(FEATURES, normalization="none"),
        )
        self.narrow = nn.Sequential(
            nn.GroupNorm(4, sum(tap_channels)), nn.Conv2d(sum(tap_channels), NARROW, 1)
        )
        self.even = nn.GroupNorm(4, decoder_channels)
        self.queries = _head(decoder_channels)
        self.keys = _head(decoder_channels + FEATURES)
        self.tone = nn.Linear(2 * FEATURES + 6, TONE)
        self.recolour = nn.Sequential(nn.Linear(2 * TONE, 64), nn.LeakyReLU(0.2), nn.Linear(64, 12))
        self.into_maps = nn.Conv2d(FEATURES + 3 + 1, decoder_channels, 1)
        initialize_kaiming(self)
        for last in (self.into_maps, self.recolour[2]):
            assert isinstance(last, nn.Conv2d | nn.Linear)
            nn.init.zeros_(last.weight)
        self.empty_key = nn.Parameter(functional.normalize(torch.randn(KEY), dim=0))
        self.empty_value = nn.Parameter(torch.zeros(FEATURES))
        self.sharpness = nn.Parameter(torch.tensor(STARTING_SHARPNESS))

    def of_appearance(
        self, images: Tensor, maps: Tensor, taps: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Keys (B, N, D), values (B, N, V) and tones (B, T) of normalized images, from their own
        structure code and the backbone's taps.
        """
        cells = self.cells(images)
        around = self._around(maps, taps)
        keys = self._cells_of(self.keys(torch.cat([around, cells], dim=1)))
        pixels = functional.pixel_unshuffle(images, CELL)  # (B, PIXELS, h, w)
        values = torch.cat([cells, pixels.to(cells.dtype)], dim=1).flatten(2).transpose(1, 2)
        return keys, values, self._tone(images, cells)

    def of_structure(
        self, images: Tensor, maps: Tensor, taps: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Queries (B, N, D) and tones (B, T), as above."""
        queries = self._cells_of(self.queries(self._around(maps, taps)))
        return queries, self._tone(images, self.cells(images))

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        tones: tuple[Tensor, Tensor],
        size: tuple[int, int],
        prior: Tensor | None = None,
    ) -> Clothes:
        """What structures of `size` (h, w) cells find; tones of appearance and of structure.

        `prior` (B, cells of the appearance) is added to the logits of cells (`JoinedAppearance`).
        """
        keys, values = keys.to(queries.dtype), values.to(queries.dtype)
        batch = queries.shape[0]
        empty = functional.normalize(self.empty_key, dim=0).to(keys.dtype).expand(batch, 1, -1)
        sharp = self.sharpness.exp().to(queries.dtype)
        scores = queries * sharp @ torch.cat([keys, empty], dim=1).transpose(1, 2)
        with torch.autocast(queries.device.type, enabled=False):
            scores = scores.float()
            if prior is not None:
                scores = scores + functional.pad(prior, (0, 1))[:, None]  # not the empty cell's
            weights = torch.softmax(scores, dim=2)  # (B, N, N + 1)
        cells = keys.shape[1]
        weights, unfound = weights[:, :, :cells].to(values.dtype), weights[:, :, cells:]
        found = _as_maps(weights @ values, size)
        features, pixels = found.tensor_split((FEATURES,), dim=1)
        unfound = _as_maps(unfound.to(values.dtype), size)  # (B, 1, h, w)
        features = features + unfound * self.empty_value.to(unfound.dtype)[None, :, None, None]
        pixels = functional.pixel_shuffle(pixels, CELL)
        pixels = self._recolored(pixels, torch.cat(tones, dim=1))
        colors = functional.avg_pool2d(pixels, CELL)
        maps = self.into_maps(torch.cat([features, colors.to(features.dtype), unfound], dim=1))
        return Clothes(maps=maps, colors=colors, pixels=pixels)

    def _recolored(self, pixels: Tensor, tones: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) in the structure's light, float32: x + A x + b."""
        change = self.recolour(tones)
        with torch.autocast(pixels.device.type, enabled=False):
            change, pixels = change.float(), pixels.float()
            matrix, offset = change[:, :9].view(-1, 3, 3), change[:, 9:]
            moved = torch.einsum("bij,bjhw->bihw", matrix, pixels)
            return pixels + moved + offset[:, :, None, None]

    def _around(self, maps: Tensor, taps: list[Tensor]) -> Tensor:
        """What queries and keys are made of: the structure code, the place and the taps."""
        size = (maps.shape[2], maps.shape[3])
        large = [functional.interpolate(tap.float(), size=size, mode="bilinear") for tap in taps]
        narrow = self.narrow(torch.cat(large, dim=1))
        return torch.cat([self.even(maps), places(*size, maps), narrow], dim=1)

    @staticmethod
    def _cells_of(maps: Tensor) -> Tensor:
        """(B, D, h, w) to unit vectors (B, N, D)."""
        return functional.normalize(maps.float(), dim=1).to(maps.dtype).flatten(2).transpose(1, 2)

    def _tone(self, images: Tensor, cells: Tensor) -> Tensor:
        parts = [
            cells.float().mean(dim=(2, 3)),
            cells.float().amax(dim=(2, 3)),
            images.mean(dim=(2, 3)),
            images.std(dim=(2, 3)),
        ]
        return self.tone(torch.cat(parts, dim=1).to(cells.dtype))
