"""Tensors in files: safetensors, so that nothing is ever unpickled.

What the names inside mean is left to `checkpoints` and to `training.state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor


class TensorFileError(ValueError):
    """A file does not hold tensors; the message says what is wrong with it."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, on the CPU."""
    try:
        return safetensors.load_file(path)  # pyright: ignore[reportUnknownMemberType]
    except SafetensorError as error:
        raise TensorFileError(f"{path} is not a safetensors file: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Tensors to a safetensors file, wherever they live and however they are laid out."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    safetensors.save_file(plain, path)  # pyright: ignore[reportUnknownMemberType]
    path.chmod(0o644)  # the library writes 0600, which a container's own user could not read


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a value that is no finite number."""
    return next(
        (
            name
            for name, tensor in tensors.items()
            if tensor.is_floating_point() and not bool(tensor.isfinite().all())
        ),
        None,
    )
