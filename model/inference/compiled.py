"""Programs compiled, and on a card captured as a CUDA graph for each of a few batch sizes.

A graph replays launches of one shape: so rows are filled up to the next power of two, and what
belongs to the filling is cut off. A call is then one launch instead of hundreds, which a small
batch spends most of its time on. The compiler makes code for any number of rows, and other code for
a single one.

Graphs are captured here rather than by torch.compile's own mode, whose graphs belong to the thread
that imported it: a worker loads its networks in one thread and uses them in another.

What cannot be compiled is computed as it stands, and a warning says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from dgnet.model.inference.programs import Program, Tensors

_log = logging.getLogger(__name__)

WARM_UPS = 3
"""Calls before a capture: libraries choose their algorithms and get their memory."""

MOST_CODES = 64
"""Of one program in this process, before torch.compile would give up (its own bound is 8)."""

Backend = str | Callable[[Any, Any], Any]


class Call(Protocol):
    """A program for one shape."""

    def __call__(self, *inputs: Tensor) -> Tensors: ...


def bucket_of(rows: int) -> int:
    """The rows that a batch is filled up to: a power of two. Of nothing else, so that equal batches
    have equal bytes wherever they are made.
    """
    return 1 << (rows - 1).bit_length()


def buckets(most: int) -> list[int]:
    """1, 2, 4, ... for batches up to `most`."""
    return sorted({bucket_of(rows) for rows in range(1, most + 1)})


class CompiledPrograms:
    """Programs by name. Thread-safe; what is given back belongs to the caller."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        *,
        device: torch.device,
        backend: Backend = "inductor",
    ) -> None:
        """`backend` is torch.compile's."""
        self._programs = programs
        self._device = device
        self._backend = backend
        self._compilers: dict[str, Call] = {}
        self._calls: dict[tuple[Any, ...], Call] = {}
        self._lock = threading.Lock()
        self._pool: Any = None  # memory that all graphs share: their results are copied out at once
        self.failures: list[str] = []
        """Why programs are computed as they stand, one for each shape that is."""

    def run(self, name: str, inputs: Tensors) -> Tensors:
        """What a program gives of its rows; prepares what no such batch has prepared yet."""
        rows = inputs[0].shape[0]
        bucket = bucket_of(rows)
        filled = tuple(filled_up(part, bucket) for part in inputs)
        key = (name, bucket, *((part.dtype, part.shape[1:]) for part in filled))
        with self._lock:  # graphs read from, and write to, memory of their own
            call = self._calls.get(key)
            if call is None:
                call = self._calls[key] = self._made(name, bucket, filled)
            outputs = call(*filled)
        return tuple(part[:rows] for part in outputs)

    def _made(self, name: str, bucket: int, inputs: Tensors) -> Call:
        try:
            return self._compiled(name, inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a compiler, its tools or a driver may raise
            reason = (str(error).strip().partition("\n")[0] or type(error).__name__)[:300]
            self.failures.append(reason)
            _log.warning(
                "dgnet: %s cannot be compiled for batches of %d, which takes longer and changes "
                "no result but by rounding: %s (--compile off says that this is meant)",
                name,
                bucket,
                reason,
            )
            return self._programs[name]

    def _compiled(self, name: str, inputs: Tensors) -> Call:
        from torch._dynamo import config, maybe_mark_dynamic  # pyright: ignore

        compiled = self._compilers.get(name)
        if compiled is None:
            compiled = self._compilers[name] = cast(
                Call,
                torch.compile(  # pyright: ignore[reportCallIssue, reportUnknownMemberType]
                    self._programs[name],
                    fullgraph=True,
                    backend=self._backend,  # pyright: ignore[reportArgumentType]
                ),
            )
        patched = cast(Any, config).patch(recompile_limit=MOST_CODES)
        for part in inputs:  # any number of rows, but pictures of one size
            if part.shape[0] > 1:
                maybe_mark_dynamic(part, 0)
        with patched:
            compiled(*inputs)
        if self._device.type != "cuda":
            return compiled
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        return _Captured(compiled, inputs, self._device, self._pool)


class _Captured:
    """A program as one CUDA graph."""

    def __init__(self, call: Call, inputs: Tensors, device: torch.device, pool: Any) -> None:
        with torch.cuda.device(device):
            self._inputs = tuple(part.clone() for part in inputs)
            aside = torch.cuda.Stream(device)
            aside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    call(*self._inputs)
            torch.cuda.current_stream(device).wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may go on allocating memory meanwhile.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._outputs = call(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensors:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return tuple(part.clone() for part in self._outputs)


def filled_up(part: Tensor, rows: int) -> Tensor:
    """The first row repeated behind the others, so that nothing unheard-of is computed."""
    missing = rows - part.shape[0]
    if not missing:
        return part
    first = part[:1].expand(missing, *part.shape[1:])
    filled = torch.cat([part, first])
    if part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last):
        return filled.contiguous(memory_format=torch.channels_last)
    return filled.contiguous()
