"""The teacher's labels of finished pictures, outside training.

Few who make composites need them, so a predictor does not carry the teacher along: its layers are
prepared here as `model.inference` prepares a predictor's, and run through the predictor.

Legend: B pictures, I identities, H x W pixels.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray

from model.checkpoints import Checkpoint, CheckpointError
from model.devices import placed
from model.inference.batch_normalization import fold_batch_normalization
from model.predictor import Pixels, Predictor
from model.teacher import soft_labels


class Labeller:
    """A checkpoint's teacher on the predictor's device, in its precision."""

    def __init__(self, checkpoint: Checkpoint, predictor: Predictor) -> None:
        if checkpoint.teacher is None:
            raise CheckpointError(
                f"the checkpoint carries no teacher, only {', '.join(checkpoint.metadata.networks)}"
                ", but a label or a filter needs one: use one that kept it, or leave these out"
            )
        teacher = deepcopy(checkpoint.teacher).eval().requires_grad_(False)
        fold_batch_normalization(teacher.backbone)
        self._teacher = placed(teacher, predictor.device)
        self._predictor = predictor

    @property
    def identities(self) -> int:
        return self._teacher.config.identities

    def probabilities(self, images: Pixels) -> NDArray[np.float32]:
        """Soft labels (policy 0) of pictures (B, H, W, 3): (B, I), each row adds up to 1."""
        teacher = self._teacher
        labels = self._predictor.map_pictures(lambda batch: soft_labels(teacher, batch), images)
        return labels.cpu().numpy()
