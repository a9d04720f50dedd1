"""The device as bulk work sees it: every call waits its turn behind small requests.

Device calls are also where bulk work is told to stop, and where it waits for memory: small requests
come and go, so the same call, with the same rows and hence the same bytes, may well fit a moment
later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.judge.judge import Judge
from dgnet.worker.device import DeviceThread
from dgnet.worker.handlers import is_out_of_memory

_log = logging.getLogger(__name__)

T = TypeVar("T")

OUT_OF_MEMORY_PAUSES = (0.1, 0.5, 2.0)
"""Seconds before another try."""


class BulkTurns:
    """Makes the device calls of bulk work: an `InTurn` for `Predictor.taking_turns`."""

    def __init__(
        self, thread: DeviceThread, device: torch.device, before_each_call: Callable[[], None]
    ) -> None:
        """`before_each_call` may raise to end the work."""
        self._thread = thread
        self._device = device
        self._before_each_call = before_each_call

    def __call__(self, call: Callable[[], T], /) -> T:
        """What the call gives, once it was this work's turn on the device."""
        for pause_seconds in OUT_OF_MEMORY_PAUSES:
            self._before_each_call()
            try:
                return self._thread.run_bulk(call)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                _log.warning("no memory for a bulk batch, trying again: %s", error)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            time.sleep(pause_seconds)
        self._before_each_call()
        return self._thread.run_bulk(call)


class JudgeInTurn:
    """A judge whose calls wait their turn like the predictor's."""

    def __init__(self, judge: Judge, in_turn: BulkTurns) -> None:
        self._judge, self._in_turn = judge, in_turn
        self.name, self.version = judge.name, judge.version
        self.height, self.width = judge.height, judge.width

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), of length 1."""
        return self._in_turn(lambda: self._judge.embed(images))
