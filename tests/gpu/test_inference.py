"""The predictor on a card: as on the CPU within stated bounds, the same bytes twice, halved batches
where memory runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dgnet.arrays import Embeddings, Pixels
from dgnet.model.checkpoints import DEFAULT_CHECKPOINT, load_checkpoint
from dgnet.model.devices import Precision, autocast_dtype, choose_device, has_native_bf16
from dgnet.model.predictor import Predictor
from dgnet.worker.batcher import MicroBatcher, Served
from dgnet.worker.device import DeviceThread
from dgnet.worker.handlers import is_out_of_memory, run_canary
from tests.generation.jobs import contents, job_of, run, save_tiny_checkpoint
from tests.model.tiny import write_people

# Warnings of whichever torch is there are no failures of ours.
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]

PICTURES = 24

MEAN_LEVELS: dict[Precision, float] = {"fp32": 0.02, "bf16": 1.0}
"""Of 255, by which composites may differ from the CPU's in float32 on average."""

LEAST_COSINE: dict[Precision, float] = {"fp32": 0.99999, "bf16": 0.995}
"""Of an embedding with the CPU's."""


def pictures(seed: int = 0) -> Pixels:
    """Soft blobs: noise would be harder on bf16 than people are."""
    coarse = np.random.default_rng(seed).random((PICTURES, 3, 8, 4), dtype=np.float32)
    smooth = torch.nn.functional.interpolate(
        torch.as_tensor(coarse), size=(128, 64), mode="bicubic"
    )
    return (smooth.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def predictor(device: str, precision: Precision, max_batch: int | None = None) -> Predictor:
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    return Predictor(checkpoint, device=device, precision=precision, max_batch=max_batch)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_computes_what_the_cpu_computes(device: str, precision: Precision) -> None:
    clothes, bodies = pictures(0), pictures(1)
    here, there = predictor("cpu", "fp32"), predictor(device, precision)
    differences = np.abs(here.swap(clothes, bodies).astype(int) - there.swap(clothes, bodies))
    cosines = (here.embed(clothes) * there.embed(clothes)).sum(axis=1)
    assert differences.mean() <= MEAN_LEVELS[precision]
    assert precision == "bf16" or differences.max() <= 1
    assert cosines.min() >= LEAST_COSINE[precision]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_call_gives_the_same_bytes(device: str, precision: Precision) -> None:
    clothes, bodies = pictures(0), pictures(1)
    first, again = predictor(device, precision), predictor(device, precision)
    composites = first.swap(clothes, bodies)
    embeddings = first.embed(clothes)
    for other in (first, first, again):
        assert np.array_equal(other.swap(clothes, bodies), composites)
        assert np.array_equal(other.embed(clothes), embeddings)


def test_cut_into_batches_it_gives_the_same_but_for_rounding(device: str) -> None:
    clothes, bodies = pictures(0), pictures(1)
    whole, cut = predictor(device, "fp32", PICTURES), predictor(device, "fp32", 5)
    differences = np.abs(whole.swap(clothes, bodies).astype(int) - cut.swap(clothes, bodies))
    assert differences.max() <= 1


def test_a_set_made_twice_is_the_same_to_the_byte(device: str, tmp_path: Path) -> None:
    people = write_people(tmp_path / "people", persons=5)
    checkpoint = load_checkpoint(save_tiny_checkpoint(tmp_path / "checkpoint"))
    networks = checkpoint, Predictor(checkpoint, device=device, precision="fp32", max_batch=4)
    for name in ("one", "two"):
        run(job_of(people, networks), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_compiled_networks_compute_what_plain_ones_do(device: str) -> None:
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    plain = predictor(device, "fp32")
    there = Predictor(checkpoint, device=device, precision="fp32", compiled=True)
    if device == "cpu":  # a rehearsal needs no compiler
        there._compiled._backend = "eager"  # pyright: ignore
    clothes, bodies = pictures(0), pictures(1)
    for rows in (3, PICTURES):
        differences = plain.swap(clothes[:rows], bodies[:rows]).astype(int) - there.swap(
            clothes[:rows], bodies[:rows]
        )
        assert np.abs(differences).max() <= 2
    assert there.warm_up(0) == []


def test_graphs_captured_in_one_thread_serve_another(card: torch.device) -> None:
    """A worker loads and warms up in its main thread and computes in another."""
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    there = Predictor(checkpoint, device=str(card), precision="auto", compiled=True)
    clothes, bodies = pictures(0), pictures(1)
    assert there.warm_up(8) == []
    sizes = (1, 3, 8)
    expected = [there.swap(clothes[:rows], bodies[:rows]) for rows in sizes]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            answers = [threads.submit(there.swap, clothes[:rows], bodies[:rows]) for rows in sizes]
            for answer, composites in zip(answers, expected, strict=True):
                assert np.array_equal(answer.result(), composites)


def test_auto_takes_the_card_and_what_it_computes_natively(card: torch.device) -> None:
    assert choose_device("auto").type == "cuda"
    native = torch.cuda.get_device_capability(card) >= (8, 0)
    assert has_native_bf16(card) == native
    assert autocast_dtype("auto", card) == (torch.bfloat16 if native else None)
    assert not torch.backends.cudnn.allow_tf32


def _allow(share: float, card: torch.device) -> None:
    """Of the card's memory, to this process."""
    torch.cuda.set_per_process_memory_fraction(share, card)  # pyright: ignore[reportUnknownMemberType]


async def test_where_memory_runs_out_batches_are_halved_and_all_are_answered(
    card: torch.device,
) -> None:
    there = predictor(str(card), "fp32", 4096)
    large = np.repeat(pictures(), 64, axis=0)  # 1536 rows
    sizes: list[int] = []

    def embed(rows: Sequence[Any]) -> Embeddings:
        sizes.append(len(rows))
        return there.embed(np.stack(rows))

    there.embed(large[:192])  # what a smaller batch takes at most
    room = torch.cuda.max_memory_reserved(card)
    there.free_memory()
    total = torch.cuda.mem_get_info(card)[1]
    _allow(min(1.0, 1.5 * room / total), card)
    thread = DeviceThread()
    try:
        batcher = MicroBatcher(
            {"embed": embed}, device=thread, probe=lambda: run_canary(there),
            is_out_of_memory=is_out_of_memory, free_memory=there.free_memory,
            max_batch=len(large), small_batch_seconds=600.0,
        )  # fmt: skip
        answers = await asyncio.gather(*(batcher.serve("embed", row) for row in large))
    finally:
        thread.close()
        _allow(1.0, card)
    assert all(isinstance(answer, Served) for answer in answers)
    assert sizes[0] == len(large)
    assert min(sizes) < len(large)
