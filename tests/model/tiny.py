"""The smallest networks and people that everything real runs on, for tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from dgnet.model.config import NetworkConfig, preset

HEIGHT, WIDTH = 64, 48
PERSONS = 3
CAMERAS = (1, 2, 3)

SIZES: dict[str, Any] = {
    "height": HEIGHT,
    "width": WIDTH,
    "structure_channels": (4, 4, 4, 8),
    "decoder_channels": 8,
    "mlp_features": 8,
    "head_features": 8,
    "discriminator_channels": 4,
}


def tiny_network(identities: int = PERSONS, **overrides: Any) -> NetworkConfig:
    """The small preset at a fraction of its width."""
    return preset("small", identities=identities, **{**SIZES, **overrides})


def tiny_detail(identities: int = PERSONS, **overrides: Any) -> NetworkConfig:
    """The same with everything that the preset `detail` adds."""
    return preset("detail", identities=identities, **{**SIZES, **overrides})


def write_people(folder: Path, *, persons: int = PERSONS, seed: int = 3) -> Path:
    """Pictures of noise in Market-1501 naming, each person once on each camera."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    for person in range(1, persons + 1):
        for camera in CAMERAS:
            name = f"{person:04d}_c{camera}s1_000001_00.png"
            Image.fromarray(random_pixels(draws)).save(folder / name)
    return folder


def write_dataset(folder: Path) -> Path:
    """Pictures of noise as a data set with training pictures, queries and a gallery."""
    for seed, split in enumerate(("bounding_box_train", "query", "bounding_box_test")):
        write_people(folder / split, seed=seed)
    return folder


def write_triples(folder: Path, *, triples: int = 5, seed: int = 4) -> Path:
    """Pictures of noise, named as triples whose true composite is known, of `write_people`'s."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    for number in range(triples):
        clothes, body = 1 + number % PERSONS, 1 + (number + 1) % PERSONS
        for role, person in (("appearance", clothes), ("structure", body), ("truth", clothes)):
            name = f"{number:04d}_{role}_{person:04d}.png"
            Image.fromarray(random_pixels(draws)).save(folder / name)
    return folder


def length(tensor: Tensor) -> float:
    """Euclidean, of all values."""
    return float(tensor.double().square().sum().sqrt())


def random_pixels(draws: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One picture (HEIGHT, WIDTH, 3) of noise."""
    return draws.integers(0, 256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
