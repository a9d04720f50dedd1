"""Loads the predictor for commands that compute on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgnet.failures import InputError, needs_extra
from dgnet.options import Precision

if TYPE_CHECKING:
    from model.predictor import Predictor


def load_predictor(checkpoint: Path | None, *, device: str, precision: Precision) -> Predictor:
    """The networks of a checkpoint, by default the one that ships, on a device.

    Raises InputError for what cannot be loaded.
    """
    with needs_extra("worker"):
        from model.checkpoints import DEFAULT_CHECKPOINT
        from model.predictor import Predictor
    folder = DEFAULT_CHECKPOINT if checkpoint is None else checkpoint
    try:
        return Predictor.load(folder, device=device, precision=precision)
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
