"""Compiled programs: the plain ones' numbers, one graph each, compiled once; where nothing can
compile them, computed as they stand, aloud. CUDA graphs need a card: tests/gpu.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo import reset  # pyright: ignore[reportUnknownVariableType]

from dgnet.arrays import Pixels
from dgnet.model import predictor as predictor_module
from dgnet.model.checkpoints import Checkpoint, Metadata
from dgnet.model.dgnet import DGNet
from dgnet.model.inference.compiled import CompiledPrograms, bucket_of, buckets, filled_up
from dgnet.model.inference.programs import Program
from dgnet.model.predictor import Predictor
from tests.model.tiny import HEIGHT, WIDTH, tiny_network

ROWS = 6


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    reset()
    yield
    reset()


class Backend:
    """Stands for a compiler: counts the graphs it is given, and runs them as they are."""

    graphs = 0

    def __call__(self, graph: Any, inputs: list[Any]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def predictors(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> tuple[Predictor, Predictor]:
    """The same networks, plain and compiled."""
    torch.manual_seed(7)  # pyright: ignore[reportUnknownMemberType]
    networks = DGNet(tiny_network())
    metadata = Metadata(config=networks.config, networks=tuple(dict(networks.named_children())))
    checkpoint = Checkpoint(metadata=metadata, networks=networks, teacher=None)
    plain = Predictor(checkpoint, device="cpu", precision="fp32", max_batch=4)

    def programs(named: Mapping[str, Program], device: torch.device) -> CompiledPrograms:
        return CompiledPrograms(named, device=device, backend=backend)

    monkeypatch.setattr(predictor_module, "CompiledPrograms", programs)
    compiled = Predictor(checkpoint, device="cpu", precision="fp32", max_batch=4, compiled=True)
    return plain, compiled


def pictures(seed: int) -> Pixels:
    size = (ROWS, HEIGHT, WIDTH, 3)
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def test_batches_are_filled_up_to_powers_of_two() -> None:
    assert [bucket_of(rows) for rows in (1, 2, 3, 4, 5, 64, 65)] == [1, 2, 4, 4, 8, 64, 128]
    assert buckets(1) == [1]
    assert buckets(33) == [1, 2, 4, 8, 16, 32, 64]
    part = torch.arange(6.0).view(3, 2)
    assert torch.equal(filled_up(part, 4), torch.cat([part, part[:1]]))
    assert filled_up(part, 3) is part
    images = torch.rand(3, 3, 4, 2).contiguous(memory_format=torch.channels_last)
    assert filled_up(images, 4).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_compiled_programs_are_compiled_once_and_give_the_plain_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = Backend()
    plain, compiled = predictors(monkeypatch, backend)
    assert compiled.is_compiled
    assert compiled.warm_up(2) == []
    # appearance, structure, compose and embed, for a single row and for any number of more.
    assert backend.graphs == 2 * 4
    for rows in (1, 3, 6):  # 3 are filled up to 4, 6 are cut into 4 and 2
        for expected, found in zip(made(plain, rows), made(compiled, rows), strict=True):
            assert found.dtype == expected.dtype
            if expected.dtype == np.uint8:  # the last place of a sum may round to another level
                assert np.abs(found.astype(int) - expected).max() <= 1
                assert np.abs(found.astype(int) - expected).mean() < 0.01
            else:
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Without a card, codes of a filled batch may lie in memory in another way, once.
    assert backend.graphs <= 2 * 4 + 1


def test_what_cannot_be_compiled_is_computed_as_it_stands_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, compiled = predictors(monkeypatch, Backend())
    monkeypatch.setattr(torch, "compile", raising(OSError("no compiler here")))
    with caplog.at_level(logging.WARNING):
        reasons = compiled.warm_up(2)
    assert reasons == ["no compiler here"] * 2 * 4
    assert "appearance cannot be compiled for batches of 1" in caplog.text
    assert "--compile off" in caplog.text
    given = pictures(1)[:2], pictures(2)[:2]
    assert np.array_equal(compiled.swap(*given), plain.swap(*given))


def test_memory_that_runs_out_is_no_reason_to_give_up_compiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, compiled = predictors(monkeypatch, Backend())
    monkeypatch.setattr(torch, "compile", raising(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        compiled.embed(pictures(1)[:1])
    assert compiled.warm_up(0) == []


def raising(error: Exception) -> Callable[..., Any]:
    """Stands for torch.compile where it fails."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def made(predictor: Predictor, rows: int) -> list[np.ndarray[Any, Any]]:
    """Composites and embeddings."""
    styles = predictor.appearance_styles(pictures(1)[:rows])
    codes = predictor.structure_codes(pictures(2)[:rows])
    return [
        predictor.compose(styles, codes),
        predictor.embed(pictures(1)[:rows]),
    ]
