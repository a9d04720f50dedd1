"""What the decoder takes of a picture, in each of its two roles, and what it gives.

`paper` and `small` need the paper's codes alone; the other parts are then empty.

Legend: B pictures, K residual blocks, C decoder channels, N cells of the structure map's size,
D values of a key, V of what a cell hands over, T of a tone, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dgnet.model.rows import Rows

LEAST_SHARE = 1 / 255
"""Of the decoder's picture in a composite's pixel: with less, the pixel is the structure's own."""


@dataclass(frozen=True)
class AppearanceCode(Rows):
    """The codes of the picture that gives the clothes."""

    style: Tensor
    """AdaIN parameters (B, K, 2, 2, C), made of the paper's appearance code."""
    keys: Tensor
    """(B, N, D), unit length; of cells that can be looked up."""
    values: Tensor
    """(B, N, V): what these cells hand over."""
    tone: Tensor
    """(B, T): light and camera of the picture."""


@dataclass(frozen=True)
class JoinedAppearance(AppearanceCode):
    """Each row made of several pictures of one person, whose cells lie end to end."""

    prior: Tensor
    """(B, N): logarithm of each cell's share before anybody has asked: minus infinity where a row
    has fewer pictures than another, minus log(pictures) elsewhere, so that a row's pictures
    together weigh as much, beside the empty cell, as one would."""


def join_appearances(codes: AppearanceCode, pictures: Sequence[int]) -> AppearanceCode:
    """Row i of the result is made of the next `pictures[i]` rows of `codes`: their cells side by
    side, the means of their styles and tones.

    Raises ValueError where the numbers do not add up to the rows.
    """
    if not pictures or min(pictures) < 1 or sum(pictures) != len(codes):
        raise ValueError(
            f"{len(codes)} appearance codes for rows of {list(pictures)} pictures; expected at "
            "least one picture a row, and as many codes as there are pictures"
        )
    if max(pictures) == 1:
        return codes
    rows = [codes[start : start + count] for start, count in _runs(pictures)]
    style, tone = (
        torch.stack([part.mean(dim=0) for part in parts])
        for parts in ([row.style for row in rows], [row.tone for row in rows])
    )
    if not codes.keys.numel():  # nothing can be looked up
        return AppearanceCode(style, codes.keys[: len(rows)], codes.values[: len(rows)], tone)
    cells = codes.keys.shape[1]
    keys, values = (
        torch.nn.utils.rnn.pad_sequence([part.flatten(0, 1) for part in parts], batch_first=True)
        for parts in ([row.keys for row in rows], [row.values for row in rows])
    )
    prior = style.new_full((len(rows), keys.shape[1]), -math.inf, dtype=torch.float32)
    for row, count in enumerate(pictures):
        prior[row, : count * cells] = -math.log(count)
    return JoinedAppearance(style, keys, values, tone, prior)


def _runs(counts: Sequence[int]) -> list[tuple[int, int]]:
    starts = [sum(counts[:row]) for row in range(len(counts))]
    return list(zip(starts, counts, strict=True))


@dataclass(frozen=True)
class StructureCode(Rows):
    """The codes of the picture that gives pose, body and scene."""

    maps: Tensor
    """The paper's structure code (B, C, H / 4, W / 4)."""
    queries: Tensor
    """(B, N, D), unit length: what each cell asks for."""
    tone: Tensor
    """(B, T): light and camera of the picture."""
    picture: Tensor
    """The picture itself, normalized (B, 3, H, W)."""


@dataclass(frozen=True)
class Decoded(Rows):
    """What decoding gives, before anything is kept of the structure picture."""

    generated: Tensor
    """G's picture (B, 3, H, W), normalized, not bounded."""
    mask_logits: Tensor
    """(B, 1, H, W), float32: of the share of G's picture in the composite."""
    colors: Tensor
    """Looked-up colors of the cells (B, 3, H / 4, W / 4), normalized, float32."""

    @property
    def has_mask(self) -> bool:
        """Whether the network tells what a swap changes."""
        return self.mask_logits.numel() > 0

    def mask(self) -> Tensor:
        """Share of G's picture in each pixel, 0 to 1."""
        return torch.sigmoid(self.mask_logits)

    def blended(self, mask: Tensor, pictures: Tensor) -> Tensor:
        """m G + (1 - m) x_s, in float32."""
        return torch.lerp(pictures.float(), self.generated.float(), mask)

    def composites(
        self, structure: StructureCode, *, keep_scene: Sequence[bool] | Tensor
    ) -> Tensor:
        """Composites (B, 3, H, W): with the scene kept where `keep_scene` (B,) says so and there is
        a mask; all G's elsewhere. A tensor decides on its device, without a look at its values.
        """
        if not self.has_mask or not (isinstance(keep_scene, Tensor) or any(keep_scene)):
            return self.generated
        mask, pictures = self.mask(), structure.picture.float()
        kept = torch.where(mask < LEAST_SHARE, pictures, self.blended(mask, pictures))
        if not isinstance(keep_scene, Tensor):
            if all(keep_scene):
                return kept
            keep_scene = torch.tensor(keep_scene, device=kept.device)
        return torch.where(keep_scene[:, None, None, None], kept, self.generated.float())
