"""DG-Net assembled: the networks that are trained together (paper, figure 2).

This module only wires; losses and updates live in `dgnet.model.training`, inference in
`dgnet.model.predictor`.
"""

from __future__ import annotations

from torch import Tensor, nn

from dgnet.model.appearance_encoder import AppearanceEncoder
from dgnet.model.config import NetworkConfig
from dgnet.model.decoder import Decoder, StyleMLPs
from dgnet.model.discriminator import Discriminator
from dgnet.model.structure_encoder import StructureEncoder


class DGNet(nn.Module):
    """E_a, E_s, the style MLPs, G and D of one configuration."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.appearance_encoder = AppearanceEncoder(config)
        self.structure_encoder = StructureEncoder(config)
        self.style_mlps = StyleMLPs(config, self.appearance_encoder.code_size)
        self.decoder = Decoder(config)
        self.discriminator = Discriminator(config)

    def decode(self, appearance_codes: Tensor, structure_codes: Tensor) -> Tensor:
        """G(a, s): codes (B, code) and (B, C, H/4, W/4) to normalised pictures (B, 3, H, W)."""
        return self.decoder(structure_codes, self.style_mlps(appearance_codes))
