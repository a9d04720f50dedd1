"""Training iterations per second: `python -m benchmarks.train`.

A step of joint training with every loss on, against the plain loop (eager, float32, one direction
after the other) with the same losses, in one run; first both take one step from the same weights,
and their losses must agree. Variants take turns and the fastest turn of each counts. A breakdown
tells where a step's time goes, and how long its pictures take to load and augment. Prints tables,
writes JSON with every figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.naive_training import NaiveStep
from dgnet.model.config import NetworkConfig, preset
from dgnet.model.data.pairs import TrainingPictures
from dgnet.model.devices import choose_device, placed
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.training import step as step_module
from dgnet.model.training.config import JointConfig, LossWeights
from dgnet.model.training.draws import draw
from dgnet.model.training.execution import Execution
from dgnet.model.training.micro_batches import Losses
from dgnet.model.training.optimizers import joint_optimizers
from dgnet.model.training.step import JointStep

IDENTITIES = 8
"""Random pictures and weights: neither changes a time."""

PICTURES = 12
"""A person."""

PARTS = {
    "forward_pass": "forward",
    "update_discriminator": "discriminator update",
    "generator_losses": "losses",
}
"""Functions that a step calls, and what they are called here."""

TOLERANCE = 1e-6
"""Of losses in double precision, relative: the two loops add up in another order."""

Step = Callable[..., Losses]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run an iteration."""

    name: str
    step: Step


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Networks, pictures and settings of one run."""

    network: NetworkConfig
    config: JointConfig
    pictures: TrainingPictures
    device: torch.device
    dtype: torch.dtype = torch.float32

    def naive(self, config: JointConfig | None = None) -> NaiveStep:
        """The plain loop on contiguous networks."""
        networks, teacher = self._networks()
        config = config or self.config
        return NaiveStep(networks, teacher, joint_optimizers(networks, config), config)

    def ours(
        self,
        config: JointConfig | None = None,
        *,
        autocast: torch.dtype | None = None,
        compiled: bool = False,
    ) -> JointStep:
        """The step that ships."""
        networks, teacher = self._networks()
        networks, teacher = placed(networks, self.device), placed(teacher, self.device)
        config = config or self.config
        optimizers = joint_optimizers(networks, config)
        step = JointStep(networks, teacher, optimizers, config, autocast=autocast)
        Execution(compile_backend="inductor" if compiled else None).compile(step.compilable())
        return step

    def _networks(self) -> tuple[DGNet, Teacher]:
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
        networks, teacher = DGNet(self.network), Teacher(self.network)
        return networks.to(self.device, self.dtype), teacher.to(self.device, self.dtype)

    def iterate(self, step: Step, iteration: int) -> Losses:
        """One iteration, data included."""
        batch = self.pictures.pair_batch(iteration, self.config.batch_size, self.config.seed)
        if self.dtype != torch.float32:
            images = ("images_a", "images_b", "positives_a", "positives_b")
            batch = replace(batch, **{name: getattr(batch, name).to(self.dtype) for name in images})
        return step(batch, LossWeights(), draw(self.config.seed, iteration))

    def seconds(self, step: Step, iterations: int) -> float:
        """Of one iteration, on average."""
        self._wait()
        start = time.perf_counter()
        for iteration in range(iterations):
            self.iterate(step, iteration)
        self._wait()
        return (time.perf_counter() - start) / iterations

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def require_equal_losses(bench: Bench) -> float:
    """Both loops take a step without dropout and erasing; the largest relative difference."""
    bench = replace(bench, dtype=torch.float64)
    config = replace(bench.config, random_erasing=0.0)
    losses: list[dict[str, float]] = []
    for step in (bench.naive(config), bench.ours(config)):
        for layer in step.networks.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        taken = bench.iterate(step, 0)
        losses.append({name: float(loss) for name, loss in taken.items()})
    naive, ours = losses
    worst = max(abs(ours[name] - value) / abs(value) for name, value in naive.items())
    if worst > TOLERANCE:
        sys.exit(f"the loops do not compute the same losses: {naive} and {ours}")
    return worst


def breakdown(bench: Bench, iterations: int) -> dict[str, float]:
    """Milliseconds of an iteration by part; the parts are what the step calls."""
    step = bench.ours()
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            outcome = call(*arguments, **named)
            if bench.device.type == "cuda":
                torch.cuda.synchronize(bench.device)
            spent[name] += time.perf_counter() - start
            return outcome

        return run

    plain = {name: getattr(step_module, name) for name in PARTS}
    for name, call in plain.items():
        setattr(step_module, name, timed(PARTS[name], call))
    bench.pictures.pair_batch = timed("pictures", bench.pictures.pair_batch)
    for optimizer in [*step.optimizers.of_generator(), step.optimizers.appearance]:
        optimizer.step = timed("optimizers", optimizer.step)
    whole = iterations * bench.seconds(step, iterations)
    del bench.pictures.pair_batch
    for name, call in plain.items():
        setattr(step_module, name, call)
    spent["backward and the rest"] = whole - sum(spent.values())
    return {name: 1000 * seconds / iterations for name, seconds in spent.items()}


def profile(bench: Bench, config: JointConfig) -> str:
    """The kernels of one merged step in bf16, those that take longest first."""
    step = bench.ours(config, autocast=torch.bfloat16)
    bench.iterate(step, 0)
    with torch.profiler.profile() as profiler:
        bench.iterate(step, 1)
    order = "self_cuda_time_total" if bench.device.type == "cuda" else "self_cpu_time_total"
    averages: Any = profiler.key_averages()
    return f"{len(averages)} kinds of operations\n{averages.table(sort_by=order, row_limit=40)}\n"


def write_pictures(folder: Path, height: int, width: int) -> Path:
    """Noise in Market-1501 naming."""
    draws = np.random.default_rng(0)
    for person in range(1, IDENTITIES + 1):
        for number in range(PICTURES):
            pixels = draws.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
            name = f"{person:04d}_c{1 + number % 6}s1_{number:06d}_00.jpg"
            Image.fromarray(pixels).save(folder / name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=("small", "paper"), default="small")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--iterations", type=int, default=3, help="of one turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every variant")
    parser.add_argument("--compile", action="store_true", help="compiled variants, too")
    parser.add_argument("--profile", type=Path, help="where to write what a step consists of")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    device = choose_device(options.device)
    network = preset(options.preset, identities=IDENTITIES)
    with tempfile.TemporaryDirectory() as folder:
        pictures = TrainingPictures.load(
            write_pictures(Path(folder), network.height, network.width),
            network.height,
            network.width,
            device=device,
        )
    config = JointConfig(batch_size=options.batch_size)
    bench = Bench(network=network, config=config, pictures=pictures, device=device)
    difference = require_equal_losses(bench)
    merged = replace(config, merge_batches=True)
    variants = [
        Variant(name="plain loop", step=bench.naive()),
        Variant(name="step", step=bench.ours()),
        Variant(name="step, merged batches", step=bench.ours(merged)),
        Variant(name="step, bf16", step=bench.ours(autocast=torch.bfloat16)),
        Variant(
            name="step, merged batches, bf16", step=bench.ours(merged, autocast=torch.bfloat16)
        ),
    ]
    if options.compile:
        half = torch.bfloat16
        variants += [
            Variant(name="step, compiled", step=bench.ours(compiled=True)),
            Variant(
                name="step, merged batches, bf16, compiled",
                step=bench.ours(merged, autocast=half, compiled=True),
            ),
        ]
    for variant in variants:
        bench.seconds(variant.step, 1)
    fastest = {variant.name: float("inf") for variant in variants}
    for _ in range(options.rounds):
        for variant in variants:
            seconds = bench.seconds(variant.step, options.iterations)
            fastest[variant.name] = min(fastest[variant.name], seconds)
    plain = fastest["plain loop"]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"preset {options.preset}, batch {options.batch_size}, {name}, torch {torch.__version__}")
    print(f"losses of both loops differ by {difference:.1e} at most\n")
    print("| Way | Iterations/s | Times plain loop |\n|---|---|---|")
    for way, seconds in fastest.items():
        print(f"| {way} | {1 / seconds:.2f} | {plain / seconds:.2f} |")
    parts = breakdown(bench, options.iterations)
    print("\n| Part of a step | ms |\n|---|---|")
    for part, milliseconds in parts.items():
        print(f"| {part} | {milliseconds:.1f} |")
    if options.profile:
        options.profile.write_text(profile(bench, merged))
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            "machine": platform.platform(),
            "device": name,
            "cores": len(os.sched_getaffinity(0)),
            "load_average": round(os.getloadavg()[0], 1),
            "torch": torch.__version__,
            "losses_differ_by": difference,
            "seconds": fastest,
            "times_plain_loop": {way: plain / seconds for way, seconds in fastest.items()},
            "milliseconds_by_part": parts,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
