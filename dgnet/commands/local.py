"""Loads the predictor for commands that compute on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgnet.commands.failures import InputError, needs_extra
from dgnet.commands.options import Compiling, Precision
from dgnet.commands.talk import say
from dgnet.jobs.contract import Scene

if TYPE_CHECKING:
    from dgnet.model.checkpoints import Checkpoint
    from dgnet.model.predictor import Predictor


def load_predictor(
    checkpoint: Path | None, *, device: str, precision: Precision, scene: Scene | None = None
) -> Predictor:
    """The networks of a checkpoint, by default the one that ships, on a device.

    Raises InputError for what cannot be loaded, and for a scene that it cannot keep.
    """
    return load_networks(checkpoint, device=device, precision=precision, scene=scene)[1]


def arithmetic(predictor: Predictor) -> Precision:
    """What `auto` came to, for what is noted of figures."""
    return "fp32" if predictor.autocast is None else "bf16"


def load_networks(
    checkpoint: Path | None,
    *,
    device: str,
    precision: Precision,
    max_batch: int | None = None,
    scene: Scene | None = None,
    compiling: Compiling = "off",
    warm: int = 0,
) -> tuple[Checkpoint, Predictor]:
    """The checkpoint, which alone has the teacher, and its predictor, compiled for batches up to
    `warm` pictures if asked for; says what it computes on.
    """
    with needs_extra("worker"):
        from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint
        from dgnet.model.predictor import Predictor
    try:
        loaded = load_checkpoint(DEFAULT_CHECKPOINT if checkpoint is None else checkpoint)
        predictor = Predictor(
            loaded,
            device=device,
            precision=precision,
            max_batch=max_batch,
            scene=scene,
            compiled={"auto": None, "on": True, "off": False}[compiling],
        )
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    say(f"dgnet: computes on {predictor.device_name} in {predictor.precision}", err=True)
    if predictor.is_compiled and warm:
        say("dgnet: compiles the networks, which may take minutes", err=True)
        predictor.warm_up(warm)
    return loaded, predictor
