"""The published numbers and the recipe that makes the weights and pictures they belong to.

Recipe: tests/golden/README.md. Every draw comes from numpy's PCG64 seeded with the CRC-32 of a
name, so any implementation can build the same networks; all arithmetic is float64.
"""

from __future__ import annotations

import json
import math
import zlib
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgnet.model.config import preset
from dgnet.model.decoder import Decoder
from dgnet.model.dgnet import DGNet
from dgnet.model.published import (
    load_appearance_encoder,
    load_discriminator,
    load_generator,
    load_teacher,
)
from dgnet.model.teacher import Teacher

FOLDER = Path(__file__).parents[1] / "golden"
IDENTITIES = 17
LABELS_A = (3, 11, 5, 16)
LABELS_B = (7, 0, 3, 9)


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


@cache
def numbers() -> dict[str, Any]:
    """Losses, norms and statistics in full precision."""
    return cast(dict[str, Any], json.loads((FOLDER / "dgnet.json").read_text()))


@cache
def activations() -> dict[str, NDArray[np.float32]]:
    """Sub-sampled activations."""
    with np.load(FOLDER / "dgnet.npz") as stored:
        return {name: stored[name] for name in stored.files}


def published_tensors(part: str) -> dict[str, Tensor]:
    """The recipe's weights of one published file: `gen`, `id`, `dis` or `teacher`."""
    shapes = json.loads((FOLDER / "published_checkpoint_keys.json").read_text())[part]
    return {name: _weight(name, tuple(shape)) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...]) -> Tensor:
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    n = _generator(name).standard_normal(shape)
    if leaf == "running_var":
        values = 1 + 0.1 * np.abs(n)
    elif leaf == "running_mean":
        values = 0.1 * n
    elif leaf == "gamma" or (leaf == "weight" and len(shape) == 1):
        values = 1 + 0.1 * n
    elif len(shape) >= 2:
        values = n * math.sqrt(1 / math.prod(shape[1:]))
    else:
        values = 0.05 * n
    return torch.as_tensor(np.asarray(values, dtype=np.float32)).double()


def picture(name: str) -> Tensor:
    """One batch of the recipe's pictures: (4, 3, 256, 128) float64, normalized."""
    generator = _generator(name)
    coarse = generator.standard_normal((4, 3, 16, 8))
    offset = generator.standard_normal((4, 3, 1, 1))
    fine = generator.standard_normal((4, 3, 256, 128))
    return torch.as_tensor(
        0.7 * np.kron(coarse, np.ones((1, 1, 16, 16))) + 0.7 * offset + 0.2 * fine
    )


class RowByRowDecoder(Decoder):
    """The decoder, a picture at a time: float64 convolutions unfold their whole batch on a CPU, at
    half a gigabyte a picture for the largest layer."""

    def forward(self, structure_codes: Tensor, styles: Tensor) -> Tensor:
        decode = super().forward
        rows = zip(structure_codes.unbind(), styles.unbind(), strict=True)
        return torch.cat([decode(structure[None], style[None]) for structure, style in rows])


def networks() -> DGNet:
    """The paper's networks in float64 with the recipe's weights, read through the published
    names.
    """
    built = DGNet(preset("paper", identities=IDENTITIES))
    built.decoder = RowByRowDecoder(built.config)
    built.double()
    load_generator(built, published_tensors("gen"))
    load_appearance_encoder(built.appearance_encoder, published_tensors("id"))
    load_discriminator(built.discriminator, published_tensors("dis"))
    return built


def teacher() -> Teacher:
    """The teacher in float64 with the recipe's weights."""
    built = Teacher(preset("paper", identities=IDENTITIES)).double()
    load_teacher(built, published_tensors("teacher"))
    return built


def stored_part(tensor: Tensor) -> NDArray[np.float64]:
    """The sub-sample of a tensor that the golden file keeps."""
    values = cast(NDArray[np.float64], tensor.detach().numpy())
    if values.ndim == 4 and values.shape[3] >= 32:
        return values[..., ::8, ::8]
    if values.ndim == 2 and values.shape[1] > 1024:
        return values[:, ::8]
    return values
