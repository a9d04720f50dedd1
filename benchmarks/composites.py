"""Composites and embeddings per second: `python -m benchmarks.composites`.

The predictor against the naive pipeline on the same machine in the same run: encode, encode,
decode, one pair at a time, float32, eager, contiguous. All variants take turns for a number of
rounds and the fastest turn of each counts, so a busy machine disturbs the ratios little. Without a
checkpoint the weights are random, which changes no time. Prints a table, writes JSON with every
figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.naive import Naive
from dgnet.arrays import Pixels
from dgnet.model.checkpoints import Checkpoint, Metadata, load_checkpoint
from dgnet.model.config import preset
from dgnet.model.data.transforms import denormalize
from dgnet.model.devices import placed
from dgnet.model.dgnet import DGNet
from dgnet.model.predictor import Predictor

IDENTITIES = 751
"""Of random weights: Market-1501's."""

PICTURES = 32
BATCHES = (1, 8, 32)

COMPOSITES_PER_PICTURE = 10
"""As in DG-Market: 128,307 composites of 12,936 pictures."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to make `items` composites or embeddings."""

    kind: str
    name: str
    items: int
    run: Callable[[], Any]


def bulk(predictor: Predictor, pictures: Pixels) -> Pixels:
    """Every picture encoded once in both roles, then worn by `COMPOSITES_PER_PICTURE` others."""
    styles = predictor.appearance_styles(pictures)
    structure_codes = predictor.structure_codes(pictures)

    def rolled(shift: int) -> list[int]:
        return [(row - shift) % len(pictures) for row in range(len(pictures))]

    composites = [
        predictor.compose(styles, structure_codes[rolled(shift)])
        for shift in range(1, COMPOSITES_PER_PICTURE + 1)
    ]
    return np.concatenate(composites)


def variants(predictor: Predictor, networks: DGNet, pictures: Pixels) -> list[Variant]:
    """All that is measured; the first of a kind is the one that the others are compared with."""
    naive = Naive(networks, predictor.device)
    batches = [rows for rows in BATCHES if rows <= len(pictures)]
    others = np.roll(pictures, 1, axis=0)
    few, few_others = pictures[:8], others[:8]  # the naive pipeline is slow enough
    styles = predictor.appearance_styles(pictures)
    structure_codes = predictor.structure_codes(others)
    plain = placed(deepcopy(naive.networks), predictor.device)
    plain_styles = styles.each(lambda part: part.float())
    plain_structures = structure_codes.each(lambda part: part.float())

    @torch.no_grad()
    def compose_plainly() -> Pixels:
        decoded = plain.compose(plain_styles, plain_structures)
        made = decoded.composites(plain_structures, keep_scene=[True] * len(plain_structures))
        return denormalize(made).cpu().numpy()

    def compose(rows: int) -> Callable[[], Pixels]:
        return lambda: predictor.compose(styles[:rows], structure_codes[:rows])

    def swap(rows: int) -> Callable[[], Pixels]:
        return lambda: predictor.swap(pictures[:rows], others[:rows])

    def embed(rows: int) -> Callable[[], Any]:
        return lambda: predictor.embed(pictures[:rows])

    return [
        Variant(
            kind="composites",
            name="naive: encode, encode, decode",
            items=len(few),
            run=lambda: naive.swap(few, few_others),
        ),
        Variant(
            kind="composites",
            name=f"bulk: codes once, {COMPOSITES_PER_PICTURE} composites a picture, all included",
            items=len(pictures) * COMPOSITES_PER_PICTURE,
            run=lambda: bulk(predictor, pictures),
        ),
        Variant(
            kind="composites",
            name=f"decode, networks as trained, float32, batch {len(pictures)}",
            items=len(pictures),
            run=compose_plainly,
        ),
        *(
            Variant(kind="composites", name=f"decode, batch {rows}", items=rows, run=compose(rows))
            for rows in batches
        ),
        *(
            Variant(kind="composites", name=f"swap, batch {rows}", items=rows, run=swap(rows))
            for rows in batches
        ),
        Variant(
            kind="embeddings",
            name="naive: picture by picture",
            items=len(few),
            run=lambda: naive.embed(few),
        ),
        *(
            Variant(kind="embeddings", name=f"embed, batch {rows}", items=rows, run=embed(rows))
            for rows in batches
        ),
    ]


