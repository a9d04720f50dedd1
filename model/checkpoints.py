"""Checkpoints: a folder with one safetensors file and one JSON file; nothing is ever unpickled.

`model.safetensors` holds the tensors of every network it carries, prefixed with the network's name;
`model.json` says what they are: sizes, training data and its license, metrics, code version,
sha256. A folder is written beside its place and renamed, so a reader sees all of it or nothing.
Weights may be stored in half precision; running statistics always stay float32.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from dgnet.files import file_sha256, replaced_directory, write_json
from dgnet.model.config import ConfigError, NetworkConfig
from dgnet.model.dgnet import DGNet
from dgnet.model.teacher import Teacher
from dgnet.model.tensor_files import TensorFileError, not_finite, read_tensors, write_tensors
from dgnet.paths import local_path
from dgnet.release import RELEASE

TENSORS_FILE = "model.safetensors"
METADATA_FILE = "model.json"
FORMAT = 1

TRAINING_ALONE = "discriminator"
"""A composite takes every network but this one and the teacher, which may be absent."""

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_CHECKPOINT = WEIGHTS / "small"
"""The weights that ship with the package."""


class CheckpointError(ValueError):
    """A folder is not a checkpoint, or not one for this use; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known of a checkpoint beside its tensors; `model.json` in the same words."""

    config: NetworkConfig
    networks: tuple[str, ...]
    """Which networks the file carries: any of DGNet's, and `teacher`."""
    teacher_last_stride: int = 2
    training: dict[str, Any] = field(default_factory=dict[str, Any])
    """Schedule, seeds, hardware: whatever the run wants remembered."""
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    """Name, size and license of the training data."""
    metrics: dict[str, Any] = field(default_factory=dict[str, Any])
    """Measured figures, as `dgnet evaluate` reports them."""
    fingerprint: dict[str, Any] = field(default_factory=dict[str, Any])
    """Whose pictures were learned from, see `data.fingerprint`; empty where it is not known."""
    sha256: str = ""
    """Of `model.safetensors`."""
    code_version: str = ""

    @property
    def model_version(self) -> str:
        """Short name of exactly these weights, for headers and manifests."""
        return self.sha256[:12]

    def to_json(self) -> dict[str, Any]:
        """JSON-safe form."""
        return {
            "format": FORMAT,
            "config": self.config.to_json(),
            "networks": list(self.networks),
            "teacher_last_stride": self.teacher_last_stride,
            "training": self.training,
            "data": self.data,
            "metrics": self.metrics,
            "sha256": self.sha256,
            "code_version": self.code_version,
            **({"fingerprint": self.fingerprint} if self.fingerprint else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Networks rebuilt in float32 on the CPU, with what is known of them.

    A discriminator that `metadata.networks` does not name is untrained.
    """

    metadata: Metadata
    networks: DGNet
    teacher: Teacher | None


def save_checkpoint(
    directory: str | Path,
    networks: DGNet | None,
    *,
    parts: Collection[str] | None = None,
    teacher: Teacher | None = None,
    half: bool = False,
    training: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    fingerprint: dict[str, Any] | None = None,
) -> Metadata:
    """Write a checkpoint folder (replacing one that is there) and return its metadata.

    `parts` names the networks to keep, all of them by default. A teacher's own checkpoint has no
    `networks`.
    """
    kept: dict[str, nn.Module] = {}
    if networks is not None:
        kept = {
            name: part for name, part in networks.named_children() if parts is None or name in parts
        }
        if unknown := sorted(set(parts or ()) - set(kept)):
            raise CheckpointError(
                f"{unknown[0]!r} is none of the networks; expected some of "
                f"{', '.join(dict(networks.named_children()))}"
            )
    if teacher is not None:
        kept["teacher"] = teacher
    config = networks.config if networks is not None else teacher.config if teacher else None
    if config is None or not kept:
        raise CheckpointError("nothing to save: give networks, a teacher, or both")
    if teacher is not None:
        require_same_kind(teacher, config)
    tensors = {
        f"{name}.{key}": tensor
        for name, part in kept.items()
        for key, tensor in cast(dict[str, Tensor], part.state_dict()).items()
    }
    metadata = Metadata(
        config=config,
        networks=tuple(kept),
        teacher_last_stride=teacher.last_stride if teacher else 2,
        training=training or {},
        data=data or {},
        metrics=metrics or {},
        fingerprint=fingerprint or {},
        code_version=RELEASE,
    )
    return _write(directory, tensors, metadata, half=half)


def pack_checkpoint(source: str | Path, directory: str | Path, *, half: bool = True) -> Metadata:
    """Copy a checkpoint for shipping, weights in half precision; what is known of it stays."""
    source = local_path(source)
    metadata = read_metadata(source)
    return _write(directory, _verified_tensors(source, metadata), metadata, half=half)


def update_metrics(directory: str | Path, metrics: dict[str, Any]) -> Metadata:
    """Add measured figures to a checkpoint's metadata, replacing those of the same name."""
    directory = local_path(directory)
    metadata = read_metadata(directory)
    metadata = replace(metadata, metrics={**metadata.metrics, **metrics})
    write_json(directory / METADATA_FILE, metadata.to_json())
    return metadata


def require_same_kind(teacher: Teacher, config: NetworkConfig) -> None:
    """Raise where a teacher was built from sizes that `config`, a checkpoint's only one, lacks."""
    for name in ("backbone", "head_features", "identities"):
        theirs, ours = getattr(teacher.config, name), getattr(config, name)
        if theirs != ours:
            raise ConfigError(
                f"the teacher's {name} is {theirs!r}, the networks' is {ours!r}; expected the "
                f"same: set the networks' {name} to the teacher's, or train another teacher"
            )


def shipped_checkpoint(preset: str) -> Path:
    """The weights of a preset that ship with the package; CheckpointError where none do."""
    folder = WEIGHTS / preset
    if not (folder / METADATA_FILE).is_file():
        raise CheckpointError(f"no weights of the preset {preset!r} ship: name a checkpoint")
    return folder


def read_metadata(directory: str | Path) -> Metadata:
    """The metadata of a checkpoint folder, without reading its tensors."""
    directory = local_path(directory)
    path = directory / METADATA_FILE
    if not path.is_file():
        raise CheckpointError(
            f"{directory} is not a checkpoint: it has no {METADATA_FILE}. Expected a folder "
            "written by `dgnet train` or `dgnet checkpoint import`"
        )
    try:
        values = cast(dict[str, Any], json.loads(path.read_text()))
        found = values["format"]
        if found == FORMAT:
            return Metadata(
                config=NetworkConfig.from_json(values["config"]),
                networks=tuple(values["networks"]),
                teacher_last_stride=values["teacher_last_stride"],
                training=values["training"],
                data=values["data"],
                metrics=values["metrics"],
                sha256=values["sha256"],
                code_version=values["code_version"],
                fingerprint=dict(values.get("fingerprint", {})),
            )
    except (KeyError, TypeError, ValueError) as error:  # ValueError: JSON, UTF-8 and ConfigError
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
    raise CheckpointError(f"{path} has format {found}; this version reads format {FORMAT}")


def load_checkpoint(directory: str | Path) -> Checkpoint:
    """Rebuild the networks of a checkpoint; every tensor is accounted for."""
    directory = local_path(directory)
    metadata = read_metadata(directory)
    networks = DGNet(metadata.config)
    needed = [name for name, _ in networks.named_children() if name != TRAINING_ALONE]
    if absent := [name for name in needed if name not in metadata.networks]:
        raise CheckpointError(
            f"{directory} carries {', '.join(metadata.networks)}, but no {', no '.join(absent)}: "
            "expected a checkpoint of `dgnet train joint` or `dgnet checkpoint import`"
        )
    tensors = _verified_tensors(directory, metadata)
    for name, part in networks.named_children():
        if name in metadata.networks:
            _fill(part, tensors, name)
    return Checkpoint(
        metadata=metadata, networks=networks, teacher=_teacher_from(tensors, metadata)
    )


def load_teacher(directory: str | Path) -> tuple[Metadata, Teacher]:
    """The teacher of a checkpoint."""
    directory = local_path(directory)
    metadata = read_metadata(directory)
    teacher = _teacher_from(_verified_tensors(directory, metadata), metadata)
    if teacher is None:
        raise CheckpointError(
            f"{directory} carries no teacher, only {', '.join(metadata.networks)}; "
            "train one with `dgnet train teacher`"
        )
    return metadata, teacher


def _teacher_from(tensors: Mapping[str, Tensor], metadata: Metadata) -> Teacher | None:
    if "teacher" not in metadata.networks:
        return None
    teacher = Teacher(metadata.config, last_stride=metadata.teacher_last_stride)
    _fill(teacher, tensors, "teacher")
    return teacher


def _verified_tensors(directory: Path, metadata: Metadata) -> dict[str, Tensor]:
    path = directory / TENSORS_FILE
    if not path.is_file():
        raise CheckpointError(f"{directory} is not a whole checkpoint: {TENSORS_FILE} is missing")
    if (found := file_sha256(path)) != metadata.sha256:
        raise CheckpointError(
            f"{path} has sha256 {found[:12]}..., {METADATA_FILE} says {metadata.sha256[:12]}...: "
            "the file was changed or cut short; copy the checkpoint again"
        )
    try:
        tensors = read_tensors(path)
    except TensorFileError as error:
        raise CheckpointError(str(error)) from error
    for name in tensors:
        if name.partition(".")[0] not in metadata.networks:
            raise CheckpointError(
                f"{path} holds {name}, which belongs to none of its networks "
                f"({', '.join(metadata.networks)})"
            )
    _require_finite(tensors, str(path))
    return tensors


def _require_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Weights of a diverged run make pictures of noise that look like results."""
    if name := not_finite(tensors):
        raise CheckpointError(
            f"{what}: {name} has values that are no finite numbers (a run that diverged, or a "
            "damaged file); take an earlier checkpoint"
        )


def _fill(part: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load one network's tensors; a missing, extra or mis-shaped one is named."""
    prefix = f"{name}."
    own = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    wanted = part.state_dict()
    for key, tensor in wanted.items():
        if key not in own:
            raise CheckpointError(f"{prefix}{key} is missing from the checkpoint")
        if own[key].shape != tensor.shape:
            raise CheckpointError(
                f"{prefix}{key} has shape {tuple(own[key].shape)}; expected {tuple(tensor.shape)}"
            )
    if extra := sorted(set(own) - set(wanted)):
        raise CheckpointError(f"{prefix}{extra[0]} is no part of this network")
    part.load_state_dict(own)  # copies, and widens half precision


def _write(
    directory: str | Path, tensors: Mapping[str, Tensor], metadata: Metadata, *, half: bool
) -> Metadata:
    """A checkpoint folder in its place; returns the metadata with the hash of what was written."""
    _require_finite(tensors, f"{directory} is not written")
    if half:
        tensors = {name: narrowed(name, tensor) for name, tensor in tensors.items()}
    with replaced_directory(local_path(directory), make_parents=True) as folder:
        write_tensors(folder / TENSORS_FILE, tensors)
        metadata = replace(metadata, sha256=file_sha256(folder / TENSORS_FILE))
        write_json(folder / METADATA_FILE, metadata.to_json())
    return metadata


def narrowed(name: str, tensor: Tensor) -> Tensor:
    """Half precision for weights; counters and running statistics stay as they are."""
    if not tensor.is_floating_point() or "running_" in name:
        return tensor
    narrow = tensor.to(torch.float16)
    if bool(tensor.isfinite().all()) and not bool(narrow.isfinite().all()):
        raise CheckpointError(
            f"{name} has values up to {tensor.abs().max():.3g}, which half precision cannot hold: "
            "keep this checkpoint in full precision"
        )
    return narrow
