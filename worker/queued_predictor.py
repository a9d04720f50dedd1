"""The predictor as bulk work sees it: every device call waits its turn behind small requests.

Device calls are also where bulk work is told to stop, and where it waits for memory: small requests
come and go, so the same call, with the same rows and hence the same bytes, may well fit a moment
later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from dgnet.model.judge.judge import Embeddings, Judge
from dgnet.model.predictor import Coded, Pixels, Predictor
from dgnet.worker.device import DeviceThread
from dgnet.worker.handlers import is_out_of_memory

_log = logging.getLogger(__name__)

T = TypeVar("T")

OUT_OF_MEMORY_PAUSES = (0.1, 0.5, 2.0)
"""Seconds before another try."""


class QueuedPredictor(Predictor):
    """The same networks on the same device, without a copy."""

    def __init__(
        self, predictor: Predictor, device: DeviceThread, before_each_call: Callable[[], None]
    ) -> None:
        """`before_each_call` may raise to end the work."""
        self.__dict__.update(predictor.__dict__)
        self._thread = device
        self._before_each_call = before_each_call

    def _composed(self, decode: Callable[[slice], Tensor], rows: int) -> Pixels:
        whole = super()._composed
        return self.in_turn(lambda: whole(decode, rows))

    def _coded(self, encode: Callable[[Tensor], Coded], images: Pixels) -> Coded:
        whole = super()._coded
        return self.in_turn(lambda: whole(encode, images))

    def _rows(self, function: Callable[[Tensor], Tensor], images: Pixels) -> Tensor:
        whole = super()._rows
        return self.in_turn(lambda: whole(function, images))

    def in_turn(self, call: Callable[[], T]) -> T:
        """What the call gives, once it was this work's turn on the device."""
        for pause_seconds in OUT_OF_MEMORY_PAUSES:
            self._before_each_call()
            try:
                return self._thread.run_bulk(call)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                _log.warning("no memory for a bulk batch, trying again: %s", error)
            self.free_memory()  # out of the `except` block: the error holds what the batch held
            time.sleep(pause_seconds)
        self._before_each_call()
        return self._thread.run_bulk(call)


class QueuedJudge:
    """A judge whose calls wait their turn like the predictor's."""

    def __init__(self, judge: Judge, predictor: QueuedPredictor) -> None:
        self._judge, self._predictor = judge, predictor
        self.name, self.version = judge.name, judge.version
        self.height, self.width = judge.height, judge.width

    def embed(self, images: Pixels) -> Embeddings:
        """(B, D), of length 1."""
        return self._predictor.in_turn(lambda: self._judge.embed(images))
