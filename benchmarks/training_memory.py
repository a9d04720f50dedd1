"""Memory of a joint training step, counted: `python -m benchmarks.training_memory`.

What a step keeps is a matter of shapes, so it can be counted without a GPU and without the memory:
on fake tensors, which have shapes and no values, every operation of a whole step (both updates,
every loss on) is followed, and what is alive at once is added up: weights, gradients, optimizers,
activations. (torch's own MemTracker does not take networks that a step calls twice.) The work space
of single convolutions, what the allocator cannot use of its blocks and the CUDA context (half a GB)
come on top.
"""

from __future__ import annotations

import argparse
import json
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dgnet.markdown import aligned_table
from dgnet.model.config import NetworkConfig, PresetName, preset
from dgnet.model.data.pairs import PairBatch
from dgnet.model.dgnet import DGNet
from dgnet.model.recompute import set_recompute
from dgnet.model.teacher import Teacher
from dgnet.model.training.config import JointConfig
from dgnet.model.training.draws import Draws
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep

IDENTITIES = 751
"""Of Market-1501's training split."""

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How a step is computed."""

    bf16: bool
    recompute: bool
    accumulate: int = 1


VARIANTS = [
    Variant(bf16=False, recompute=False),
    Variant(bf16=False, recompute=True),
    Variant(bf16=True, recompute=False),
    Variant(bf16=True, recompute=False, accumulate=2),
    Variant(bf16=True, recompute=True),
    Variant(bf16=True, recompute=True, accumulate=2),
]


class AliveBytes(TorchDispatchMode):
    """Counts the bytes of storages that operations make, now and at most, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self.now = 0
        self.most = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def add(self, tensor: Tensor) -> None:
        """Once for each storage, however many tensors share it."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._alive:
            return

        def freed(_: object) -> None:
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(storage, freed)
        self.now += size
        self.most = max(self.most, self.now)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return made


def peak_bytes(network: NetworkConfig, variant: Variant, batch_size: int) -> int:
    """At most alive in the second step, when the optimizers have their values."""
    device = torch.device("cpu")  # a GPU's autograd wants the GPU, fake tensors or not
    with FakeTensorMode():
        networks, teacher = DGNet(network), Teacher(network)
        set_recompute(networks, variant.recompute)
        config = JointConfig(batch_size=batch_size, accumulate=variant.accumulate)
        optimizers = joint_optimizers(networks, config)
        step = JointStep(
            networks,
            teacher,
            optimizers,
            config,
            autocast=torch.bfloat16 if variant.bf16 else None,
        )
        batch = _batch(network, batch_size, device)
        with AliveBytes() as alive:
            for weight in (*networks.parameters(), *networks.buffers(), *teacher.parameters()):
                alive.add(weight)
            for _ in range(2):
                draws = Draws(encoder_learns=True, erasing=torch.Generator())
                step(batch, config.final_weights, draws)
    return alive.most


def _batch(network: NetworkConfig, batch_size: int, device: torch.device) -> PairBatch:
    shape = (batch_size, 3, network.height, network.width)
    images = {
        name: torch.empty(shape, device=device)
        for name in ("images_a", "images_b", "positives_a", "positives_b")
    }
    labels = {
        name: torch.zeros(batch_size, dtype=torch.int64, device=device)
        for name in ("labels_a", "labels_b")
    }
    return PairBatch(**images, **labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=get_args(PresetName), default="paper")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    network = preset(options.preset, identities=IDENTITIES)
    rows: list[dict[str, Any]] = []
    for variant in VARIANTS:
        gib = round(peak_bytes(network, variant, options.batch_size) / GIB, 2)
        rows.append({**asdict(variant), "gib": gib})
    head = ("precision", "--checkpoint-activations", "--accumulate", "GiB")
    cells = [
        (
            "bf16" if row["bf16"] else "fp32",
            "yes" if row["recompute"] else "no",
            str(row["accumulate"]),
            f"{row['gib']:.1f}",
        )
        for row in rows
    ]
    print(f"{options.preset}, {network.height}x{network.width}, batch {options.batch_size}\n")
    print(aligned_table([head, *cells]))
    if options.json:
        figures = {"preset": options.preset, "batch_size": options.batch_size, "steps": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