def fastest_turns(measured: list[Variant], rounds: int) -> dict[str, float]:
    """Seconds of the fastest turn by name, after one turn to warm up."""
    best: dict[str, float] = {}
    for turn in range(rounds + 1):
        for variant in measured:
            start = time.perf_counter()
            variant.run()
            seconds = time.perf_counter() - start
            if turn:
                best[variant.name] = min(seconds, best.get(variant.name, seconds))
    return best


def agreement(predictor: Predictor, naive: Naive, pictures: Pixels) -> dict[str, float]:
    """How far the predictor is from the naive float32 pipeline, in levels of 255 and in cosine."""
    others = np.roll(pictures, 1, axis=0)
    differences = np.abs(
        predictor.swap(pictures, others).astype(int) - naive.swap(pictures, others)
    )
    cosines = (predictor.embed(pictures) * naive.embed(pictures)).sum(axis=1)
    return {
        "mean_levels": float(differences.mean()),
        "largest_levels": float(differences.max()),
        "smallest_cosine": float(cosines.min()),
    }


def machine(predictor: Predictor) -> dict[str, Any]:
    """What the figures belong to."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else ())
        if line.startswith("model name")
    ]
    return {
        "platform": platform.platform(),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": predictor.device_name,
        "precision": str(predictor.autocast or torch.float32).removeprefix("torch."),
        "max_batch": predictor.max_batch,
    }


def _checkpoint(options: argparse.Namespace) -> Checkpoint:
    if options.checkpoint is not None:
        return load_checkpoint(options.checkpoint)
    config = preset(options.preset, identities=IDENTITIES)
    networks = DGNet(config)
    metadata = Metadata(config=config, networks=tuple(dict(networks.named_children())))
    return Checkpoint(metadata=metadata, networks=networks, teacher=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint folder; random weights else")
    parser.add_argument("--preset", default="small", help="of random weights: small or paper")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", help="fp32, bf16 or auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile what the naive lack")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="in the largest batch")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every variant")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    checkpoint = _checkpoint(options)
    networks, config = checkpoint.networks, checkpoint.metadata.config
    predictor = Predictor(
        checkpoint,
        device=options.device,
        precision=options.precision,
        compiled=options.compile,
    )
    size = (options.pictures, config.height, config.width, 3)
    pictures = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)

    facts = machine(predictor)
    print(f"{config.preset}, {config.height} x {config.width}; ", end="")
    print(", ".join(f"{name} {value}" for name, value in facts.items()) + "\n")
    measured = variants(predictor, networks, pictures)
    seconds = fastest_turns(measured, options.rounds)
    rows: list[dict[str, Any]] = []
    naive_rates: dict[str, float] = {}
    print("| What | How | Per second | ms each | Times naive |\n|---|---|---|---|---|")
    for variant in measured:
        rate = variant.items / seconds[variant.name]
        ratio = rate / naive_rates.setdefault(variant.kind, rate)
        print(f"| {variant.kind} | {variant.name} | {rate:.1f} | {1000 / rate:.2f} | {ratio:.1f} |")
        rows.append(
            {
                "kind": variant.kind,
                "variant": variant.name,
                "per_second": rate,
                "times_naive": ratio,
            }
        )
    close = agreement(predictor, Naive(networks, predictor.device), pictures[:8])
    print(
        "\nAgainst naive float32: composites differ by "
        f"{close['mean_levels']:.4f} of 255 levels on average, at most "
        f"{close['largest_levels']:.0f}; an embedding's smallest cosine with its own "
        f"{close['smallest_cosine']:.6f}"
    )
    if options.json:
        report = {
            "command": " ".join(sys.argv),
            "machine": facts,
            "compiled": options.compile,
            "network": config.to_json(),
            "rounds": options.rounds,
            "rows": rows,
            "agreement": close,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
