"""DG-Net assembled: the networks that are trained together (paper, figure 2).

This module only wires; losses and updates live in `dgnet.model.training`, inference in
`dgnet.model.predictor`.

`decode` is the paper's G(a, s). The preset `detail` adds three parts around it (`clothes_lookup`,
`full_size_structure`, `scene_mask`), for which codes need more than the paper's: `appearance` and
`structure` make them, `compose` takes them, for every preset.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.clothes_lookup import Clothes, ClothesLookup
from dgnet.model.codes import AppearanceCode, Decoded, JoinedAppearance, StructureCode
from dgnet.model.config import NetworkConfig
from dgnet.model.decoder import Decoder, StyleMLPs
from dgnet.model.discriminator import Discriminator
from dgnet.model.full_size_structure import FullSizeStructure
from dgnet.model.rows import nothing
from dgnet.model.scene_mask import SceneMask
from dgnet.model.structure_encoder import StructureEncoder

DETAIL_PARTS = ("clothes_lookup", "full_size_structure", "scene_mask")


class DGNet(nn.Module):
    """E_a, E_s, the style MLPs, G and D of one configuration, and what else that has."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.decoder_channels
        self.appearance_encoder = AppearanceEncoder(config)
        self.structure_encoder = StructureEncoder(config)
        self.style_mlps = StyleMLPs(config, self.appearance_encoder.code_size)
        self.decoder = Decoder(config)
        self.discriminator = Discriminator(config)
        self.clothes_lookup = (
            ClothesLookup(channels, self.appearance_encoder.backbone.tap_channels)
            if config.look_up_clothes
            else None
        )
        self.full_size_structure = (
            FullSizeStructure(channels, 3 if config.look_up_clothes else 0)
            if config.full_size_structure
            else None
        )
        self.scene_mask = SceneMask(channels) if config.keep_scene else None

    @property
    def generator_parts(self) -> dict[str, nn.Module]:
        """What follows the generator's objective, by name."""
        names = ("structure_encoder", "style_mlps", "decoder", *DETAIL_PARTS)
        parts = dict(self.named_children())
        return {name: parts[name] for name in names if name in parts}

    def decode(self, appearance_codes: Tensor, structure_codes: Tensor) -> Tensor:
        """G(a, s) of the paper: codes (B, code) and (B, C, H/4, W/4) to normalized pictures
        (B, 3, H, W).
        """
        return self.decoder(structure_codes, self.style_mlps(appearance_codes))

    def appearance(
        self,
        images: Tensor,
        *,
        codes: Tensor | None = None,
        maps: Tensor | None = None,
        encoder: AppearanceEncoder | None = None,
    ) -> AppearanceCode:
        """Codes of normalized images in the role of the appearance.

        The paper's appearance `codes` and structure codes (`maps`) need not be computed where they
        are known. The look-up reads the backbone of `encoder`, E_a's if absent, and never bends it.
        """
        encoder = encoder or self.appearance_encoder
        if self.clothes_lookup is None:
            style = self.style_mlps(encoder.codes(images) if codes is None else codes)
            return AppearanceCode(style, nothing(style), nothing(style), nothing(style))
        if codes is None:
            codes, taps = encoder.codes_and_taps(images)
        else:
            taps = self._taps(images, encoder)
        if maps is None:
            maps = cast(Tensor, self.structure_encoder(images))
        found = self.clothes_lookup.of_appearance(images, maps, [tap.detach() for tap in taps])
        return AppearanceCode(self.style_mlps(codes), *found)

    def structure(
        self,
        images: Tensor,
        *,
        maps: Tensor | None = None,
        encoder: AppearanceEncoder | None = None,
    ) -> StructureCode:
        """Codes of normalized images in the role of the structure; see `appearance`."""
        if maps is None:
            maps = cast(Tensor, self.structure_encoder(images))
        queries = tone = nothing(maps)
        if self.clothes_lookup is not None:
            taps = self._taps(images, encoder or self.appearance_encoder)
            queries, tone = self.clothes_lookup.of_structure(images, maps, taps)
        return StructureCode(maps, queries, tone, images if self.scene_mask else nothing(maps))

    @torch.no_grad()
    def _taps(self, images: Tensor, encoder: AppearanceEncoder) -> list[Tensor]:
        return encoder.backbone.with_taps(images)[1]

    def compose(
        self,
        appearance: AppearanceCode,
        structure: StructureCode,
        *,
        shown: Tensor | None = None,
        still: Tensor | None = None,
    ) -> Decoded:
        """Everything the decoder says of each pair of rows.

        `shown` (B,) is 0 where the target is the structure picture itself, so that nothing of it
        may be seen inside the mask; `still` (B,) is 1 where nothing is learned from what is looked
        up (the same place of the same picture is always right).
        """
        clothes = self._found(appearance, structure, still)
        return self._decoded(appearance.style, clothes, structure, shown)

    def interpolate(
        self,
        first: AppearanceCode,
        second: AppearanceCode,
        shares: Tensor,
        structure: StructureCode,
    ) -> Decoded:
        """Between two appearances, `shares` (B,) of the second: styles are mixed, and what the
        structure found in each; never cells of two pictures.
        """
        style = torch.lerp(first.style, second.style, shares[:, None, None, None, None])
        found = self._found(first, structure, None), self._found(second, structure, None)
        clothes = found[0] and found[1] and found[0].mixed(found[1], shares)
        return self._decoded(style, clothes, structure, None)

    def _decoded(
        self,
        style: Tensor,
        clothes: Clothes | None,
        structure: StructureCode,
        shown: Tensor | None,
    ) -> Decoded:
        decoder = self.decoder
        if clothes is None and self.scene_mask is None:
            generated = decoder(structure.maps, style)
            return Decoded(generated, nothing(generated), nothing(generated))
        maps = decoder.styled(structure.maps, style, slice(0, 1))
        if clothes is not None:
            maps = maps + clothes.maps
        maps = decoder.enlarged(decoder.styled(maps, style, slice(1, None)))
        logits = colors = nothing(maps)
        if self.scene_mask is not None:
            logits = self.scene_mask(maps, structure.picture)
        if self.full_size_structure is not None:
            seen = maps.new_ones(maps.shape[0]) if shown is None else shown
            pixels = maps.new_empty(maps.shape[0], 0, *maps.shape[2:])
            maps = self.full_size_structure(
                maps,
                structure.picture,
                torch.sigmoid(logits).detach(),
                seen[:, None, None, None].float(),
                pixels if clothes is None else clothes.pixels,
            )
        if clothes is not None:
            colors = clothes.colors
        return Decoded(decoder.painted(maps), logits, colors)

    def _found(
        self, appearance: AppearanceCode, structure: StructureCode, still: Tensor | None
    ) -> Clothes | None:
        if self.clothes_lookup is None:
            return None
        size = (structure.maps.shape[2], structure.maps.shape[3])
        tones = (appearance.tone, structure.tone)
        prior = appearance.prior if isinstance(appearance, JoinedAppearance) else None
        clothes = self.clothes_lookup(
            structure.queries, appearance.keys, appearance.values, tones, size, prior
        )
        if still is None:
            return clothes
        fixed = still.bool()[:, None, None, None]

        def learning_unless_fixed(part: Tensor) -> Tensor:
            return torch.where(fixed, part.detach(), part)

        return clothes.each(learning_unless_fixed)
