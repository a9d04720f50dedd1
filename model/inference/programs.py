"""What a predictor computes, as functions of tensors alone: what compilers and exporters take.

Every tensor has a row for each picture (or swap); rows do not know of each other. Images are
normalized (B, 3, H, W), codes are laid out flat in the order of their fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor
from torch.nn import functional

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.codes import AppearanceCode, JoinedAppearance, StructureCode
from dgnet.model.dgnet import DGNet

Tensors = tuple[Tensor, ...]
Program = Callable[..., Tensors]

APPEARANCE_PARTS = len(fields(AppearanceCode))
STRUCTURE_PARTS = len(fields(StructureCode))

FINE_WEIGHT = 0.5
"""Weight of the fine half in the dot product of two embeddings (the authors' beta)."""


def programs_of(networks: DGNet) -> dict[str, Program]:
    """By name: appearance, structure, compose, interpolate, embed, realism."""

    def appearance(images: Tensor) -> Tensors:
        return networks.appearance(images).tensors()

    def structure(images: Tensor) -> Tensors:
        return networks.structure(images).tensors()

    def compose(keep_scene: Sequence[bool] | Tensor, *codes: Tensor) -> Tensors:
        worn = _appearance_of(codes[:-STRUCTURE_PARTS])
        posed = StructureCode(*codes[-STRUCTURE_PARTS:])
        return (networks.compose(worn, posed).composites(posed, keep_scene=keep_scene),)

    def interpolate(keep_scene: Sequence[bool] | Tensor, shares: Tensor, *codes: Tensor) -> Tensors:
        worn, posed = codes[:-STRUCTURE_PARTS], StructureCode(*codes[-STRUCTURE_PARTS:])
        second_begins = max(at for at, part in enumerate(worn) if part.dim() == worn[0].dim())
        first, second = _appearance_of(worn[:second_begins]), _appearance_of(worn[second_begins:])
        decoded = networks.interpolate(first, second, shares, posed)
        return (decoded.composites(posed, keep_scene=keep_scene),)

    def embed(images: Tensor) -> Tensors:
        return (retrieval_embeddings(networks.appearance_encoder, images),)

    def realism(images: Tensor) -> Tensors:
        scales = networks.discriminator(images)  # per scale (B, 1, h, w)
        return (torch.stack([scores.mean(dim=(1, 2, 3)) for scores in scales]).mean(dim=0),)

    return {
        program.__name__: program
        for program in (appearance, structure, compose, interpolate, embed, realism)
    }


def _appearance_of(parts: Sequence[Tensor]) -> AppearanceCode:
    """Of one picture a row, or of several, whose code has one part more."""
    return (AppearanceCode if len(parts) == APPEARANCE_PARTS else JoinedAppearance)(*parts)


def retrieval_embeddings(encoder: AppearanceEncoder, images: Tensor) -> Tensor:
    """Embeddings (B, D) of normalized images (B, 3, H, W); each adds up a picture and its mirror
    image.
    """
    views = [encoder.identify(view) for view in (images, images.flip(3))]
    halves: list[Tensor] = []
    for head in (0, 1):
        features = [functional.normalize(view[head].features) for view in views]
        halves.append(functional.normalize(features[0] + features[1]))
    primary, fine = halves
    return functional.normalize(torch.cat([primary, fine * FINE_WEIGHT**0.5], dim=1))
