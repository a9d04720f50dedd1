"""The teacher's labels of finished pictures, outside training; where a checkpoint carries no
teacher, those of E_a's primary head, which learned the same persons from it.

Few who make composites need them, so a predictor does not carry the teacher along: its layers are
prepared here as `dgnet.model.inference` prepares a predictor's, and run through the predictor.

Legend: B pictures, I identities, H x W pixels.
"""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn

from dgnet.arrays import Floats, Pixels
from dgnet.model.appearance_encoder import AppearanceEncoder, Identification
from dgnet.model.checkpoints import Checkpoint
from dgnet.model.devices import placed
from dgnet.model.inference.batch_normalization import fold_batch_normalization
from dgnet.model.predictor import Predictor
from dgnet.model.teacher import soft_labels


class PrimaryHead(nn.Module):
    """E_a's primary identification alone: (B, 3, H, W) to features and logits, as a teacher."""

    def __init__(self, encoder: AppearanceEncoder) -> None:
        super().__init__()
        self._encoder = encoder

    @property
    def backbone(self) -> nn.Module:
        """The feature extractor, as a teacher has one."""
        return self._encoder.backbone

    def forward(self, images: Tensor) -> Identification:
        return self._encoder.identify(images)[0]


class Labeler:
    """A checkpoint's judge of identities on the predictor's device, in its precision."""

    def __init__(self, checkpoint: Checkpoint, predictor: Predictor) -> None:
        judge = checkpoint.teacher or PrimaryHead(checkpoint.networks.appearance_encoder)
        judge = deepcopy(judge).eval().requires_grad_(False)
        fold_batch_normalization(judge.backbone)
        self._judge = placed(judge, predictor.device)
        self._identities = checkpoint.metadata.config.identities
        self._predictor = predictor

    @property
    def identities(self) -> int:
        return self._identities

    def probabilities(self, images: Pixels) -> Floats:
        """Soft labels (policy 0) of pictures (B, H, W, 3): (B, I), each row adds up to 1."""
        judge = self._judge
        labels = self._predictor.map_pictures(lambda batch: soft_labels(judge, batch), images)
        return self._predictor.numbers("label", labels)
